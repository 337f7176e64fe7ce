"""Many deals at once and a look-alike that limits requests, as HaloPSA does: two workers keep to one budget."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.bench.world import deals
from tests.chaos.scale import LONG
from tests.integration.processes import Halo, Process, look_alike, until
from worker.assemble.store import open_store
from worker.journal.records import RunRecord

REQUESTS, WINDOW_S, DEALS = (100, 10, 60) if LONG else (60, 2, 24)


@pytest.fixture
async def halo() -> AsyncIterator[Halo]:
    async with look_alike() as halo:
        yield halo
    await Process.end_all()


def environment(valkey: str, halo: Halo, budget: int) -> dict[str, str]:
    return {
        "PARHELION_REDIS_URL": valkey,
        "PARHELION_HALO_URL": halo.url,
        "PARHELION_HALO_CLIENT_ID": "parhelion",
        "PARHELION_HALO_CLIENT_SECRET": "sandbox-secret",
        "PARHELION_HALO_BUDGET_REQUESTS": str(budget),
        "PARHELION_HALO_BUDGET_WINDOW_S": str(WINDOW_S),
        "PARHELION_LOG_FORMAT": "json",
    }


async def flood(valkey: str, halo: Halo, *, budget: int, killing: bool = False) -> list[RunRecord]:
    """Let two workers onboard all deals at once against the limited look-alike; returns the runs."""
    await halo.faults(rate_limit={"requests": REQUESTS, "window_s": WINDOW_S})
    env = environment(valkey, halo, budget)
    async with open_store(valkey) as store:
        await store.scripts.read("FLUSHALL")
        workers = [await Process.start("worker", env=env) for _ in range(2)]

        async def both_work() -> bool:
            return len(await store.reader.workers()) == 2

        async def ended() -> int:
            counts = await store.reader.counts()
            return counts["succeeded"] + counts["failed"]

        async def some_have_ended() -> bool:
            return await ended() > 0

        async def all_have_ended() -> bool:
            return await ended() == DEALS

        await until(both_work)
        await store.journal.ingest(deals(range(DEALS)))
        if killing:
            await until(some_have_ended)
            await workers[0].kill()
            await Process.start("worker", env=env)
        await until(all_have_ended, within=150)
        return await store.reader.runs()


async def refused(halo: Halo) -> int:
    async with httpx.AsyncClient() as client:
        return int((await client.get(f"{halo.url}/sandbox/faults")).json()["happened"].get("rate_limit", 0))


AT_LENGTH = pytest.mark.skipif(not LONG, reason="make chaos only")


@pytest.mark.timeout(200)
@pytest.mark.parametrize("killing", [False, pytest.param(True, marks=AT_LENGTH)])
async def test_two_workers_keep_to_the_limit_and_all_deals_succeed(valkey: str, halo: Halo, *, killing: bool) -> None:
    runs = await flood(valkey, halo, budget=REQUESTS, killing=killing)

    assert {run.state for run in runs} == {"succeeded"}
    assert {run.summary()["attempt"] for run in runs} == {1}
    assert await refused(halo) <= 3


@AT_LENGTH
@pytest.mark.timeout(200)
async def test_a_limit_below_the_budget_costs_time_but_no_attempts(valkey: str, halo: Halo) -> None:
    runs = await flood(valkey, halo, budget=REQUESTS * 3)

    assert {run.state for run in runs} == {"succeeded"}
    assert {run.summary()["attempt"] for run in runs} == {1}
    assert await refused(halo) > 0
