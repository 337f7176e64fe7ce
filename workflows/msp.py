"""The MSP that a run works for: what every workflow is given beside its run and its event."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from worker.run import Guard, Run
from workflows.halopsa import Halo, HaloConnection
from workflows.halopsa.dryrun import PlannedWrite
from workflows.policy import Policy
from workflows.policy.file import restore_policy


@dataclass(frozen=True, slots=True)
class Msp:
    """One managed service provider.

    Attributes:
        halo: its HaloPSA, guarded by the run.
        policy: its business rules, as they were when the run began.
    """

    halo: Halo
    policy: Policy


def msp_for_run(connection: HaloConnection) -> Callable[[Run, str], Msp]:
    """Make what gives each run its MSP, by the policy (JSON) that the run began with."""
    return lambda run, rules: Msp(connection.for_run(run), _policy(rules))


def msp_for_plan(connection: HaloConnection, policy: Policy, guard: Guard, note: Callable[[PlannedWrite], None]) -> Msp:
    """Give a plan its MSP: one that cannot be written to.

    Args:
        connection: the way to HaloPSA.
        policy: the rules.
        guard: stands before the reads.
        note: is told each write that would be made.
    """
    return Msp(connection.for_plan(guard, note), policy)


@lru_cache(maxsize=8)
def _policy(rules: str) -> Policy:
    return restore_policy(rules)
