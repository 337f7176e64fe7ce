"""Deliveries that were refused: the newest ones, for a day."""

import json
from typing import Any, Final

from worker.journal.scripts import Scripts

KEPT: Final = 500
KEPT_S: Final = 24 * 3600
KEY: Final = "ph:refused"


class RefusedDeliveries:
    """Keeps why deliveries were refused, and gives that out again.

    Raises (every method):
        StoreUnavailable: Valkey did not answer.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def keep(self, refusal: dict[str, Any], at: float) -> None:
        """Keep one; `at` is its time in seconds since 1970."""
        text = json.dumps(refusal, ensure_ascii=False, sort_keys=True)
        await self._scripts.batch(
            [
                ("ZADD", KEY, str(at), text),
                ("ZREMRANGEBYRANK", KEY, "0", str(-KEPT - 1)),
                ("ZREMRANGEBYSCORE", KEY, "-inf", str(at - KEPT_S)),
                ("EXPIRE", KEY, str(KEPT_S)),
            ]
        )

    async def newest(self, limit: int) -> list[dict[str, Any]]:
        """Read the newest ones, the newest first."""
        return [json.loads(text) for text in await self._scripts.read("ZREVRANGE", KEY, 0, limit - 1)]
