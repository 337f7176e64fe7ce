"""What a client's end changes is kept on the client, and found again whole."""

from collections.abc import Sequence

import pytest

from tests.memory_run import MemoryRun, Notebook
from tests.tenant import Tenant
from worker.errors import NeedsOperator
from workflows.restore import MAX_LENGTH, Change, keep_changes, kept_changes


def contract(number: int, before: str | None, after: str | None) -> Change:
    return Change(what="contract", ids=[number], fields={"end": (before, after)})


async def keep(tenant: Tenant, client_id: int, changes: Sequence[Change]) -> None:
    run = MemoryRun(Notebook())
    await keep_changes(run, tenant.connection.for_run(run), client_id, changes)


async def kept(tenant: Tenant, client_id: int) -> list[Change]:
    """Read what is kept, as a step of another run."""
    run = MemoryRun(Notebook())
    return await run.step("kept", kept_changes, tenant.connection.for_run(run), client_id)


@pytest.fixture
def client_id(tenant: Tenant) -> int:
    client_id: int = tenant.sandbox.plant("Client", {"name": "Acme"})
    return client_id


async def test_changes_are_read_as_they_were_kept(tenant: Tenant, client_id: int) -> None:
    changes = [
        Change(what="contract", ids=[7], fields={"end": ("2027-06-30", "2026-12-31"), "rolling": (True, False)}),
        Change(what="contact", ids=[9], fields={"portal_access": (2, 0)}),
    ]
    await keep(tenant, client_id, changes)

    assert await kept(tenant, client_id) == changes


async def test_many_changes_fill_several_notes(tenant: Tenant, client_id: int) -> None:
    changes = [Change(what="asset", ids=list(range(1, 2001)), fields={"inactive": (False, True)})]
    changes += [contract(number, "2027-06-30", "2026-12-31") for number in range(1, 301)]
    await keep(tenant, client_id, changes)

    notes = [row["note"] for row in tenant.rows("CRMNote", client_id=client_id)]
    assert len(notes) > 3
    assert max(map(len, notes)) < MAX_LENGTH + 200
    assert len(await kept(tenant, client_id)) == 2300


@pytest.mark.parametrize(
    ("before", "restored"),
    [
        ("2026-12-31", ("2027-06-30", "2026-11-30")),  # the day has moved
        ("2028-06-30", ("2028-06-30", "2026-11-30")),  # the client was back in between
    ],
)
async def test_of_two_ends_that_follow_each_other_the_first_says_how_it_was(
    tenant: Tenant, client_id: int, before: str, restored: tuple[str, str]
) -> None:
    await keep(tenant, client_id, [contract(7, "2027-06-30", "2026-12-31")])
    await keep(tenant, client_id, [contract(7, before, "2026-11-30")])

    assert await kept(tenant, client_id) == [contract(7, *restored)]


async def test_a_note_that_halopsa_shows_as_html_is_read_all_the_same(tenant: Tenant, client_id: int) -> None:
    await keep(tenant, client_id, [contract(7, None, "2026-12-31")])
    (note,) = tenant.rows("CRMNote", client_id=client_id)
    tenant.change("CRMNote", note["id"], note=f"<p>{note['note'].replace(chr(34), '&quot;')}</p>")

    assert await kept(tenant, client_id) == [contract(7, None, "2026-12-31")]


async def test_a_note_that_somebody_changed_needs_a_person(tenant: Tenant, client_id: int) -> None:
    await keep(tenant, client_id, [contract(7, None, "2026-12-31")])
    (note,) = tenant.rows("CRMNote", client_id=client_id)
    tenant.change("CRMNote", note["id"], note=note["note"].replace("}", ""))

    with pytest.raises(NeedsOperator, match=f"Note {note['id']} on client {client_id}"):
        await kept(tenant, client_id)
