"""When each source was last heard."""

from typing import Final

from worker.journal.scripts import Scripts

HEARD: Final = "ph:heard"


class Heard:
    """Keeps the time of each source's last delivery.

    Raises (every method):
        StoreUnavailable: Valkey did not answer.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def note(self, source: str) -> None:
        """Note that a source is heard now."""
        await self._scripts.call("hear", source)

    async def last(self) -> dict[str, float]:
        """Give the sources that were ever heard, with the server's seconds since 1970."""
        flat = await self._scripts.read("ZRANGE", HEARD, 0, -1, "WITHSCORES")
        return {source: float(at) / 1000 for source, at in zip(flat[::2], flat[1::2], strict=True)}

    async def alert_if_silent(self, source: str, after_ms: int, text: str) -> bool:
        """Alert people of a source that was not heard for so long, once for each silence; says whether it did.

        A source that was never heard counts as silent since this was first asked.
        """
        return bool(await self._scripts.call("silence", source, after_ms, text))
