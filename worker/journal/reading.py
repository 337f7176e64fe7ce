"""Reading the journal: for the command line, metrics and whoever watches."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from worker.journal.records import RUN_STATES, RunRecord, unpack_body
from worker.journal.scripts import Scripts

FAILED_EVENTS: Final = "ph:events:failed"
PAGE: Final = 100
"""Runs that are read whole in one round trip."""


class Reader:
    """Gives out events and runs.

    Raises (every method):
        StoreUnavailable: Valkey did not answer.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def event(self, event_id: str) -> dict[str, str] | None:
        """Read an event's hash, its body as it was received."""
        stored = dict(await self._scripts.read("HGETALL", f"ph:event:{event_id}"))
        return {**stored, "body": unpack_body(stored["body"])} if stored else None

    async def events(self, limit: int | None = None, *, failed: bool = False) -> list[tuple[str, dict[str, str]]]:
        """Read the newest events, the newest first, perhaps only those that could not be completed."""
        index = FAILED_EVENTS if failed else "ph:events"
        ids = await self._scripts.read("ZREVRANGE", index, 0, -1 if limit is None else limit - 1)
        return await self._scripts.hashes("ph:event:", ids)

    async def failed_events(self) -> int:
        """Count the events that could not be completed."""
        return int(await self._scripts.read("ZCARD", FAILED_EVENTS))

    async def run(self, run_id: str) -> RunRecord | None:
        """Read one run with its event and history."""
        return next(iter(await self.whole_runs([run_id])), None)

    async def whole_runs(self, run_ids: Sequence[str]) -> list[RunRecord]:
        """Read several runs with their events and histories; those that are not there are left out."""
        runs = await self._scripts.hashes("ph:run:", run_ids)
        events = await self._scripts.batch([("HGETALL", f"ph:event:{fields['event']}") for _, fields in runs])
        histories = await self._scripts.batch([("LRANGE", f"ph:history:{name}", "0", "-1") for name, _ in runs])
        return [RunRecord(*run, *more) for run, *more in zip(runs, events, histories, strict=True)]

    async def export(self) -> AsyncIterator[dict[str, Any]]:
        """Give the details of every run that is there now, the oldest first."""
        ids = await self._scripts.read("ZRANGE", "ph:runs", 0, -1)
        for start in range(0, len(ids), PAGE):
            for run in await self.whole_runs(ids[start : start + PAGE]):
                yield run.details()

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
