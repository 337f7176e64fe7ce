"""Reading the journal: for the command line, metrics and whoever watches."""

from worker.journal.records import RUN_STATES, RunRecord
from worker.journal.scripts import Scripts


class Reader:
    """Gives out events and runs.

    Raises (every method):
        StoreUnavailable: Valkey did not answer.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def event(self, event_id: str) -> dict[str, str] | None:
        """Read an event's hash."""
        return dict(await self._scripts.read("HGETALL", f"ph:event:{event_id}")) or None

    async def events(self, limit: int | None = None) -> list[tuple[str, dict[str, str]]]:
        """Read the newest events, the newest first."""
        ids = await self._scripts.read("ZREVRANGE", "ph:events", 0, -1 if limit is None else limit - 1)
        return await self._scripts.hashes("ph:event:", ids)

    async def run(self, run_id: str) -> RunRecord | None:
        """Read one run with its event and history."""
        fields = await self._scripts.read("HGETALL", f"ph:run:{run_id}")
        if not fields:
            return None
        event = await self._scripts.read("HGETALL", f"ph:event:{fields['event']}")
        history = await self._scripts.read("LRANGE", f"ph:history:{run_id}", 0, -1)
        return RunRecord(run_id, fields, event, history)

    async def runs(self, limit: int | None = None, *, state: str | None = None) -> list[RunRecord]:
        """Read the newest runs, the newest first, perhaps of one state only."""
        index = f"ph:runs:{state}" if state else "ph:runs"
        ids = await self._scripts.read("ZREVRANGE", index, 0, -1 if limit is None else limit - 1)
        return [RunRecord(run_id, fields) for run_id, fields in await self._scripts.hashes("ph:run:", ids)]

    async def counts(self) -> dict[str, int]:
        """Count the runs of each state."""
        numbers = await self._scripts.batch([("ZCARD", f"ph:runs:{state}") for state in RUN_STATES])
        return dict(zip(RUN_STATES, numbers, strict=True))

    async def workers(self) -> list[str]:
        """Name the workers that have swept within the last seconds."""
        return list(await self._scripts.read("ZRANGE", "ph:workers", 0, -1))

    async def ping(self) -> None:
        """Ask whether the store answers."""
        await self._scripts.read("PING")
