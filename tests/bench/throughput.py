"""Onboardings per second through one worker, against plain httpx sending the same requests without any durability.

HaloPSA and Valkey share one core, the worker or plain httpx has the other; both are bound by their own core.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count, islice
from statistics import median

from tests.bench.world import Seen, World, deals, script

CONCURRENCY = 20
"""A worker's slots by default."""
FEW = 5
"""httpx is fastest with few at once: with more, its pool looks at every connection for every request."""
SETTLING = 40
"""Onboardings before the first round, in which connections are opened and lists remembered."""
MODEL = 70_000_000
"""The number of the deal whose requests are recorded."""


async def measure_throughput(world: World, *, rounds: int, runs: int) -> dict[str, float]:
    """Run interleaved rounds of `runs` onboardings each.

    Returns:
        Medians of onboardings per second, `durable`, `plain` and `plain_few` (fewer at once), and of the rounds' ratios
        of the first to the others, `ratio` and `ratio_few`; `requests` in one onboarding.
    """
    worker = await world.start_worker()
    numbers = count(MODEL + 1)
    requests = await _record(world)
    measured = []
    async with _plain(world.halo, requests) as plain:
        await plain.measure(numbers, SETTLING, at_once=CONCURRENCY)
        await _durable(world, numbers, SETTLING)
        for _ in range(rounds):
            durable = await _durable(world, numbers, runs)
            many = await plain.measure(numbers, runs, at_once=CONCURRENCY)
            few = await plain.measure(numbers, runs, at_once=FEW)
            measured.append((durable, many, few, durable / many, durable / few))
    await world.stop(worker)
    names = ("durable", "plain", "plain_few", "ratio", "ratio_few")
    figures = zip(*measured, strict=True)
    return {name: median(each) for name, each in zip(names, figures, strict=True)} | {"requests": len(requests)}


async def _record(world: World) -> list[Seen]:
    """Take down the requests of one onboarding; the first one also signs in and fetches what is remembered."""
    for number in (MODEL - 1, MODEL):
        await world.seen()
        await world.store.journal.ingest(deals([number]))
        await world.until_succeeded(await world.succeeded() + 1)
    return await world.seen()


async def _durable(world: World, numbers: Iterator[int], runs: int) -> float:
    goal = await world.succeeded() + runs
    events = deals(islice(numbers, runs))
    began = time.perf_counter()
    await world.store.journal.ingest(events)
    await world.until_succeeded(goal)
    return runs / (time.perf_counter() - began)


class _Plain:
    """The process of `plain_httpx`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def measure(self, numbers: Iterator[int], runs: int, *, at_once: int) -> float:
        self.tell(numbers=list(islice(numbers, runs)), at_once=at_once)
        return float(await self._reader.readline())

    def tell(self, **what: object) -> None:
        self._writer.write(json.dumps(what).encode() + b"\n")


@asynccontextmanager
async def _plain(url: str, requests: list[Seen]) -> AsyncIterator[_Plain]:
    async with script("plain_httpx") as (reader, writer):
        plain = _Plain(reader, writer)
        plain.tell(url=url, requests=[(one.method, one.target, one.body) for one in requests], name=str(MODEL))
        yield plain
