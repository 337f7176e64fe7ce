"""The processes that are measured: Valkey, an instant HaloPSA, `parhelion worker` and `parhelion web`."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx

from tests.integration.processes import PARHELION, SECRET, free_port, until
from worker.assemble.store import Store, open_store
from worker.embedded import EmbeddedValkey
from worker.events import Event, canonical_event

DEAL = files("worker.demo").joinpath("deal-won.json").read_text()


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as HaloPSA saw it; `at` is the machine's monotonic clock."""

    at: float
    method: str
    target: str
    body: str


@dataclass
class World:
    """What runs, and how to reach it."""

    valkey: str
    halo: str
    web: str
    env: dict[str, str]
    log: Path
    store: Store
    http: httpx.AsyncClient
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self, command: str) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(*PARHELION, command, env=self.env, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    async def start_worker(self) -> asyncio.subprocess.Process:
        process = await self.start("worker")
        try:
            await until(lambda: self._works(process.pid))
        except TimeoutError:
            raise RuntimeError(f"the worker does not come up: {self.log.read_text()[-2000:]}") from None
        return process

    async def start_web(self) -> asyncio.subprocess.Process:
        process = await self.start("web")

        async def ready() -> bool:
            return (await self.http.get(f"{self.web}/readyz")).status_code == httpx.codes.OK

        await until(ready)
        return process

    async def stop(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        self.processes.remove(process)

    async def seen(self) -> list[Seen]:
        """Take what HaloPSA has seen since this was last asked."""
        return [Seen(*one) for one in (await self.http.get(f"{self.halo}/bench/seen")).json()]

    async def hold(self, seconds: float) -> None:
        """Let HaloPSA answer so much later from now on."""
        await self.http.post(f"{self.halo}/bench/hold", content=str(seconds))

    async def succeeded(self) -> int:
        return (await self.store.reader.counts())["succeeded"]

    async def until_succeeded(self, number: int) -> None:
        while await self.succeeded() < number:  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)

    async def _works(self, pid: int) -> bool:
        return any(name.endswith(f":{pid}") for name in await self.store.reader.workers())


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    """Start Valkey and HaloPSA; whatever was started since is ended at the end."""
    valkey = EmbeddedValkey(folder / "valkey")
    url = await asyncio.to_thread(valkey.start)
    try:
        async with script("instant_halo") as (told, _), open_store(url) as store, httpx.AsyncClient(timeout=30) as http:
            halo = (await told.readline()).decode().strip()
            web = f"127.0.0.1:{free_port()}"
            world = World(url, halo, f"http://{web}", _env(url, halo, web), folder / "log", store, http)
            try:
                yield world
            finally:
                for process in list(world.processes):
                    await world.stop(process)
    finally:
        await asyncio.to_thread(valkey.stop)


def deal(number: int) -> dict[str, Any]:
    """Make a won deal of a client of its own, of the demo's size."""
    event: dict[str, Any] = json.loads(DEAL)
    event["data"]["deal"]["id"] = f"D-{number}"
    event["data"]["client"] |= {"id": f"C-{number}", "name": f"Acme {number}"}
    event["data"]["contacts"][0]["email"] = f"john@acme-{number}.example.com"
    return event


def deals(numbers: Iterable[int]) -> list[Event]:
    now = datetime.now(UTC)
    return [canonical_event("bench", str(number), deal(number), received_at=now) for number in numbers]


@asynccontextmanager
async def script(name: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Run a script of this folder as a process; it ends with its standard input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name(f"{name}.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield process.stdout, process.stdin
    finally:
        process.stdin.close()
        await process.wait()


def _env(valkey: str, halo: str, web: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PARHELION_")}
    return clean | {
        "PARHELION_REDIS_URL": valkey,
        "PARHELION_WEB_BIND": web,
        "PARHELION_HALO_URL": halo,
        "PARHELION_HALO_AUTH_URL": f"{halo}/auth",
        "PARHELION_HALO_CLIENT_ID": "bench",
        "PARHELION_HALO_CLIENT_SECRET": "bench",
        "PARHELION_HALO_BUDGET_REQUESTS": "1000000",
        "PARHELION_WEBHOOK_SECRET_STANDARD": SECRET,
        "PARHELION_LOG_FORMAT": "json",
    }
