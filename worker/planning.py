"""Plans: what a run would write, found out without writing anything."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from worker.assemble import Store, budget_of, halo_connection, policy_of
from worker.budget import WaitingGuard
from worker.errors import NeedsOperator
from worker.events import Event
from worker.journal.records import RunRecord, read_event
from worker.planned_run import Plan, PlannedRun, draw_up
from worker.run import Workflow
from worker.settings import Settings
from workflows.halopsa import HaloConnection
from workflows.msp import Msp, msp_for_plan
from workflows.policy import Policy
from workflows.registry import WORKFLOWS

FINISHED = frozenset({"succeeded", "skipped", "marked_done"})
NEW_RUN = "(not started)"


@dataclass(frozen=True, slots=True)
class Planner:
    """Draws up plans against one HaloPSA.

    Attributes:
        connection: the way to it.
        policy: the rules of runs that have not begun.
        store: whose request budget is used; None where there is none.
        settings: the budget's size.
    """

    connection: HaloConnection
    policy: Policy
    store: Store | None
    settings: Settings

    async def of_event(self, event: Event) -> list[Plan]:
        """Plan every run that an event would start.

        Raises:
            NeedsOperator: nothing begins with such an event.
            RetryLater: HaloPSA cannot be asked now.
        """
        workflows = [workflow for workflow in WORKFLOWS if workflow.on == event.type]
        if not workflows:
            known = ", ".join(sorted({workflow.on for workflow in WORKFLOWS}))
            raise NeedsOperator(f"No workflow begins with {event.type!r}; there are {known}.")
        return [await self._plan(workflow, event, datetime.now(UTC)) for workflow in workflows]

    async def of_run(self, record: RunRecord, policy: Policy | None = None) -> Plan:
        """Plan what is left of a run.

        Raises:
            NeedsOperator: no workflow here fits it.
            RetryLater: HaloPSA cannot be asked now.
        """
        name, version = record.fields["workflow"], int(record.fields["version"])
        workflow = next((one for one in WORKFLOWS if (one.name, one.version) == (name, version)), None)
        if workflow is None:
            raise NeedsOperator(f"No workflow here is {name} version {version}.")
        began = record.fields.get("started", record.fields["created"])
        return await self._plan(
            workflow,
            read_event(record.fields["event"], record.event),
            datetime.fromtimestamp(int(began) / 1000, UTC),
            run=record.id,
            finished={step["id"]: step["result"] for step in record.steps() if step["state"] in FINISHED},
            newer=record.fields.get("newer"),
            policy=policy,
        )

    async def _plan(
        self,
        workflow: Workflow[Msp],
        event: Event,
        began: datetime,
        *,
        run: str = NEW_RUN,
        finished: Mapping[str, Any] | None = None,
        newer: str | None = None,
        policy: Policy | None = None,
    ) -> Plan:
        plan = Plan(workflow.name, workflow.route(event).client)
        budget = budget_of(self.settings, self.store) if self.store else None
        guard = WaitingGuard(budget, bulk=False)
        planned = PlannedRun(plan, guard, id=run, now=began, finished=finished, newer=newer)
        msp = msp_for_plan(self.connection, policy or self.policy, planned, planned.note)
        return await draw_up(plan, workflow.plan, planned, msp, event)


@asynccontextmanager
async def open_planner(settings: Settings, store: Store | None) -> AsyncIterator[Planner]:
    """Put together what draws up plans.

    Raises:
        BadSettings: HaloPSA is not configured, or the policy file is not valid.
    """
    policy = policy_of(settings)
    connection = halo_connection(settings, policy)
    try:
        yield Planner(connection, policy, store, settings)
    finally:
        await connection.aclose()


def as_json(plans: Sequence[Plan]) -> dict[str, Any]:
    """Put plans into one object: ``writes`` of all, and each with its steps and waits."""
    return {
        "writes": [write for plan in plans for write in plan.writes],
        "waits": [wait for plan in plans for wait in plan.waits],
        "problems": [plan.problem for plan in plans if plan.problem],
        "requests": sum(plan.requests for plan in plans),
        "runs": [
            {"workflow": plan.workflow, "client": plan.client, "steps": plan.steps, "problem": plan.problem}
            for plan in plans
        ],
    }
