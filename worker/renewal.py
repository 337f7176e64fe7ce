"""Renewal: a subscription that its sender lets end is asked for again and again, so that deliveries go on."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from worker.errors import NeedsOperator, RetryLater, StoreUnavailable
from worker.journal.troubles import Troubles

EVERY_S: Final = 86_400.0
AGAIN_AFTER_S: Final = 300.0
NOT_RENEWED: Final = "subscription not renewed"
PATIENT_FOR: Final = 288
"""So many failures are a day's: then people are told of a sender that is away, days before its subscription ends."""

Renew = Callable[[datetime], Awaitable[datetime]]

_log = structlog.stdlib.get_logger("renewal")


class Renewal:
    """Keeps one source's subscription. All workers may: to renew it once more does no harm.

    Args:
        source: whose it is.
        renew: asks for it, given the time, and says when it ends (UTC).
        troubles: is told of what a person must mend.
        clock: returns the time (UTC).
    """

    def __init__(
        self,
        source: str,
        renew: Renew,
        troubles: Troubles,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._source = source
        self._renew = renew
        self._troubles = troubles
        self._clock = clock
        self._failures = 0

    async def keep_for_ever(self) -> None:
        """Renew at once and every day, until cancelled."""
        while True:
            try:
                done = await self.renewed()
            except StoreUnavailable as error:
                _log.warning("store away", error=str(error))
                done = False
            await asyncio.sleep(EVERY_S if done else AGAIN_AFTER_S)

    async def renewed(self) -> bool:
        """Renew once; returns whether it is done.

        Raises:
            StoreUnavailable: people cannot be told what became of it.
        """
        try:
            end = await self._renew(self._clock())
        except (RetryLater, NeedsOperator) as error:
            self._failures += 1
            _log.warning(NOT_RENEWED, source=self._source, error=str(error))
            if isinstance(error, NeedsOperator) or self._failures >= PATIENT_FOR:
                await self._troubles.note(NOT_RENEWED, self._source, str(error))
            return False
        self._failures = 0
        _log.info("subscription renewed", source=self._source, until=end.isoformat())
        await self._troubles.mended(NOT_RENEWED, self._source)
        return True
