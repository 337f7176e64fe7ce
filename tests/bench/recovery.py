"""How long a run stands still when its worker is killed."""

import asyncio
import random
import time

from tests.bench.world import World, deals

HOLD_S = 0.25
"""HaloPSA's answers come so late that the kill falls into a run."""


async def measure_recovery(world: World, *, kills: int) -> list[float]:
    """Kill a worker with ``kill -9`` somewhere in an onboarding and start another, as a supervisor does.

    Returns:
        For each kill the seconds until HaloPSA saw the run's next request.
    """
    await world.hold(HOLD_S)
    spans = [await _kill_one(world, 90_000_000 + number) for number in range(kills)]
    await world.hold(0)
    return spans


async def _kill_one(world: World, number: int) -> float:
    goal = await world.succeeded() + 1
    victim = await world.start_worker()
    await world.seen()
    await world.store.journal.ingest(deals([number]))
    while not await world.seen():  # noqa: ASYNC110 - what is waited for happens in another process
        await asyncio.sleep(0.01)
    await asyncio.sleep(random.uniform(0, 6 * HOLD_S))
    victim.kill()
    killed = time.monotonic()
    await victim.wait()
    await world.seen()
    world.processes.remove(victim)
    heir = await world.start_worker()
    await world.until_succeeded(goal)
    requests = [request.at for request in await world.seen() if "/api/Client" in request.target]
    await world.stop(heir)
    return min(at for at in requests if at > killed) - killed
