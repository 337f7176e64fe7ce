"""A churn that may be older than the client's return asks first: a late edit of a record is no second churn."""

from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.chaos.laboratory import HELD_CLOCK, Laboratory, laboratory
from tests.chaos.tenants import MONDAY, deal_won, tenant_with_a_client
from tests.memory_run import Asleep, Notebook
from tests.tenant import DAYS, Tenant, event
from worker.assemble.store import DOORBELL
from worker.events import Event, canonical_event
from worker.journal.scripts import Scripts
from worker.journal.verbs import Operator, Verbs
from workflows.policy import OnboardClient, Policy
from workflows.sandbox import Faults

ACME = {"id": "C-77", "name": "Acme Corporation"}
BEFORE, WON_BACK, AFTER = "2026-11-20T09:00:00Z", "2026-11-22T09:00:00Z", "2026-11-23T08:30:00Z"


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


@pytest.fixture
def acme(tenant: Tenant) -> int:
    tenant.policy = Policy(onboard_client=OnboardClient(inactive_client="reactivate"))
    return int(tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation")))


def undated() -> Event:
    return event("client.churned", {"client": ACME, "undated": True})


def dated(at: str) -> Event:
    return event("client.churned", {"client": ACME, "effective_at": at})


def by_record(churn: Event) -> Event:
    """The same, read off an account that was edited."""
    told = {"type": "salesforce.account", "data": {"id": "C-77"}}
    return replace(churn, source="salesforce", payload=churn.payload | {"told": told})


async def wind_down(tenant: Tenant) -> None:
    await tenant.finish(event("client.churned", {"client": ACME, "undated": True}, timestamp=BEFORE), Notebook("r-01"))


async def win_back(tenant: Tenant, deal: dict[str, Any]) -> None:
    won = deal | {"deal": deal["deal"] | {"kind": "new", "contract": {}}}
    await tenant.finish(event("deal.won", won, timestamp=WON_BACK), Notebook("r-02"))


def is_inactive(tenant: Tenant, client_id: int) -> bool:
    return bool(tenant.rows("Client", id=client_id)[0]["inactive"])


async def asked(tenant: Tenant, churn: Event, notebook: Notebook | None = None) -> str:
    """What a person is asked before the client is wound down."""
    notebook = notebook or Notebook("r-03")
    with pytest.raises(Asleep):
        await tenant.claim(churn, notebook)
    (question,) = notebook.questions
    assert question.startswith("guard: ")
    return question


async def test_an_undated_churn_of_a_client_that_was_won_back_asks_and_may_be_a_second_end(
    tenant: Tenant, acme: int, deal: dict[str, Any]
) -> None:
    await wind_down(tenant)
    assert is_inactive(tenant, acme)
    await win_back(tenant, deal)

    notebook = Notebook("r-03")
    question = await asked(tenant, undated(), notebook)
    assert "nobody knows since when it has left, and it came back: Onboarded from won deal D-1001" in question
    assert "(2026-11-22 09:00 UTC). If it stays, reject this and correct what says that it left" in question
    assert not is_inactive(tenant, acme)

    notebook.answers["guard"] = None
    await tenant.finish(undated(), notebook)
    assert is_inactive(tenant, acme)


async def test_so_does_that_of_a_client_that_an_event_brought_back(tenant: Tenant, acme: int) -> None:
    await wind_down(tenant)
    await tenant.finish(event("client.reactivated", {"client": ACME}, timestamp=WON_BACK), Notebook("r-02"))

    assert "it came back: Brought back after its end (2026-11-22" in await asked(tenant, undated())
    assert not is_inactive(tenant, acme)


async def test_so_does_that_of_a_client_that_somebody_set_active(tenant: Tenant, acme: int) -> None:
    await wind_down(tenant)
    tenant.change("Client", acme, inactive=False)

    assert "it is active though its end was noted: Wound down; last service day" in await asked(tenant, undated())
    assert not is_inactive(tenant, acme)


async def test_so_does_that_of_a_client_that_had_left_by_hand_and_was_won_back(
    tenant: Tenant, acme: int, deal: dict[str, Any]
) -> None:
    tenant.change("Client", acme, inactive=True)
    await win_back(tenant, deal)

    assert "it came back: Onboarded from won deal D-1001" in await asked(tenant, undated())
    assert not is_inactive(tenant, acme)


async def test_that_of_a_client_that_never_left_asks_nothing(tenant: Tenant, acme: int, deal: dict[str, Any]) -> None:
    await win_back(tenant, deal)
    notebook = Notebook("r-03")
    await tenant.finish(by_record(undated()), notebook)
    assert is_inactive(tenant, acme)

    await tenant.finish(undated(), Notebook("r-04"))
    assert notebook.questions == []


@pytest.mark.parametrize("churn", [dated(BEFORE), by_record(dated(BEFORE))])
async def test_a_churn_from_before_the_return_asks(
    tenant: Tenant, acme: int, deal: dict[str, Any], churn: Event
) -> None:
    await wind_down(tenant)
    await win_back(tenant, deal)

    question = await asked(tenant, churn)
    assert "it is said to be gone since 2026-11-20 09:00 UTC, and it came back: Onboarded from won deal" in question
    assert not is_inactive(tenant, acme)


@pytest.mark.parametrize("churn", [dated(AFTER), by_record(dated(AFTER))])
async def test_a_churn_from_after_the_return_asks_nothing(
    tenant: Tenant, acme: int, deal: dict[str, Any], churn: Event
) -> None:
    await wind_down(tenant)
    await win_back(tenant, deal)

    await tenant.finish(churn, Notebook("r-03"))
    assert is_inactive(tenant, acme)


async def test_a_churn_read_late_off_its_record_asks_where_a_deal_was_won_since(
    tenant: Tenant, acme: int, deal: dict[str, Any]
) -> None:
    await win_back(tenant, deal)

    assert "it was won after that: Onboarded from won deal" in await asked(tenant, by_record(dated(BEFORE)))
    assert not is_inactive(tenant, acme)


async def test_where_notes_cannot_be_read_an_undated_churn_asks(tenant: Tenant, acme: int) -> None:
    tenant.sandbox.faults.forbid = frozenset({"GET /api/CRMNote"})

    assert "its notes, which tell whether it came back, cannot be read" in await asked(tenant, undated())
    assert not is_inactive(tenant, acme)


def told(kind: str, hour: int, **more: Any) -> Event:
    """What a CRM tells at an hour of one day."""
    at = MONDAY.replace(hour=hour)
    payload = {
        "type": kind,
        "timestamp": at.isoformat(),
        "data": {"client": {"id": "C-77", "name": "Client 77"}, **more},
    }
    return canonical_event("standard", f"{kind}-{hour}", payload, received_at=at)


async def states(lab: Laboratory, *events: Event) -> list[str]:
    """Deliver events one after the other, and return how their runs stand."""
    for one in events:
        await lab.deliver(one)
        await lab.look()
    return [run["state"] for run in await lab.runs()]


async def test_through_the_inbox_a_late_edit_of_a_client_that_is_back_waits_for_a_person(
    redis: Redis, valkey: str
) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=int(MONDAY.timestamp() * 1000)) as lab:
        left = told("client.churned", 9, undated=True)
        edited = [told("client.churned", hour, undated=True) for hour in (10, 12, 13)]

        assert await states(lab, left, edited[0]) == ["succeeded"]
        assert await states(lab, told("client.reactivated", 11)) == ["succeeded"] * 2
        assert await states(lab, *edited[1:]) == ["succeeded", "succeeded", "waiting"]
        (*_, waiting) = await lab.runs()
        assert "it came back: Brought back after its end" in waiting["waiting_for"]
        assert not lab.sandbox.state()["Client"][-1]["inactive"]


async def test_through_the_inbox_a_client_may_leave_come_back_and_leave_on_one_day(redis: Redis, valkey: str) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=int(MONDAY.timestamp() * 1000)) as lab:
        first = told("client.churned", 7, effective_at="2026-11-23T06:00:00Z")
        back = told("client.reactivated", 8)

        assert await states(lab, first, back) == ["succeeded"] * 2
        second = told("client.churned", 9, effective_at="2026-11-23T08:30:00Z")
        assert await states(lab, second, replace(second, id="standard:again")) == ["succeeded"] * 3
        assert lab.sandbox.state()["Client"][-1]["inactive"]


@pytest.fixture
def verbs(redis: Redis) -> Verbs:
    return Verbs(Scripts(redis, DOORBELL, clock=HELD_CLOCK))


async def win(lab: Laboratory, verbs: Verbs, hour: int) -> None:
    """A deal of the client is won at an hour, and a person says that the inactive client is meant."""
    await lab.deliver(deal_won(at=MONDAY.replace(hour=hour)))
    await lab.look()
    (*_, won) = await lab.runs()
    client = max(lab.sandbox.store["Client"].rows)
    await verbs.decide(won["id"], Operator("jane", "they are back"), approved=True, answer={"use": client})
    await lab.look()


def set_inactive(lab: Laboratory) -> None:
    clients = lab.sandbox.store["Client"]
    clients.change(clients.rows[max(clients.rows)], {"inactive": True})


async def test_through_the_inbox_a_win_leaves_a_churn_that_waits_for_a_person(
    redis: Redis, valkey: str, verbs: Verbs
) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=int(MONDAY.timestamp() * 1000)) as lab:
        client = max(lab.sandbox.store["Client"].rows)
        lab.sandbox.plant("ClientContract", {"client_id": client, "ref": "D-1", "end_date": "2027-06-30T00:00:00"})
        set_inactive(lab)
        assert await states(lab, told("client.churned", 6, undated=True)) == ["waiting"]

        await win(lab, verbs, 7)
        assert await states(lab, told("client.churned", 9, undated=True)) == ["waiting", "succeeded"]
        assert not lab.sandbox.state()["Client"][-1]["inactive"]

        (waiting, _) = await lab.runs()
        await verbs.decide(waiting["id"], Operator("jane", "they left"), approved=True)
        await lab.look()
        (waiting, _) = await lab.runs()
        assert "it was noted: Onboarded from won deal" in waiting["waiting_for"]


async def test_through_the_inbox_a_client_that_was_won_back_may_leave_anew(
    redis: Redis, valkey: str, verbs: Verbs
) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=int(MONDAY.timestamp() * 1000)) as lab:
        assert await states(lab, told("client.churned", 6, undated=True)) == ["succeeded"]
        await win(lab, verbs, 7)

        assert await states(lab, told("client.churned", 9, undated=True)) == ["succeeded", "succeeded", "waiting"]


async def test_through_the_inbox_an_update_alone_makes_no_new_churn_of_a_repeat(redis: Redis, valkey: str) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=int(MONDAY.timestamp() * 1000)) as lab:
        assert await states(lab, told("client.churned", 6, undated=True)) == ["succeeded"]

        again = told("client.churned", 9, undated=True)
        assert await states(lab, told("client.updated", 8), again) == ["succeeded", "succeeded"]


async def test_through_the_inbox_a_churn_is_a_new_one_once_the_crm_had_the_client_as_one_again(
    redis: Redis, valkey: str
) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=int(MONDAY.timestamp() * 1000)) as lab:
        assert await states(lab, told("client.churned", 6, undated=True)) == ["succeeded"]
        clients = lab.sandbox.store["Client"]
        clients.change(clients.rows[max(clients.rows)], {"inactive": False})
        assert await states(lab, told("client.churned", 7, undated=True)) == ["succeeded"]

        again = told("client.churned", 9, undated=True)
        assert await states(lab, told("client.updated", 8, stays=True), again) == ["succeeded", "succeeded", "waiting"]
