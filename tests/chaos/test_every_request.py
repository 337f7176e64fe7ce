"""Every single request of every workflow goes wrong once, in every way, and the run ends as if nothing had happened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.chaos.edges import HALO_MISHAPS, VALKEY_MISHAPS, Course, Mishap
from tests.chaos.laboratory import Laboratory, laboratory
from tests.chaos.scale import LONG, SEED
from tests.chaos.tenants import MONDAY, TENANTS, picture
from worker.run import Workflow
from workflows.halopsa import Halo
from workflows.registry import WORKFLOWS

STARTED = int(MONDAY.timestamp() * 1000)


@dataclass(frozen=True)
class Ended:
    """How a run ended, and what it asked of the world on the way."""

    state: str
    tenant: str
    steps: list[dict[str, Any]]
    operations: list[str]
    ghosts: list[str]

    @property
    def order(self) -> list[str]:
        """The steps' ids by the time of their start."""
        return [step["id"] for step in sorted(self.steps, key=lambda step: str(step["started_at"]))]

    def kept(self, order: list[str]) -> bool:
        """Whether the steps are these, and none began before the one ahead of it was over."""
        steps = {step["id"]: step for step in self.steps}
        return steps.keys() == set(order) and all(
            steps[ahead]["finished_at"] <= steps[behind]["started_at"] for ahead, behind in pairwise(order)
        )


@dataclass(frozen=True)
class Bench:
    """A store, and how its workers work."""

    redis: Redis
    url: str
    suspend_always: bool

    async def run(self, workflow: Workflow[Halo], mishap: tuple[int, Mishap] | None = None) -> Ended:
        """Let the workflow's event run to its end, with one mishap at the most."""
        course = Course(mishap)
        async with self._with_the_event(workflow, course) as lab:
            await lab.run_to_the_end()
            (run,) = await lab.runs()
            state = f"{run['state']} {run['error'] or ''}".rstrip()
            tenant = picture(lab.sandbox, run["id"])
            return Ended(state, tenant, run["steps"], course.operations, course.ghosts)

    @asynccontextmanager
    async def _with_the_event(self, workflow: Workflow[Halo], course: Course) -> AsyncIterator[Laboratory]:
        tenant, event = TENANTS[workflow.name]
        async with laboratory(
            self.redis, self.url, tenant(), course=course, now=STARTED, suspend_always=self.suspend_always
        ) as lab:
            await lab.deliver(event())
            yield lab


@pytest.fixture(params=[False, True], ids=["ordinary", "suspend-always"])
def bench(redis: Redis, valkey: str, request: pytest.FixtureRequest) -> Bench:
    return Bench(redis, valkey, bool(request.param))


def exposed(operations: list[str], mishap: Mishap) -> list[int]:
    """The operations with which a mishap can happen."""
    numbered = list(enumerate(operations))
    return [number for number, name in numbered if mishap in VALKEY_MISHAPS or name.startswith("POST /api/")]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
@pytest.mark.parametrize("mishap", HALO_MISHAPS)
async def test_whatever_goes_wrong_with_one_request_halopsa_ends_as_if_every_step_ran_once(
    bench: Bench, workflow: Workflow[Halo], mishap: Mishap
) -> None:
    # In this mode every step starts in a second of its own, so that their order is beyond doubt.
    order = (await replace(bench, suspend_always=True).run(workflow)).order
    clean = await bench.run(workflow)
    assert clean.state == "succeeded"

    every = 1 if LONG else 6 if bench.suspend_always else 3
    for number in exposed(clean.operations, mishap)[SEED % every :: every]:
        ended = await bench.run(workflow, (number, mishap))
        where = f"{mishap} at {number}, {clean.operations[number]} (seed {SEED})"
        assert ended.state == "succeeded", where
        assert ended.tenant == clean.tenant, where
        assert ended.kept(order), where
        assert not ended.ghosts, where
