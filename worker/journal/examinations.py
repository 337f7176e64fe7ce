"""Which worker examines the data in HaloPSA, and what came of it last."""

import json
from collections.abc import Mapping
from typing import Final

from worker.journal.scripts import Scripts

EXAMINED: Final = "ph:examined"
HOLD_MS: Final = 120_000
"""A worker that has not asked again for this long is not examining any more."""


class Examinations:
    """Gives each day's examination to one worker.

    Args:
        scripts: where it is kept.
        worker: who asks.

    Raises (every method):
        StoreUnavailable: Valkey did not answer.
    """

    def __init__(self, scripts: Scripts, worker: str) -> None:
        self._scripts = scripts
        self._worker = worker

    async def take(self, day: str) -> bool:
        """Take or keep a day's (ISO) examination for a while; says whether it is this worker's and still to be made."""
        return bool(await self._scripts.call("take_examination", day, self._worker, HOLD_MS))

    async def done(self, day: str, counts: Mapping[str, int]) -> None:
        """Note that a day's examination is made, and alert people if it has found anything.

        Args:
            day: ISO.
            counts: how many findings there are, by kind.
        """
        found = ", ".join(f"{number} {kind}" for kind, number in counts.items())
        text = f"The examination of {day} has found: {found}. To see them: parhelion data-quality" if found else ""
        await self._scripts.call("end_examination", day, json.dumps(counts), text)

    async def last(self) -> dict[str, int]:
        """Give the number of findings of the last examination, by kind."""
        counts = await self._scripts.read("HGET", EXAMINED, "counts")
        return dict(json.loads(counts or "{}"))
