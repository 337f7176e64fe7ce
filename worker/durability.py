"""Whether Valkey keeps what it is given, and has room for more.

An acknowledged delivery survives the death of any process, Valkey's and the machine's included, only with the settings
below. They can be changed under a running Valkey, so they are looked at again and again.
"""

import asyncio
import time
from typing import Final

import structlog

from worker.errors import StoreUnavailable
from worker.journal.upkeep import Memory, Upkeep
from worker.settings import BadSettings

LOOK_EVERY_S: Final = 1.0
FULL_AT: Final = 0.9
"""From this share of its memory on Valkey gets no new deliveries: the rest is for the runs that are to finish."""
NEEDED: Final = {
    # Without the append-only file all is lost with the process; fsynced each second, the last seconds with the machine.
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    # Any other policy throws away runs and doorbells when memory is full.
    "maxmemory-policy": "noeviction",
}
"""Valkey's settings; https://valkey.io/topics/persistence/ and https://valkey.io/topics/lru-cache/."""

_log = structlog.stdlib.get_logger("durability")


class Durability:
    """Watches Valkey on behalf of this process, at most once a second.

    Args:
        upkeep: asks it.
        allow_data_loss: only warn of settings that lose data.
    """

    def __init__(self, upkeep: Upkeep, *, allow_data_loss: bool) -> None:
        self._upkeep = upkeep
        self._allow_data_loss = allow_data_loss
        self._looked = -LOOK_EVERY_S
        self._looking: asyncio.Task[None] | None = None
        self._problems: list[str] | None = None
        self.memory: Memory | None = None

    async def problems(self) -> list[str]:
        """Say what Valkey's settings would lose, one line each with the remedy; empty if nothing.

        Raises:
            StoreUnavailable: it does not answer.
        """
        await self._look()
        return [] if self._allow_data_loss else self._problems or []

    async def at_start(self) -> None:
        """Refuse to start on a Valkey that loses data; one that does not answer yet is looked at when it does.

        Raises:
            BadSettings: names each bad setting and the remedy.
        """
        try:
            problems = await self.problems()
        except StoreUnavailable as error:
            _log.warning("store away", error=str(error))
            return
        if problems:
            raise BadSettings(problems)

    async def wait(self) -> None:
        """Wait until Valkey answers and loses nothing."""
        while True:
            try:
                if not await self.problems():
                    return
            except StoreUnavailable as error:
                _log.warning("store away", error=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def check(self) -> None:
        """Refuse where something new could be lost or would not fit.

        Raises:
            StoreUnavailable: with the reason.
        """
        if problems := await self.problems():
            raise StoreUnavailable("; ".join(problems))
        if self.memory and self.memory.share >= FULL_AT:
            raise StoreUnavailable(
                f"Valkey's memory is {self.memory.share:.0%} full; new deliveries are taken again below {FULL_AT:.0%}: "
                "raise its maxmemory or lower PARHELION_RETENTION_DAYS"
            )

    async def _look(self) -> None:
        if time.monotonic() - self._looked < LOOK_EVERY_S:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._ask())
        await asyncio.shield(self._looking)  # one question for all who wait, whoever of them gives up

    async def _ask(self) -> None:
        settings = await self._upkeep.server_settings([*NEEDED])
        self.memory = await self._upkeep.memory()
        self._looked = time.monotonic()
        self._note([] if settings is None else _faults(settings), unknown=settings is None)

    def _note(self, problems: list[str], *, unknown: bool) -> None:
        """Keep what was found, and tell what is new."""
        if unknown and self._problems is None:
            _log.warning("durability not checked", reason="CONFIG GET is not allowed", needed=NEEDED)
        if problems != (self._problems or []):
            for problem in problems:
                (_log.warning if self._allow_data_loss else _log.error)("store may lose data", problem=problem)
        self._problems = problems


def _faults(settings: dict[str, str]) -> list[str]:
    return [
        f"PARHELION_REDIS_URL: Valkey's {name} is {settings.get(name) or 'not known'}, it must be {needed}: "
        f"set `{name} {needed}` in valkey.conf (at once: CONFIG SET {name} {needed}), or accept the loss of "
        "acknowledged deliveries with PARHELION_ALLOW_DATA_LOSS=true"
        for name, needed in NEEDED.items()
        if settings.get(name) != needed
    ]
