"""The figures of an onboarding: ``make bench``.

Everything is measured in one go on one machine, so that the ratios mean something where the absolute figures do not.
BENCH_ROUNDS, BENCH_RUNS and BENCH_RECOVERY make it longer or shorter.
"""

import asyncio
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.throughput import CONCURRENCY, measure_throughput
from tests.bench.world import open_world

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
RUNS = int(os.environ.get("BENCH_RUNS", "200"))


async def main() -> None:
    table = Table("figure", "measured", "goal")
    with tempfile.TemporaryDirectory() as folder:
        async with open_world(Path(folder)) as world:
            figures = await measure_throughput(world, rounds=ROUNDS, runs=RUNS)
    table.add_row(f"onboardings/s, one worker, {CONCURRENCY} at once", f"{figures['durable']:.0f}", "")
    table.add_row(f"plain httpx, same {figures['requests']:.0f} requests", f"{figures['plain']:.0f}", "")
    table.add_row("durable / plain", f"{figures['ratio']:.2f}", ">= 0.80")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
