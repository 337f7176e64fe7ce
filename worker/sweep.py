"""The sweep: every worker looks once a second for what is due and quiet, and rings again."""

import asyncio
import random
from typing import Final

import structlog

from worker.errors import StoreUnavailable
from worker.journal import Journal

EVERY_S: Final = 1.0

_log = structlog.stdlib.get_logger("sweep")


async def sweep_for_ever(journal: Journal, worker: str) -> None:
    """Sweep as `worker` until cancelled; an absent store is only waited for."""
    while True:
        try:
            rung = await journal.sweep(worker)
            if rung:
                _log.info("rang again", subjects=rung)
        except StoreUnavailable as error:
            _log.warning("store away", error=str(error))
        # Jitter keeps many workers from sweeping at the same moment.
        await asyncio.sleep(EVERY_S * random.uniform(0.8, 1.2))  # noqa: S311 - no secret hangs on it
