"""What runs take of Valkey: memory each, and what a long queue costs a claim."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median

from redis.asyncio import Redis

from tests.bench.world import World, deals
from worker.assemble.inbox import inbox_of
from worker.assemble.store import Store, open_store
from worker.events import Event
from worker.journal import NewRun
from worker.store import BRISK_TRIES, store_client

BATCH = 200
CLAIMS = 400


async def measure_memory(world: World, *, runs: int) -> dict[str, float]:
    """Take in deals of the demo's size, then onboard them.

    Returns:
        Bytes of all keys, indexes and doorbells included, for each run: `queued` and `finished`.
    """
    client = store_client(world.valkey, tries=BRISK_TRIES)
    await client.flushall()
    inbox = inbox_of(world.store)
    receipt = await inbox.accept(deals(range(60_000_000, 60_000_000 + runs)))
    for event_id in receipt.accepted:
        await inbox.route(event_id)
    queued = await _memory(client)
    worker = await world.start_worker()
    await world.until_succeeded(runs)
    await world.stop(worker)
    finished = await _memory(client)
    await client.aclose(close_connection_pool=True)
    return {"queued": queued / runs, "finished": finished / runs}


async def measure_claims(world: World, *, queued: int) -> float:
    """Claim runs in an empty database and in one with many queued ones, by turns.

    Returns:
        The median claim's time in the full one as a multiple of the empty one's.
    """
    async with open_store(world.valkey) as few, open_store(world.valkey.removesuffix("0") + "1") as many:
        await few.reader.ping()
        await _queue(many, range(queued))
        ours = range(queued, queued + CLAIMS)
        pairs = zip(await _queue(few, ours), await _queue(many, ours), strict=True)
        times = [(await _claim(few, one), await _claim(many, other)) for one, other in pairs]
    return median(full for _, full in times) / median(empty for empty, _ in times)


async def _queue(store: Store, numbers: Sequence[int]) -> list[str]:
    """Queue runs, each for a client of its own; returns their ids."""
    now = datetime.now(UTC)
    runs = [
        NewRun(f"run-{number}", "bench", 1, str(number), [f"name:{number}"], str(number), number) for number in numbers
    ]
    for start in range(0, len(runs), BATCH):
        batch = runs[start : start + BATCH]
        events = [Event(f"bench:{run.run}", "bench", "bench", now, {"type": "bench"}) for run in batch]
        await store.journal.ingest(events)
        await asyncio.gather(*(store.journal.route(f"bench:{run.run}", [run]) for run in batch))
    return [run.run for run in runs]


async def _claim(store: Store, run: str) -> float:
    began = time.perf_counter()
    claim = await store.journal.claim(run, "claim", "bench")
    assert claim is not None
    return time.perf_counter() - began


async def _memory(client: Redis) -> int:
    return sum([await client.memory_usage(key, samples=0) or 0 async for key in client.scan_iter(count=1000)])
