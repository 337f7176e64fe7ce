"""Silence: a sender that has stopped sending looks like one with nothing to say, so that people are told of it."""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Final

import structlog

from worker.errors import StoreUnavailable
from worker.journal.heard import Heard

NOTE_EVERY_S: Final = 10.0
LOOK_EVERY_S: Final = 60.0
HOUR_MS: Final = 3600 * 1000

_log = structlog.stdlib.get_logger("silence")


class Ear:
    """Notes which sources are heard, each once in ten seconds at most: what is written is synced to the disk.

    Args:
        heard: where it is noted.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._noted: dict[str, float] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def hear(self, source: str) -> None:
        """Take note of a delivery; never keeps it waiting."""
        now = time.monotonic()
        if now - self._noted.get(source, -NOTE_EVERY_S) < NOTE_EVERY_S:
            return
        self._noted[source] = now
        task = asyncio.create_task(self._note(source))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _note(self, source: str) -> None:
        try:
            await self._heard.note(source)
        except StoreUnavailable as error:
            self._noted.pop(source, None)
            _log.warning("store away", error=str(error))


class SilenceWatch:
    """Has people told of sources that were not heard for too long. All workers may watch: the journal alerts once.

    Args:
        heard: knows when they were heard, and alerts.
        hours: after how many hours each source's silence is told; sources that are not named may be silent.
    """

    def __init__(self, heard: Heard, hours: Mapping[str, float]) -> None:
        self._heard = heard
        self._hours = hours

    async def watch_for_ever(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.warning("store away", error=str(error))
            await asyncio.sleep(LOOK_EVERY_S * random.uniform(0.8, 1.2))  # noqa: S311 - no secret hangs on it

    async def look(self) -> None:
        """Look once."""
        for source, hours in self._hours.items():
            text = f"No delivery has come for more than {hours:g} hours."
            if await self._heard.alert_if_silent(source, int(hours * HOUR_MS), text):
                _log.warning("source silent", source=source, hours=hours)
