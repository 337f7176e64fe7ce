"""The MSP that a run works for: what every workflow is given beside its run and its event."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from worker.run import Run
from workflows.halopsa import Halo, HaloConnection
from workflows.policy import Policy


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


@lru_cache(maxsize=8)
def _policy(rules: str) -> Policy:
    return Policy.model_validate_json(rules)
