"""A client that is won again while it waits for its last day is not wound down without a question."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from redis.asyncio import Redis

from tests.chaos.laboratory import HELD_CLOCK, laboratory
from tests.chaos.tenants import MONDAY, churned, deal_won, tenant_with_a_client
from tests.memory_run import STARTED, Asleep, Notebook
from tests.tenant import Tenant, event
from worker.assemble.store import DOORBELL
from worker.journal.scripts import Scripts
from worker.journal.verbs import Operator, Verbs

LEAVES = event("client.churned", {"client": {"id": "C-77"}, "last_service_day": "2026-12-31"})


@pytest.fixture
def time_stands_still() -> Iterator[None]:
    """Reports bear the time."""
    with time_machine.travel(STARTED, tick=False):
        yield


@pytest.fixture
async def client_id(tenant: Tenant, deal: dict[str, Any], time_stands_still: None) -> int:  # noqa: ARG001 - only its effect
    """An onboarded client with a contract that rolls."""
    onboarded = await tenant.finish(event("deal.won", deal), Notebook(run="r-0"))
    return int(onboarded.client_id)


async def asked(tenant: Tenant, notebook: Notebook) -> str:
    """Let the day come, and return what a person is asked."""
    notebook.clock = STARTED + timedelta(days=60)
    with pytest.raises(Asleep):
        await tenant.claim(LEAVES, notebook)
    (question,) = notebook.questions
    return question


async def wait_for_the_day(tenant: Tenant) -> Notebook:
    notebook = Notebook()
    with pytest.raises(Asleep, match="last service day"):
        await tenant.claim(LEAVES, notebook)
    return notebook


async def test_a_won_deal_is_asked_about_and_named(tenant: Tenant, client_id: int, deal: dict[str, Any]) -> None:
    notebook = await wait_for_the_day(tenant)
    again = deal | {"deal": deal["deal"] | {"id": "D-2002", "kind": "addition"}}
    result = await tenant.finish(event("deal.won", again), Notebook(run="r-2"))

    question = await asked(tenant, notebook)
    assert question.startswith("won-meanwhile: Since the notice of Acme Corporation")
    assert f"contract {result.contract_id} D-2002 was made" in question
    assert "it was noted: Addition, won deal D-2002" in question
    assert not tenant.rows("Client", id=client_id)[0]["inactive"]

    notebook.answers["won-meanwhile"] = None
    tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "after the yes"})
    churn = await tenant.claim(LEAVES, notebook)
    assert result.contract_id in churn.ended_contract_ids
    assert tenant.rows("Tickets", client_id=client_id)[0]["hasbeenclosed"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"end_date": "2026-12-31T00:00:00"}, {"end_date": "2027-12-31T00:00:00"}),
        ({"end_date": "2026-12-31T00:00:00"}, {"end_date": "1899-12-30T00:00:00"}),
        ({"end_date": "2026-12-31T00:00:00"}, {"rollingcontract": True}),
    ],
)
async def test_a_contract_that_was_extended_is_asked_about(
    tenant: Tenant, client_id: int, before: dict[str, Any], after: dict[str, Any]
) -> None:
    contract = tenant.sandbox.plant("ClientContract", {"client_id": client_id, "ref": "OLD", **before})
    notebook = await wait_for_the_day(tenant)
    tenant.change("ClientContract", contract, **after)

    assert f"contract {contract} OLD was extended to" in await asked(tenant, notebook)


async def test_a_project_that_was_won_is_asked_about_though_no_contract_tells(tenant: Tenant, client_id: int) -> None:
    notebook = await wait_for_the_day(tenant)
    text = "Project, won deal D-3 Firewall<br/>Run r-3 (onboard_client), begun<br/>Parhelion run r-3: report"
    tenant.sandbox.plant("CRMNote", {"client_id": client_id, "note": text})

    assert "it was noted: Project, won deal D-3 Firewall." in await asked(tenant, notebook)


async def test_what_else_happens_meanwhile_is_not_asked_about(tenant: Tenant, client_id: int) -> None:
    old = tenant.sandbox.plant("ClientContract", {"client_id": client_id, "end_date": "2027-12-31T00:00:00"})
    notebook = await wait_for_the_day(tenant)
    tenant.change("ClientContract", old, end_date="2026-11-30T00:00:00")
    tenant.sandbox.plant("ClientContract", {"client_id": client_id, "active": False})
    tenant.sandbox.plant("CRMNote", {"client_id": client_id, "note": "Called about the handover"})

    await tenant.finish(LEAVES, notebook)
    assert notebook.questions == []


async def test_the_engine_asks_too(redis: Redis, valkey: str) -> None:
    now = int(MONDAY.timestamp() * 1000)
    async with laboratory(redis, valkey, tenant_with_a_client(), now=now) as lab:
        await lab.deliver(churned(leaves=timedelta(days=3)))
        await lab.look()
        await lab.deliver(deal_won(at=MONDAY + timedelta(days=1)))
        await lab.look()
        churn, won = await lab.runs()
        assert (churn["state"], won["state"]) == ("waiting", "succeeded"), won

        await lab.run_to_the_end()
        churn, _ = await lab.runs()
        assert "Wind the client down all the same?" in churn["waiting_for"]
        assert "Onboarded from won deal D-77" in churn["waiting_for"]
        assert not lab.sandbox.state()["Client"][-1]["inactive"]

        verbs = Verbs(Scripts(redis, DOORBELL, clock=HELD_CLOCK))
        await verbs.decide(churn["id"], Operator("ada", "they go all the same"), approved=True)
        await lab.run_to_the_end()
        churn, _ = await lab.runs()
        assert churn["state"] == "succeeded", churn["error"]
        assert lab.sandbox.state()["Client"][-1]["inactive"]
