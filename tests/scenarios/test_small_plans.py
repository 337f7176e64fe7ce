"""Plans of the smaller workflows write nothing, and are what the runs then write."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.chaos.tenants import (
    about_a_contact,
    about_the_client,
    tenant_that_was_left,
    tenant_with_a_client,
    tenant_with_a_contact,
)
from tests.memory_run import STARTED
from tests.tenant import Tenant
from worker.budget import WaitingGuard
from worker.events import Event
from worker.planned_run import Plan, PlannedRun, draw_up
from workflows.msp import msp_for_plan
from workflows.registry import WORKFLOWS
from workflows.sandbox import Sandbox

CASES: dict[str, tuple[Callable[[], Sandbox], Event]] = {
    "onboard_contact": (tenant_with_a_client, about_a_contact("contact.created")),
    "depart_contact": (tenant_with_a_contact, about_a_contact("contact.departed")),
    "update_client": (tenant_with_a_client, about_the_client("client.updated")),
    "reactivate_client": (tenant_that_was_left, about_the_client("client.reactivated")),
}


async def plan_of(tenant: Tenant, happened: Event) -> Plan:
    (workflow,) = [workflow for workflow in WORKFLOWS if workflow.on == happened.type]
    plan = Plan(workflow.name, "")
    run = PlannedRun(plan, WaitingGuard(None, bulk=False), id="r-1", now=STARTED)
    return await draw_up(
        plan, workflow.plan, run, msp_for_plan(tenant.connection, tenant.policy, run, run.note), happened
    )


def writes(requests: list[httpx.Request]) -> list[tuple[str, Any]]:
    """What was written, without the notes, whose times differ, and ids, for which plans have placeholders."""
    sent = [(one.url.path.removeprefix("/api"), json.loads(one.content)) for one in requests if one.method == "POST"]
    return [(path, without_ids(body)) for path, body in sent if path != "/CRMNote"]


def without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "id" if name.endswith("id") else without_ids(inner) for name, inner in value.items()}
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", CASES)
async def test_a_plan_writes_nothing_and_is_what_the_run_writes(name: str) -> None:
    sandbox, happened = CASES[name]
    tenant = Tenant(sandbox())
    before = tenant.picture()

    plan = await plan_of(tenant, happened)

    assert (tenant.picture(), plan.problem) == (before, None)
    await tenant.finish(happened)
    planned = [(one["path"], without_ids(one["body"])) for one in plan.writes if one["path"] != "/CRMNote"]
    assert planned == writes(tenant.wire.requests)
    assert planned
