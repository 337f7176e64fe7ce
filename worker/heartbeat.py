"""The heartbeat of the web endpoint: what was sent while it was silent may be lost, and has to be asked for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog

from worker.errors import StoreUnavailable
from worker.journal.backfills import Backfills

EVERY_S: Final = 10.0

_log = structlog.stdlib.get_logger("heartbeat")


@contextlib.asynccontextmanager
async def heartbeat(backfills: Backfills) -> AsyncIterator[None]:
    """Note for as long as this is open that the web endpoint is up."""
    beating = asyncio.create_task(_beat_for_ever(backfills))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def _beat_for_ever(backfills: Backfills) -> None:
    starting = True
    while True:
        try:
            await backfills.beat(starting=starting)
            starting = False
        except StoreUnavailable as error:
            # Nothing can be taken in now, so that this is an outage too.
            _log.warning("store away", error=str(error))
        await asyncio.sleep(EVERY_S)
