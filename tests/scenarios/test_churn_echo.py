"""What runs do in HaloPSA comes back as its webhooks, and starts no churn."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from tests.memory_run import STARTED, Notebook, Reading
from tests.tenant import Tenant, event
from webhooks.sending import json_delivery
from webhooks.sources import halopsa
from worker.errors import Ignored
from worker.events import Event
from workflows.crm import HaloHydrator
from workflows.hydration import Hydration
from workflows.policy import ChurnClient, Policy
from workflows.policy.sources import RecordRule, Source
from workflows.sandbox import Faults
from workflows.sandbox.halopsa.reference import API_AGENT

SET_INACTIVE = Source(churned=(RecordRule(object="client", field="inactive", values=("true",)),))
CLIENT = {"client": {"id": "C-77"}}
LEAVES = CLIENT | {"last_service_day": "2026-11-22"}


@pytest.fixture(params=["good day", "filters ignored"])
def faults(request: pytest.FixtureRequest) -> Faults:
    ignored = frozenset({"client_id", "open_only"})
    return Faults() if request.param == "good day" else Faults(ignore=ignored, mixed_ids=True)


@pytest.fixture
async def client_id(tenant: Tenant) -> int:
    """A client that was wound down; a ticket of a type that is handed over stays open."""
    client_id: int = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme"))
    tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "kept", "tickettype_id": 25})
    tenant.sandbox.plant("ClientContract", {"client_id": client_id, "end_date": "2027-06-30T00:00:00"})
    tenant.policy = Policy(churn_client=ChurnClient(keep_types=("Onboarding",)))
    await tenant.finish(event("client.churned", LEAVES))
    return client_id


def messages(client_id: int, agent: str) -> list[Any]:
    """What HaloPSA sends of a change of the client, in each of its forms."""
    alone = {"event": "client updated", "object_id": client_id} | ({"agent_id": int(agent)} if agent else {})
    whole = alone | {"client": {"id": client_id, "inactive": True}}
    return [alone, whole, [whole | {"id": "1"}, alone | {"id": "2"}]]


async def meant(tenant: Tenant, message: Any, later: timedelta) -> list[str]:
    """Hear a message some time after the churn; give the types of what it means."""
    now = STARTED + later
    delivery = json_delivery(message, "https://hooks.msp.example/webhooks/halopsa", now)
    hydrator = HaloHydrator(tenant.connection.for_run(Reading()), SET_INACTIVE, now=lambda: now)
    hydration, found = Hydration({"halopsa": hydrator}), []
    for told in halopsa.events(delivery):
        assert isinstance(told, Event)
        with suppress(Ignored):
            found.append((await hydration.hydrate(told)).type)
    return found


async def churns(tenant: Tenant, client_id: int, later: timedelta = timedelta()) -> set[str]:
    """The agents by whose change the client leaves, in whatever form it is told; empty: HaloPSA does not tell who."""
    starting = set()
    for agent in ("", "0", "3", str(API_AGENT)):
        found = [await meant(tenant, message, later) for message in messages(client_id, agent)]
        churn = "client.churned"
        assert found in ([[], [], []], [[churn], [churn], [churn, churn]])
        starting |= {agent} if any(found) else set()
    return starting


async def test_a_finished_churn_starts_no_second_one(tenant: Tenant, client_id: int) -> None:
    assert tenant.rows("Client", id=client_id)[0]["inactive"]
    assert await churns(tenant, client_id) == set()


async def test_a_churn_under_way_starts_no_second_one(tenant: Tenant, client_id: int) -> None:
    notes = tenant.sandbox.store["CRMNote"].rows
    del notes[max(notes)]

    assert list(notes.values())[-1]["note"].splitlines()[-1].endswith("changes 1 of 1")
    assert await churns(tenant, client_id) == set()


async def test_nor_does_what_another_run_changes_afterwards(tenant: Tenant, client_id: int) -> None:
    changed = {"client": {"id": "C-77", "website": "https://new.example.com"}}
    await tenant.finish(event("client.updated", changed), Notebook(run="r-2"))

    assert tenant.rows("CRMNote", client_id=client_id)[-1]["note"].endswith("r-2: report")
    assert await churns(tenant, client_id) == set()


async def test_nor_does_the_notice_of_another_churn_that_was_not_carried_out(tenant: Tenant, client_id: int) -> None:
    tenant.sandbox.plant("CRMNote", {"client_id": client_id, "note": "Leaving\nParhelion run r-2: leaving"})

    for later in (timedelta(), timedelta(days=2), timedelta(days=300)):
        assert await churns(tenant, client_id, later) == set()


async def test_a_client_that_came_back_starts_none_and_may_leave_again(tenant: Tenant, client_id: int) -> None:
    await tenant.finish(event("client.reactivated", CLIENT), Notebook(run="r-2"))
    assert await churns(tenant, client_id) == set()

    tenant.change("Client", client_id, inactive=True)
    assert await churns(tenant, client_id) == {"", "0", "3"}


async def test_a_later_edit_of_a_client_that_is_gone_starts_no_second_churn(tenant: Tenant, client_id: int) -> None:
    opened = {"client_id": client_id, "summary": "out of office", "dateoccurred": "2026-11-24T12:00:00"}
    tenant.sandbox.plant("Tickets", opened | {"hasbeenclosed": True})
    for later in (timedelta(hours=23), timedelta(days=2), timedelta(days=300)):
        assert await churns(tenant, client_id, later) == set()


async def test_a_contract_that_ends_by_tomorrow_is_not_running(tenant: Tenant, client_id: int) -> None:
    tickets, notes = (tenant.sandbox.store[entity] for entity in ("Tickets", "CRMNote"))
    for table in (tickets, notes):
        for row in list(table.rows.values()):
            table.remove(row)
    (contract,) = tenant.rows("ClientContract")

    for end, leaves in (("2026-11-23", set()), ("2026-11-24", set()), ("2026-11-25", {"", "0", "3"})):
        tenant.change("ClientContract", contract["id"], end_date=f"{end}T00:00:00", active=True)
        assert await churns(tenant, client_id) == leaves


@pytest.mark.parametrize("readable", [True, False])
@pytest.mark.parametrize("rolls", [True, False])
async def test_a_contract_that_rolls_on_or_may_do_so_is_running(tenant: Tenant, *, rolls: bool, readable: bool) -> None:
    client_id = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme", inactive=True))
    contract = {"client_id": client_id, "end_date": "2026-11-23T00:00:00", "rollingcontract": rolls}
    tenant.sandbox.plant("ClientContract", contract)
    if not readable:
        tenant.sandbox.faults.deny = frozenset({"GET /api/ClientContract/{id}"})

    assert await churns(tenant, client_id) == ({"", "0", "3"} if rolls or not readable else set())


@pytest.mark.parametrize("back", ["contract", "ticket"])
async def test_a_client_that_plainly_came_back_may_leave_again_the_day_after(
    tenant: Tenant, client_id: int, back: str
) -> None:
    if back == "contract":
        tenant.sandbox.plant("ClientContract", {"client_id": client_id, "end_date": "2027-06-30T00:00:00"})
    else:
        opened = {"client_id": client_id, "summary": "new", "dateoccurred": "2026-11-24T12:00:00"}
        tenant.sandbox.plant("Tickets", opened)

    assert await churns(tenant, client_id, timedelta(hours=23)) == set()
    assert await churns(tenant, client_id, timedelta(days=2)) == {"", "0", "3"}


@pytest.mark.parametrize("left", ["open", "nothing"])
async def test_where_notes_cannot_be_read_what_is_left_to_wind_down_decides(tenant: Tenant, left: str) -> None:
    client_id = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme", inactive=True))
    tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": left, "hasbeenclosed": left == "nothing"})
    tenant.sandbox.faults.forbid = frozenset({"GET /api/CRMNote"})

    assert await churns(tenant, client_id) == ({"", "0", "3"} if left == "open" else set())


async def test_where_notes_bear_no_time_a_running_contract_and_a_known_agent_speak_for_it(
    tenant: Tenant, client_id: int
) -> None:
    for note in tenant.rows("CRMNote"):
        tenant.change("CRMNote", note["id"], datetime=None)
    assert await churns(tenant, client_id) == set()

    tenant.sandbox.plant("ClientContract", {"client_id": client_id, "end_date": "2027-06-30T00:00:00"})
    assert await churns(tenant, client_id) == {"3"}
