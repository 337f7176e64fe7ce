"""Plans: what a run would write, found out without writing anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from worker.errors import NeedsOperator
from worker.events import Event
from worker.journal.records import RunRecord, read_event
from worker.planned_run import Plan, PlannedRun, draw_up
from worker.run import Guard, Workflow
from workflows.halopsa import HaloConnection
from workflows.msp import Msp, msp_for_plan
from workflows.policy import Policy
from workflows.policy.file import restore_policy
from workflows.registry import WORKFLOWS

FINISHED: Final = frozenset({"succeeded", "skipped", "marked_done"})
NEW_RUN: Final = "(not started)"


@dataclass(frozen=True, slots=True)
class Planner:
    """Draws up plans against one HaloPSA.

    Attributes:
        connection: the way to it.
        policy: the rules of runs that have not begun.
    """

    connection: HaloConnection
    policy: Policy

    async def of_event(self, event: Event, guard: Guard) -> list[Plan]:
        """Plan every run that an event would start.

        Raises:
            NeedsOperator: nothing begins with such an event.
            RetryLater: HaloPSA cannot be asked now.
        """
        workflows = [workflow for workflow in WORKFLOWS if workflow.on == event.type]
        if not workflows:
            known = ", ".join(sorted({workflow.on for workflow in WORKFLOWS}))
            raise NeedsOperator(f"No workflow begins with {event.type!r}; there are {known}.")
        return [await self.of_new_run(workflow, guard, event) for workflow in workflows]

    async def of_new_run(self, workflow: Workflow[Msp], guard: Guard, event: Event, rules: str = "") -> Plan:
        """Plan a run from its beginning.

        Args:
            workflow: what would run.
            guard: stands before the reads.
            event: what it begins with.
            rules: the policy as JSON; empty: this planner's.
        """
        policy = restore_policy(rules) if rules else self.policy
        plan = Plan(workflow.name, workflow.route(event).client)
        run = PlannedRun(plan, guard, id=NEW_RUN, now=datetime.now(UTC))
        return await self._drawn(plan, workflow, run, policy, event)

    async def of_run(self, record: RunRecord, guard: Guard) -> Plan:
        """Plan what is left of a run.

        Raises:
            NeedsOperator: no workflow here fits it.
            RetryLater: HaloPSA cannot be asked now.
        """
        name, version = record.fields["workflow"], int(record.fields["version"])
        workflow = next((one for one in WORKFLOWS if (one.name, one.version) == (name, version)), None)
        if workflow is None:
            raise NeedsOperator(f"No workflow here is {name} version {version}.")
        plan = Plan(workflow.name, record.fields["client"])
        began = int(record.fields.get("started", record.fields["created"]))
        run = PlannedRun(
            plan,
            guard,
            id=record.id,
            now=datetime.fromtimestamp(began / 1000, UTC),
            finished=_finished(record),
            newer=record.fields.get("newer"),
        )
        event = read_event(record.fields["event"], record.event)
        return await self._drawn(plan, workflow, run, self.policy, event)

    async def _drawn(self, plan: Plan, workflow: Workflow[Msp], run: PlannedRun, policy: Policy, event: Event) -> Plan:
        msp = msp_for_plan(self.connection, policy, run, run.note)
        return await draw_up(plan, workflow.plan, run, msp, event)


def _finished(record: RunRecord) -> Mapping[str, Any]:
    return {step["id"]: step["result"] for step in record.steps() if step["state"] in FINISHED}


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
