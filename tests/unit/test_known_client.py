"""What people are told of a client that HaloPSA does not have, or has twice, is about what the event gives."""

import pytest

from worker.errors import NeedsOperator
from workflows.canonical import LeavingClient
from workflows.halopsa.models import Client
from workflows.known_client import unknown
from workflows.matching import match_client


@pytest.mark.parametrize(
    ("client", "what", "mend"),
    [
        (LeavingClient(id="C-77", name="Acme"), "the key 'C-77' or the name 'Acme'.", "the key where HaloPSA keeps"),
        (LeavingClient(id="C-77"), "the key 'C-77'.", "the key where HaloPSA keeps"),
        (LeavingClient(name="Acme"), "the name 'Acme'.", "this name"),
    ],
)
def test_a_client_that_is_not_there_is_called_as_the_event_calls_it(
    client: LeavingClient, what: str, mend: str
) -> None:
    error = unknown(client)

    assert error.what == f"HaloPSA has no client with {what}"
    assert error.mend.startswith(f"give the client that is meant {mend}")


@pytest.mark.parametrize(("key", "mend"), [("C-77", "give it alone the key 'C-77'"), ("", "rename the others, then")])
def test_of_two_clients_the_one_that_is_meant_is_told_apart_by_what_the_event_gives(key: str, mend: str) -> None:
    rows = [Client(id=number, name="Acme") for number in (29, 31)]

    with pytest.raises(NeedsOperator, match="Several clients in HaloPSA match 'Acme'") as raised:
        match_client(rows, key, "Acme", own_doubles=False)
    assert mend in str(raised.value)
