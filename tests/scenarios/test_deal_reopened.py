"""A won deal that is open again."""

from typing import Any

import pytest

from tests.memory_run import Asleep, Notebook
from tests.tenant import AFTER, BEFORE, DAYS, Tenant, event
from worker.run import Halted
from workflows.canonical import InvalidEvent
from workflows.policy.changes import DealReopened
from workflows.policy.parts import OwnTicket
from workflows.routes import onboarding_route
from workflows.sandbox import Faults

TASK = OwnTicket(client="Example MSP", ticket_type="Service Request", summary="Deal {deal.id} of {client.name} is open")


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


def stopped(deal: dict[str, Any], how: Halted) -> Notebook:
    """A run's notebook that finds the deal's onboarding so."""
    return Notebook(halts={onboarding_route(event("deal.won", deal)).fact: how})


def with_a_task(tenant: Tenant) -> None:
    tenant.policy = tenant.policy.model_copy(update={"deal_reopened": DealReopened(task=TASK)})


@pytest.mark.parametrize("how", ["none", "newer", "cancelled"])
async def test_an_onboarding_that_had_not_begun_leaves_nothing_behind(
    tenant: Tenant, deal: dict[str, Any], how: Halted
) -> None:
    before, notebook = tenant.picture(), stopped(deal, how)

    result = await tenant.finish(event("deal.reopened", deal), notebook)

    assert (result.onboarding, result.client_id) == (how, None)
    assert [workflow for workflow, _, _ in notebook.halted] == ["onboard_client"]
    assert "Deal D-1001 Acme, managed services is open again" in notebook.remarks["outcome"]
    assert tenant.picture() == before


async def test_an_onboarding_at_work_is_paused_and_the_client_says_so(tenant: Tenant, deal: dict[str, Any]) -> None:
    client = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation"))

    result = await tenant.finish(event("deal.reopened", deal), stopped(deal, "paused"))

    assert (result.onboarding, result.client_id, result.ticket_ids) == ("paused", client, [])
    (note,) = tenant.rows("CRMNote", client_id=client)
    assert "onboarding: ended: its onboarding is paused before its next write" in note["note"]


async def test_a_finished_onboarding_becomes_a_task_and_nothing_is_undone(tenant: Tenant, deal: dict[str, Any]) -> None:
    with_a_task(tenant)
    won = await tenant.finish(event("deal.won", deal))
    tenant.sandbox.plant("ClientContract", {"client_id": won.client_id, "ref": "D-9"})
    before = {entity: tenant.rows(entity) for entity in ("Client", "Site", "Users", "ClientContract")}

    result = await tenant.finish(event("deal.reopened", deal), stopped(deal, "finished"))

    assert (result.client_id, result.contract_ids) == (won.client_id, [won.contract_id])
    (task,) = tenant.rows("Tickets")
    assert (result.ticket_ids, task["client_id"]) == ([task["id"]], 1)
    assert task["summary"].startswith("Deal D-1001 of Acme Corporation is open")
    assert f"({won.client_id})" in task["details"]
    assert {entity: tenant.rows(entity) for entity in before} == before
    note = tenant.rows("CRMNote", client_id=won.client_id)[-1]["note"]
    assert f"contract {won.contract_id} (D-1001): left" in note
    assert f"ticket {task['id']}: made" in note


async def test_without_a_task_in_the_policy_a_person_is_asked(tenant: Tenant, deal: dict[str, Any]) -> None:
    notebook = stopped(deal, "finished")

    with pytest.raises(Asleep):
        await tenant.claim(event("deal.reopened", deal), notebook)

    (question,) = notebook.questions
    assert "Deal D-1001 is open again after its onboarding; HaloPSA shows no such client" in question


async def test_a_reopening_names_its_deal_and_client(tenant: Tenant) -> None:
    with pytest.raises(InvalidEvent, match=r"Deal id is required.*Client id or name is required"):
        await tenant.finish(event("deal.reopened", {}))


@pytest.mark.parametrize("mishap", [*BEFORE, *AFTER])
async def test_whatever_goes_wrong_once_there_is_one_task(dialect: Any, deal: dict[str, Any], mishap: str) -> None:
    reopened = event("deal.reopened", deal)
    clean = Tenant(dialect=dialect)
    clean.sandbox.plant("Client", clean.keyed("C-77", name="Acme Corporation"))
    with_a_task(clean)
    await clean.finish(reopened, stopped(deal, "finished"))
    for number in range(1, len(clean.wire.calls) + 1):
        tenant = Tenant(dialect=dialect)
        tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation"))
        with_a_task(tenant)
        tenant.wire.mishaps = {number: mishap}
        await tenant.finish(reopened, stopped(deal, "finished"))
        assert (len(tenant.rows("Tickets")), len(tenant.rows("CRMNote"))) == (1, 1), f"{mishap} at {number}"
