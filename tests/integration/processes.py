"""Real processes for tests: `parhelion …` as its users start it, and the HaloPSA look-alike beside it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import httpx

from webhooks.signatures import sign_standard

SECRET = "whsec_" + "c2VjcmV0LWZvci10ZXN0cy1vbmx5LTMyLWJ5dGVzISE="
TOKEN = "token-for-tests"
PARHELION = (sys.executable, "-c", "from worker.cli import main; main()")


async def until(condition: Callable[[], Awaitable[Any]], within: float = 30) -> Any:
    """Wait until `condition` gives something true; what it raises meanwhile counts as no."""
    async with asyncio.timeout(within):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if found := await condition():
                    return found
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """One `parhelion` process; `end_all` ends what a test has left."""

    started: ClassVar[list["Process"]] = []

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.started.append(self)

    @classmethod
    async def end_all(cls) -> None:
        left = [one for one in cls.started if one.process.returncode is None]
        cls.started.clear()
        # Killed, they would leave their Valkey behind.
        await asyncio.gather(*(one.interrupt() for one in left))

    @classmethod
    async def start(cls, *args: str, env: Mapping[str, str] | None = None) -> "Process":
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PARHELION_")}
        return cls(
            await asyncio.create_subprocess_exec(
                *PARHELION,
                *args,
                env={**clean, "COLUMNS": "200", **(env or {})},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )

    async def end(self) -> tuple[int, str, str]:
        """Wait for its own end; returns exit code, standard output and standard error."""
        async with asyncio.timeout(60):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()

    async def interrupt(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        return await self.end()

    async def kill(self) -> None:
        self.process.kill()
        await self.end()


async def parhelion(*args: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run a command to its end."""
    return await (await Process.start(*args, env=env)).end()


class Halo:
    """A look-alike in a process of its own."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
        self._client = client

    async def state(self) -> dict[str, list[dict[str, Any]]]:
        answer = await self._client.get(f"{self.url}/sandbox/state")
        return dict(answer.json())

    async def faults(self, **faults: Any) -> None:
        (await self._client.post(f"{self.url}/sandbox/faults", json=faults)).raise_for_status()

    async def plant(self, entity: str, *records: dict[str, Any]) -> None:
        (await self._client.post(f"{self.url}/sandbox/seed", json={entity: records})).raise_for_status()

    async def requests(self) -> int:
        return sum((await self._client.get(f"{self.url}/sandbox/requests")).json().values())


@contextlib.asynccontextmanager
async def look_alike() -> AsyncIterator[Halo]:
    process = await Process.start("sandbox", "--bind", "127.0.0.1:0", "--until-eof")
    assert process.process.stdout
    url = json.loads(await process.process.stdout.readline())["url"]
    async with httpx.AsyncClient() as client:
        yield Halo(url, client)
    await process.interrupt()


class Parhelion:
    """`parhelion up` on a data directory, pointed at a look-alike."""

    def __init__(self, data_dir: Path, halo_url: str) -> None:
        port = free_port()
        self.web = f"http://127.0.0.1:{port}"
        self.env = {
            "PARHELION_DATA_DIR": str(data_dir),
            "PARHELION_WEB_BIND": f"127.0.0.1:{port}",
            "PARHELION_HALO_URL": halo_url,
            "PARHELION_HALO_CLIENT_ID": "parhelion",
            "PARHELION_HALO_CLIENT_SECRET": "sandbox-secret",
            "PARHELION_HALO_BUDGET_REQUESTS": "1000000",
            "PARHELION_WEBHOOK_SECRET_STANDARD": SECRET,
            "PARHELION_WEBHOOK_SECRET_TOKEN": TOKEN,
            "PARHELION_LOG_FORMAT": "json",
        }

    async def up(self) -> Process:
        process = await Process.start("up", env=self.env)

        async def ready() -> bool:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.web}/readyz")).status_code == 200

        try:
            await until(ready)
        except TimeoutError:
            process.process.kill()
            raise AssertionError(await process.end()) from None
        return process

    async def send(self, event: Mapping[str, Any], delivery_id: str) -> httpx.Response:
        body = json.dumps(event).encode()
        headers = sign_standard(SECRET, delivery_id, datetime.now(UTC), body)
        async with httpx.AsyncClient(timeout=20) as client:
            return await client.post(
                f"{self.web}/webhooks/standard", content=body, headers={**headers, "content-type": "application/json"}
            )

    async def runs(self) -> list[dict[str, Any]]:
        code, out, err = await parhelion("runs", "list", "-o", "json", env=self.env)
        assert code == 0, err
        return list(json.loads(out))

    async def ended(self, number: int) -> list[dict[str, Any]]:
        """Wait until so many runs have ended."""

        async def enough() -> list[dict[str, Any]] | None:
            runs = await self.runs()
            ended = [run for run in runs if run["state"] not in {"queued", "running", "waiting"}]
            return ended if len(ended) >= number else None

        return list(await until(enough, within=50))
