"""What does not work for a source although nobody waits for it: people are told once, until it works again."""

from worker.journal.scripts import Scripts


class Troubles:
    """Alerts people of what a worker finds out by itself.

    Args:
        scripts: where it is kept.

    Raises (every method):
        StoreUnavailable: Valkey did not answer.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def note(self, kind: str, source: str, text: str) -> None:
        """Note that something does not work, and why; all workers may."""
        await self._scripts.call("trouble", kind, source, text)

    async def mended(self, kind: str, source: str) -> None:
        """Note that it works."""
        await self._scripts.call("trouble", kind, source, "")
