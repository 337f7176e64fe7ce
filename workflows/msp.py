"""The MSP that a run works for: what every workflow is given beside its run and its event."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from worker.events import Event
from worker.run import Guard, Run
from workflows.halopsa import Halo, HaloConnection
from workflows.halopsa.dryrun import PlannedWrite
from workflows.policy import Policy
from workflows.policy.file import restore_policy
from workflows.rmm import Rmm, RmmWebhook, planned_rmm


class Crm(Protocol):
    """The CRMs that deals come from."""

    async def note_on_deal(self, event: Event, text: str, guard: Guard) -> bool:
        """Write a note on the deal of an event, once.

        Returns:
            Whether it was written now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Msp:
    """One managed service provider.

    Attributes:
        halo: its HaloPSA, guarded by the run.
        policy: its business rules, as they were when the run began.
        crm: where its deals come from; None where no CRM is connected, and in plans.
        rmm: its RMM's webhook, guarded by the run; None where none is set.
    """

    halo: Halo
    policy: Policy
    crm: Crm | None = None
    rmm: Rmm | None = None


def msp_for_run(
    connection: HaloConnection, crm: Crm | None = None, rmm: RmmWebhook | None = None
) -> Callable[[Run, str], Msp]:
    """Make what gives each run its MSP, by the policy (JSON) that the run began with."""
    return lambda run, rules: Msp(connection.for_run(run), _policy(rules), crm, rmm.for_run(run) if rmm else None)


def msp_for_plan(connection: HaloConnection, policy: Policy, guard: Guard, note: Callable[[PlannedWrite], None]) -> Msp:
    """Give a plan its MSP: one that cannot be written to.

    Args:
        connection: the way to HaloPSA.
        policy: the rules.
        guard: stands before the reads.
        note: is told each write that would be made.
    """
    return Msp(connection.for_plan(guard, note), policy, rmm=planned_rmm(guard, note))


@lru_cache(maxsize=8)
def _policy(rules: str) -> Policy:
    return restore_policy(rules)
