"""Keeping the journal in bounds: alerts that are to be sent, what is old, what has no record, and the server itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from redis.exceptions import ResponseError

from worker.errors import StoreUnavailable
from worker.journal.scripts import Scripts

Index = Literal["runs", "events"]
INDEXES: Final[tuple[Index, ...]] = ("runs", "events")


@dataclass(frozen=True, slots=True)
class Aged:
    """What ended before a time (server ms): "run/<id>" and "event/<id>"."""

    before: int
    subjects: list[str]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: alerts to be sent, and ended runs and events to be archived one day."""

    alerts: int
    ended: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that Valkey uses, and those that it may use; 0 where there is no limit."""

    used: int
    limit: int

    @property
    def share(self) -> float:
        """The used part of the limit."""
        return self.used / self.limit if self.limit else 0.0


class Upkeep:
    """The chores.

    Raises (every method):
        StoreUnavailable: Valkey did not answer.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def next_alert(self, worker: str, *, hold_ms: int) -> tuple[str, int] | None:
        """Take the oldest alert (JSON) for a while; says too how often it was tried. None if there is nothing to do."""
        answer = await self._scripts.call("next_alert", worker, hold_ms)
        return (answer[0], int(answer[1])) if answer else None

    async def drop_alert(self, worker: str, alert: str) -> None:
        """Take an alert off the list."""
        await self._scripts.call("settle_alert", worker, alert, 0)

    async def put_alert_off(self, worker: str, alert: str, *, wait_ms: int) -> None:
        """Let no worker send alerts for a while: their order is kept."""
        await self._scripts.call("settle_alert", worker, alert, max(wait_ms, 1))

    async def aged(self, worker: str, *, hold_ms: int, age_ms: int, limit: int) -> Aged | None:
        """Name what ended longer ago than `age_ms`, the oldest first; None if another worker is at it."""
        answer = await self._scripts.call("aged", worker, hold_ms, age_ms, limit)
        return Aged(int(answer[0]), list(answer[1:])) if answer else None

    async def expire(self, aged: Aged) -> int:
        """Delete what stands in the archive, unless it was taken up again meanwhile; returns how many."""
        return int(await self._scripts.call("expire", aged.before, *aged.subjects))

    async def trim(self, index: Index, cursor: int, *, count: int) -> tuple[int, int]:
        """Take out of a part of an index what has no record; returns the next cursor (0 at its end) and how many."""
        following, trimmed = await self._scripts.call("trim", index, cursor, count)
        return int(following), int(trimmed)

    async def first_start(self) -> datetime:
        """Tell when this store was first asked this (UTC): its first worker's beginning."""
        now = int(await self._scripts.call("now"))
        await self._scripts.read("SET", "ph:first-start", now, "NX")
        return datetime.fromtimestamp(int(await self._scripts.read("GET", "ph:first-start")) / 1000, UTC)

    async def backlog(self) -> Backlog:
        """Count what waits."""
        return Backlog(*await self._scripts.batch([("LLEN", "ph:alerts"), ("ZCARD", "ph:ended")]))

    async def memory(self) -> Memory | None:
        """Read how full Valkey is; None where this user may not ask."""
        found = await self._ask("INFO", "memory")
        return None if found is None else Memory(found["used_memory"], found["maxmemory"])

    async def server_settings(self, names: Sequence[str]) -> dict[str, str] | None:
        """Read settings of the server; None where this user may not ask."""
        found = await self._ask("CONFIG", "GET", *names)
        return None if found is None else dict(zip(found[::2], found[1::2], strict=True))

    async def _ask(self, *command: str) -> Any | None:
        try:
            return await self._scripts.read(*command)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, ResponseError):
                return None
            raise
