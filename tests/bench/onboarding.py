"""The figures of an onboarding: ``make bench``.

Everything is measured on one machine in one go, against real processes; compare ratios, not absolute figures. The
environment makes it longer or shorter: BENCH_ROUNDS and BENCH_RUNS (onboardings in each), BENCH_RECOVERY (kills),
BENCH_QUEUED (runs in the long queue).
"""

import asyncio
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.latency import SENDERS, measure_latency
from tests.bench.recovery import measure_recovery
from tests.bench.store import measure_claims, measure_memory
from tests.bench.throughput import CONCURRENCY, FEW, measure_throughput
from tests.bench.world import World, open_world
from worker.log import set_up_logging


def setting(name: str, default: int) -> int:
    return int(os.environ.get(f"BENCH_{name}", str(default)))


async def main() -> None:
    set_up_logging("console", "WARNING")
    console = Console()
    table = Table("figure", "measured", "goal")
    for measure in (throughput, latency, recovery, memory, claims):
        with tempfile.TemporaryDirectory() as folder, console.status(measure.__name__):
            async with open_world(Path(folder)) as world:
                await measure(world, table)
    console.print(table)


async def throughput(world: World, table: Table) -> None:
    figures = await measure_throughput(world, rounds=setting("ROUNDS", 5), runs=setting("RUNS", 200))
    table.add_row(f"onboardings/s, one worker, {CONCURRENCY} at once", f"{figures['durable']:.0f}", "")
    table.add_row(f"plain httpx, its {figures['requests']:.0f} requests alone", f"{figures['plain']:.0f}", "")
    table.add_row("durable / plain", f"{figures['ratio']:.2f}", ">= 0.80")
    table.add_row(f"plain httpx at its best ({FEW} at once)", f"{figures['plain_few']:.0f}", "")
    table.add_row("durable / plain at its best", f"{figures['ratio_few']:.2f}", "")


async def latency(world: World, table: Table) -> None:
    figures = await measure_latency(world, deliveries=50, per_sender=40)
    table.add_row("idle: delivery to first HaloPSA request, median", f"{figures['first_request']:.0f} ms", "<= 60 ms")
    for name, case in (("accepted", "web alone"), ("busy", "beside a busy worker")):
        row = f"202 at {SENDERS} senders, {case}: median, p99"
        table.add_row(row, f"{figures[f'{name}_p50']:.1f}, {figures[f'{name}_p99']:.1f} ms", "p99 <= 20 ms")


async def recovery(world: World, table: Table) -> None:
    spans = await measure_recovery(world, kills=setting("RECOVERY", 2))
    within = sum(span <= 15 for span in spans)
    table.add_row("after kill -9 a run moves again, longest", f"{max(spans):.1f} s", "<= 15 s")
    table.add_row("of those within 15 s", f"{within} of {len(spans)}", "all")


async def memory(world: World, table: Table) -> None:
    figures = await measure_memory(world, runs=200)
    table.add_row("memory of a queued run", f"{figures['queued'] / 1000:.1f} kB", "<= 8 kB")
    table.add_row("memory of a finished run", f"{figures['finished'] / 1000:.1f} kB", "<= 6 kB")


async def claims(world: World, table: Table) -> None:
    queued = setting("QUEUED", 100_000)
    ratio = await measure_claims(world, queued=queued)
    table.add_row(f"a claim with {queued:,} runs queued", f"{(ratio - 1) * 100:+.0f} %", "< +25 %")


if __name__ == "__main__":
    asyncio.run(main())
