"""Deliveries that were refused: the newest ones of each source, for a day."""

import json
from typing import Any, Final

from worker.journal.scripts import Scripts

KEPT: Final = 200
"""Of each source, so that a flood of one hides nothing of another."""
KEPT_S: Final = 24 * 3600
SOURCES: Final = "ph:refusing"
"""The sources of which deliveries were ever refused."""


class RefusedDeliveries:
    """Keeps why deliveries were refused, and gives that out again.

    Raises (every method):
        StoreUnavailable: Valkey did not answer.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def keep(self, refusal: dict[str, Any], at: float) -> None:
        """Keep one, which names its ``source``; `at` is its time in seconds since 1970."""
        text, key = json.dumps(refusal, ensure_ascii=False, sort_keys=True), _key(refusal["source"])
        await self._scripts.batch(
            [
                ("SADD", SOURCES, refusal["source"]),
                ("ZADD", key, str(at), text),
                ("ZREMRANGEBYRANK", key, "0", str(-KEPT - 1)),
                ("ZREMRANGEBYSCORE", key, "-inf", str(at - KEPT_S)),
                ("EXPIRE", key, str(KEPT_S)),
            ]
        )

    async def newest(self) -> list[dict[str, Any]]:
        """Read them all, the newest first."""
        sources = sorted(await self._scripts.read("SMEMBERS", SOURCES))
        found = await self._scripts.batch([("ZREVRANGE", _key(source), "0", "-1", "WITHSCORES") for source in sources])
        kept = [(float(at), text) for flat in found for text, at in zip(flat[::2], flat[1::2], strict=True)]
        return [json.loads(text) for _, text in sorted(kept, reverse=True)]


def _key(source: str) -> str:
    return f"ph:refused:{source}"
