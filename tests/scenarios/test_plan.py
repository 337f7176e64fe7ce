"""A plan writes nothing, and shows exactly what the run then writes."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.memory_run import STARTED, Notebook, restored
from tests.tenant import Crash, Tenant, event
from worker.budget import WaitingGuard
from worker.events import Event
from worker.planned_run import Plan, PlannedRun, draw_up
from workflows.msp import msp_for_plan
from workflows.registry import WORKFLOWS


async def plan_of(tenant: Tenant, happened: Event, finished: Mapping[str, Any] | None = None) -> Plan:
    (workflow,) = [workflow for workflow in WORKFLOWS if workflow.on == happened.type]
    plan = Plan(workflow.name, "")
    guard = WaitingGuard(None, bulk=False)
    run = PlannedRun(plan, guard, id="r-1", now=STARTED, finished=finished)
    msp = msp_for_plan(tenant.connection, tenant.policy, run, run.note)
    return await draw_up(plan, workflow.plan, run, msp, happened)


def writes_since(tenant: Tenant, before: int) -> list[httpx.Request]:
    return [request for request in tenant.wire.requests[before:] if request.method == "POST"]


def paths(writes: list[httpx.Request]) -> list[str]:
    return [request.url.path.removeprefix("/api") for request in writes]


async def test_a_plan_of_a_fresh_client_writes_nothing_and_is_what_the_run_writes(
    tenant: Tenant, deal: dict[str, Any]
) -> None:
    won = event("deal.won", deal)
    picture = tenant.picture()

    plan = await plan_of(tenant, won)

    assert tenant.picture() == picture
    assert writes_since(tenant, 0) == []
    assert plan.problem is None
    await tenant.finish(won)
    made = writes_since(tenant, 0)
    assert [write["path"] for write in plan.writes] == paths(made)
    planned_fields = [sorted(row) for write in plan.writes for row in write["body"]]
    assert planned_fields == [sorted(row) for request in made for row in json.loads(request.content)]


def without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "id" if name.endswith("id") else without_ids(inner) for name, inner in value.items()}
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value


async def test_the_planned_payloads_are_the_ones_that_are_sent(tenant: Tenant, deal: dict[str, Any]) -> None:
    won = event("deal.won", deal)
    planned = [without_ids(write["body"]) for write in (await plan_of(tenant, won)).writes if write["step"] != "report"]

    await tenant.finish(won)

    sent = [without_ids(json.loads(request.content)) for request in writes_since(tenant, 0)]
    assert planned == sent[: len(planned)]
    assert len(sent) == len(planned) + 1


async def test_a_plan_of_a_half_done_client_leaves_out_what_is_done(tenant: Tenant, deal: dict[str, Any]) -> None:
    won, notebook = event("deal.won", deal), Notebook()
    whole = [write["path"] for write in (await plan_of(tenant, won)).writes]
    begun = len(tenant.wire.requests)
    tenant.wire.mishaps = dict.fromkeys(range(begun + 3, begun + 30), "crash before")
    with pytest.raises((AssertionError, Crash)):
        await tenant.finish(won, notebook)
    tenant.wire.mishaps = {}
    tenant.restart()
    before = len(writes_since(tenant, 0))
    assert 0 < before < len(whole)

    plan = await plan_of(tenant, won, {step: restored(notebook, step) for step in notebook.steps})

    assert len(writes_since(tenant, 0)) == before
    assert [write["path"] for write in plan.writes] == whole[len(whole) - len(plan.writes) :]
    assert [step["step"] for step in plan.steps if step["done"]] == list(notebook.steps)


async def test_a_plan_shows_waits_and_questions_without_waiting(tenant: Tenant, deal: dict[str, Any]) -> None:
    await tenant.finish(event("deal.won", deal))
    before = tenant.picture()
    leaves = event("client.churned", {"client": {"id": "C-77"}, "last_service_day": "2026-12-31"})

    plan = await plan_of(tenant, leaves)

    assert tenant.picture() == before
    assert any("2027-01-01 00:00 UTC" in wait for wait in plan.waits)
    assert plan.problem is None, plan.problem
    start = len(tenant.wire.requests)
    await tenant.finish(leaves)
    assert [write["path"] for write in plan.writes] == paths(writes_since(tenant, start))


async def test_a_plan_that_would_stop_says_why(tenant: Tenant) -> None:
    plan = await plan_of(tenant, event("client.churned", {"client": {"id": "C-404"}}))

    assert plan.problem is not None
    assert "C-404" in plan.problem
    assert plan.writes == []


async def test_the_last_guard_lets_no_write_out_either(tenant: Tenant) -> None:
    run = PlannedRun(Plan("onboard_client", ""), WaitingGuard(None, bulk=False), id="r-1", now=STARTED)

    with pytest.raises(RuntimeError, match="would have written"):
        await tenant.connection.for_run(run).clients.create(name="Acme")  # a run's access, not a plan's

    assert writes_since(tenant, 0) == []
