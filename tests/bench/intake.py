"""How much the front door takes: ``make load``.

Many signed deliveries, each sent three times in random order from 50 connections, to a `parhelion web` process and, by
turns, to a bare Starlette endpoint that writes each body to the same Valkey. The environment makes it longer or
shorter: LOAD_DELIVERIES (of each source), LOAD_ROUNDS; LOAD_SEED gives the order of an earlier run again.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from tests.bench.intake_sender import HUBSPOT_SECRET, SOURCES
from tests.bench.world import World, open_world
from worker.log import set_up_logging

CONNECTIONS = 50
REPEATS = 3
SETTLING = 1000
"""Deliveries of each source before those that are measured, in which connections are opened."""
DEFAULTS = {"DELIVERIES": "10000", "ROUNDS": "5"}
LINE = 2**24
"""Bytes that an answer of the sender may have."""


@dataclass
class Child:
    """A script of this folder as a process, spoken to in lines; it ends with its standard input."""

    process: asyncio.subprocess.Process

    async def read(self) -> str:
        assert self.process.stdout
        return (await self.process.stdout.readline()).decode().strip()

    async def send(self, url: str, source: str, numbers: Sequence[int]) -> dict[str, Any]:
        """Let the sender send these deliveries; returns its tally, and the seconds that it took."""
        assert self.process.stdin
        load = {"url": url, "source": source, "numbers": [*numbers], "connections": CONNECTIONS}
        self.process.stdin.write(json.dumps(load).encode() + b"\n")
        return dict(json.loads(await self.read()))


@asynccontextmanager
async def child(name: str, *args: str) -> AsyncIterator[Child]:
    path = str(Path(__file__).with_name(f"{name}.py"))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, path, *args, stdin=pipe, stdout=pipe, limit=LINE)
    assert process.stdin
    try:
        yield Child(process)
    finally:
        process.stdin.close()
        await process.wait()


@dataclass
class Load:
    """What became of all deliveries of a source.

    Attributes:
        times: milliseconds from sending to the whole answer.
        rates: deliveries per second in each round, here and at the bare endpoint.
        statuses: how many answers of each status.
        accepted: how often each event was called new.
        duplicates: how many events were called known.
    """

    times: list[float] = field(default_factory=list)
    rates: list[tuple[float, float]] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    def add(self, ours: Mapping[str, Any]) -> None:
        self.times += ours["times"]
        self.statuses.update(ours["statuses"])
        self.accepted.update(ours["accepted"])
        self.duplicates += ours["duplicates"]

    @property
    def once(self) -> int:
        """How many events were called new exactly once."""
        return sum(times == 1 for times in self.accepted.values())


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: what the web process occupies, and what Valkey uses."""

    web: int
    valkey: int

    @classmethod
    async def look(cls, redis: Redis, web: int) -> "Memory":
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("ps", "-o", "rss=", "-p", str(web), stdout=pipe)
        told, _ = await process.communicate()
        return cls(int(told) * 1024, (await redis.info("memory"))["used_memory"])


class Intake:
    """A web process, the bare endpoint, and the sender that loads them by turns."""

    def __init__(self, sender: Child, web: str, bare: str) -> None:
        self._sender = sender
        self._web = web
        self._bare = bare

    async def load(self, source: str, order: Sequence[int], rounds: int) -> Load:
        """Send in this order, cut into so many rounds."""
        load = Load()
        size = -(-len(order) // rounds)
        for start in range(0, len(order), size):
            part = order[start : start + size]
            ours = await self._sender.send(self._web, source, part)
            bare = await self._sender.send(self._bare, source, part)
            load.add(ours)
            load.rates.append((len(part) / ours["seconds"], len(part) / bare["seconds"]))
        return load

    async def send(self, source: str, order: Sequence[int]) -> list[float]:
        """Send to the web process only; returns the milliseconds of each delivery."""
        return list((await self._sender.send(self._web, source, order))["times"])


@asynccontextmanager
async def open_intake(world: World) -> AsyncIterator[tuple[Intake, int]]:
    """Start what is loaded and what loads it; gives the web process's id too."""
    world.env["PARHELION_WEBHOOK_SECRET_HUBSPOT"] = HUBSPOT_SECRET
    web = await world.start_web()
    other = world.valkey.removesuffix("0") + "1"
    async with child("intake_sender") as sender, child("intake_bare", other) as bare:
        yield Intake(sender, world.web, await bare.read()), web.pid


def shuffled(numbers: Sequence[int], seed: int) -> list[int]:
    """Each number three times, in an order that the seed gives."""
    order = [number for number in numbers for _ in range(REPEATS)]
    random.Random(seed).shuffle(order)
    return order


async def measure(world: World, table: Table, *, deliveries: int, rounds: int, seed: int) -> None:
    async with open_intake(world) as (intake, web), Redis.from_url(world.valkey) as redis:
        for source in SOURCES:
            await intake.load(source, range(10**9, 10**9 + SETTLING), 1)
        for source in SOURCES:
            order = shuffled(range(1, deliveries + 1), seed)
            before, stored = await Memory.look(redis, web), await redis.zcard("ph:events")
            load = await intake.load(source, order, rounds)
            after = await Memory.look(redis, web)
            stored = await redis.zcard("ph:events") - stored
            await intake.send(source, order)
            again = await Memory.look(redis, web)
            _tell(table, source, load, deliveries=deliveries, stored=stored)
            _tell_memory(table, (before, after, again), stored, len(order))
        # It has all the runs before it.
        await world.start_worker()
        times = await intake.send(next(iter(SOURCES)), shuffled(range(2 * 10**9, 2 * 10**9 + deliveries), seed))
        _tell_wait(table, f"{next(iter(SOURCES))} beside a busy worker", times)


def _tell(table: Table, source: str, load: Load, *, deliveries: int, stored: int) -> None:
    sent = len(load.times)
    kept = f"{stored:,} stored, {load.once:,} told new once, {load.duplicates:,} told known"
    table.add_row(f"{source}: {sent:,} deliveries of {deliveries:,} events", kept, "all, each once")
    table.add_row("  answers", ", ".join(f"{n:,} x {status}" for status, n in load.statuses.items()), "202")
    _tell_wait(table, f"  202 at {CONNECTIONS} senders", load.times)
    ours, bare = (median(rates) for rates in zip(*load.rates, strict=True))
    ratio = median(one / other for one, other in load.rates)
    table.add_row("  accepted/s, bare Starlette + one write/s", f"{ours:,.0f}, {bare:,.0f}", "")
    table.add_row("  accepted / bare", f"{ratio:.2f}", ">= 0.50")


def _tell_wait(table: Table, what: str, times: Sequence[float]) -> None:
    cuts = quantiles(times, n=100)
    table.add_row(f"{what}: median, p99", f"{cuts[49]:.1f}, {cuts[98]:.1f} ms", "p99 < 50 ms")


def _tell_memory(table: Table, looks: tuple[Memory, Memory, Memory], events: int, repeats: int) -> None:
    before, after, again = looks
    growth = f"{(after.web - before.web) / 1e6:+.1f}, {(again.web - after.web) / 1e6:+.1f} MB of {before.web / 1e6:.0f}"
    table.add_row("  web's memory: the load, the same as repeats only", growth, "flat")
    table.add_row("  Valkey's memory of an event that waits", f"{(after.valkey - before.valkey) / events:,.0f} B", "")
    table.add_row("  Valkey's memory of a repeat", f"{(again.valkey - after.valkey) / repeats:,.1f} B", "0")


async def main() -> None:
    set_up_logging("console", "WARNING")
    deliveries, rounds = (int(os.environ.get(f"LOAD_{name}", default)) for name, default in DEFAULTS.items())
    seed = int(os.environ.get("LOAD_SEED", random.randrange(1_000_000)))
    console = Console()
    table = Table("figure", "measured", "goal", title=f"LOAD_SEED={seed}")
    with tempfile.TemporaryDirectory() as folder, console.status("load"):
        async with open_world(Path(folder)) as world:
            await measure(world, table, deliveries=deliveries, rounds=rounds, seed=seed)
    console.print(table)


if __name__ == "__main__":
    asyncio.run(main())
