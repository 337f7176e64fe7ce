"""What has to be made up for: outages of the web endpoint, and which system was last asked what it missed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from worker.journal.scripts import Scripts

GAP_MS: Final = 30_000
"""An endpoint that has not noted for so long that it is up was not."""
HOLD_MS: Final = 60_000
"""A worker that has not taken its backfill again by then has died; a second one beside it would do no harm."""


@dataclass(frozen=True, slots=True)
class Due:
    """A backfill that is due.

    Attributes:
        since: from when on the system is to be asked (UTC).
        now: the time at which it became this worker's (UTC).
    """

    since: datetime
    now: datetime


class Backfills:
    """Gives each backfill to one worker.

    Args:
        scripts: where it is kept.
        worker: who asks.

    Raises (every method):
        StoreUnavailable: Valkey did not answer.
    """

    def __init__(self, scripts: Scripts, worker: str = "") -> None:
        self._scripts = scripts
        self._worker = worker

    async def beat(self, *, starting: bool) -> None:
        """Note that the web endpoint is up; it was not before if it is `starting`, or was silent for too long."""
        await self._scripts.call("beat", int(starting), GAP_MS)

    async def take(self, system: str, every_hours: float | None, *, hold_ms: int = HOLD_MS) -> Due | None:
        """Take a system's backfill if it is due: after an outage, or when so many hours have passed since the last.

        It is the worker's for a while; to take it again makes it a while from then.
        """
        answer = await self._scripts.call(
            "take_backfill", system, self._worker, hold_ms, int((every_hours or 0) * 3.6e6)
        )
        return Due(*(datetime.fromtimestamp(int(at) / 1000, UTC) for at in answer)) if answer else None

    async def done(self, system: str, at: datetime) -> None:
        """Note that all was taken in that the system could tell at a time."""
        await self._scripts.call("end_backfill", system, self._worker, int(at.timestamp() * 1000))

    async def is_known(self, workflow: str, fact: str) -> bool:
        """Tell whether there is, or was, a run for a business fact, whatever became of it."""
        return bool(await self._scripts.read("EXISTS", f"ph:fact:{workflow}:{fact}"))
