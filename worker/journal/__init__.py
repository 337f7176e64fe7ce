"""The journal: the one truth about events and runs, kept in Valkey.

Every transition is one Lua script (the ``*.lua`` files beside this one), atomic and safe to repeat, since the client
repeats a command whose answer was lost. A run's owner is told by its token; time is the server's.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from worker.errors import Fenced, StoreUnavailable
from worker.events import Event
from worker.journal.records import RUN_STATES, Claim, RunRecord, RunState, read_claim

LEASE_MS: Final = 8000
"""How long a worker owns a run after each transition."""

_SERVER_CLOCK: Final = "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)"


@dataclass(frozen=True, slots=True)
class Doorbell:
    """How a script wakes a worker: the queue, and an encoded job with ``"@SUBJECT@"`` where the subject goes."""

    queue: str
    payload: str
    ttl_ms: int = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the inbox did with a delivery's events, by their ids."""

    accepted: list[str]
    duplicates: list[str]


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that an event is to start, unless its fact has one already."""

    run: str
    workflow: str
    version: int
    fact: str
    keys: Sequence[str]
    client: str
    occurred: int


@dataclass(frozen=True, slots=True)
class Release:
    """Why and until when (server ms, 0 = now) a worker gives a run back."""

    state: RunState
    waiting: str
    due: int = 0
    step: str = ""
    failure: str = ""
    attempt: int = 0
    settled: Sequence[str] = ()
    forget: Sequence[str] = ()
    away: bool = False
    history: str = ""
    actor: str = ""

    def dump(self) -> str:
        """Write the request as the release script reads it."""
        names = (*self.__slots__,)
        values = {name: getattr(self, name) for name in names}
        return json.dumps({k: list(v) if isinstance(v, tuple) else v for k, v in values.items()})


class Journal:
    """The transitions, and reading.

    Args:
        redis: a client with ``decode_responses=True``.
        doorbell: how to wake a worker.
        clock: Lua that returns the time in milliseconds; tests hold the server's clock by it.
        lease_ms: how long a claim lasts without a sign of life.

    Raises (every method):
        StoreUnavailable: Valkey did not answer or refused; nothing was stored.
    """

    def __init__(
        self, redis: Redis, doorbell: Doorbell, *, clock: str = _SERVER_CLOCK, lease_ms: int = LEASE_MS
    ) -> None:
        self._redis = redis
        self.lease_ms = lease_ms
        self._scripts = _load_scripts(redis, doorbell, clock)

    async def ingest(self, events: Sequence[Event]) -> Receipt:
        """Store events, each once, and ring for each; all or nothing."""
        argv: list[str | int] = []
        for event in events:
            body = json.dumps(event.payload, ensure_ascii=False, separators=(",", ":"))
            digest = hashlib.sha256(body.encode()).hexdigest()
            argv += [event.id, digest, event.source, event.type, _ms(event.occurred_at), body]
        answers = await self._call("ingest", argv)
        return Receipt(
            accepted=[stored_as for new, stored_as in answers if new],
            duplicates=[stored_as for new, stored_as in answers if not new],
        )

    async def route(self, event_id: str, runs: Sequence[NewRun], *, body: str = "", reason: str = "") -> list[str]:
        """Start an event's runs, or close it as ignored; returns the ids of its runs, at a repeat too."""
        routes = [{name: getattr(run, name) for name in run.__slots__} for run in runs]
        return list(await self._call("route", [event_id, body, reason, json.dumps(routes)]))

    async def postpone(self, event_id: str, *, error: str, due: int | None) -> None:
        """Put a received event off until `due` (server ms), or fail it (None)."""
        await self._call("postpone", [event_id, "failed" if due is None else "received", due or 0, error])

    async def claim(self, run_id: str, claim_id: str, worker: str) -> Claim | None:
        """Take a run; None where it is ended, owned, not due or not first in its client's queue."""
        answer = await self._call("claim", [run_id, claim_id, self.lease_ms, worker])
        if answer[0] != "claimed":
            return None
        _, now, run, event = answer
        return read_claim(run_id, now, _pairs(run), _pairs(event))

    async def intent(self, claim: Claim, step: str, budget_ms: int) -> str | None:
        """Announce a write; returns the run that goes first, if there is one now.

        Raises:
            Fenced: the run is not ours any more.
        """
        answer = _owned(await self._call("intent", [claim.run, claim.token, step, budget_ms, self.lease_ms]))
        return None if answer == "ok" else answer

    async def checkpoint(self, claim: Claim, step: str, record: str) -> None:
        """Keep a step's result.

        Raises:
            Fenced: the run is not ours any more.
        """
        _owned(await self._call("checkpoint", [claim.run, claim.token, step, record, self.lease_ms]))

    async def renew(self, claim: Claim) -> None:
        """Extend the lease.

        Raises:
            Fenced: the run is not ours any more.
        """
        _owned(await self._call("renew", [claim.run, claim.token, self.lease_ms]))

    async def join(self, claim: Claim, keys: Sequence[str]) -> str | None:
        """Enter further queues; returns the run that goes first there, if there is one.

        Raises:
            Fenced: the run is not ours any more.
        """
        answer = _owned(await self._call("join", [claim.run, claim.token, json.dumps(list(keys))]))
        return None if answer == "ok" else answer

    async def release(self, claim: Claim, release: Release) -> None:
        """Give the run back.

        Raises:
            Fenced: the run is not ours any more.
        """
        _owned(await self._call("release", [claim.run, claim.token, release.dump()]))

    async def finish(
        self, claim: Claim, state: RunState, *, result: str = "", error: str = "", step: str = "", failure: str = ""
    ) -> None:
        """End the run.

        Raises:
            Fenced: the run is not ours any more.
        """
        _owned(await self._call("finish", [claim.run, claim.token, state, result, error, step, failure]))

    async def sweep(self, worker: str, *, limit: int = 200, again_ms: int = 5000) -> int:
        """Ring again for what is due and quiet, and show that `worker` lives; returns the number of rings."""
        return int(await self._call("sweep", [limit, again_ms, worker]))

    async def workers(self) -> list[str]:
        """Name the workers that have swept within the last seconds."""
        return list(await self._read("ZRANGE", "ph:workers", 0, -1))

    async def event(self, event_id: str) -> dict[str, str] | None:
        """Read an event's hash."""
        return dict(await self._read("HGETALL", f"ph:event:{event_id}")) or None

    async def events(self, limit: int | None = None) -> list[tuple[str, dict[str, str]]]:
        """Read the newest events, the newest first."""
        ids = await self._read("ZREVRANGE", "ph:events", 0, -1 if limit is None else limit - 1)
        return [(event_id, fields) for event_id, fields in await self._hashes("ph:event:", ids) if fields]

    async def run(self, run_id: str) -> RunRecord | None:
        """Read one run with its event and history."""
        fields = await self._read("HGETALL", f"ph:run:{run_id}")
        if not fields:
            return None
        event = await self._read("HGETALL", f"ph:event:{fields['event']}")
        history = await self._read("LRANGE", f"ph:history:{run_id}", 0, -1)
        return RunRecord(run_id, fields, event, history)

    async def runs(self, limit: int | None = None, *, state: str | None = None) -> list[RunRecord]:
        """Read the newest runs, the newest first, perhaps of one state only."""
        index = f"ph:runs:{state}" if state else "ph:runs"
        ids = await self._read("ZREVRANGE", index, 0, -1 if limit is None else limit - 1)
        return [RunRecord(run_id, fields) for run_id, fields in await self._hashes("ph:run:", ids) if fields]

    async def counts(self) -> dict[str, int]:
        """Count the runs of each state."""
        async with _store(), self._redis.pipeline(transaction=False) as pipe:
            for state in RUN_STATES:
                pipe.zcard(f"ph:runs:{state}")
            return dict(zip(RUN_STATES, await pipe.execute(), strict=True))

    async def ping(self) -> None:
        """Ask whether the store answers."""
        await self._read("PING")

    async def _hashes(self, prefix: str, ids: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
        async with _store(), self._redis.pipeline(transaction=False) as pipe:
            for name in ids:
                pipe.hgetall(prefix + name)
            return list(zip(ids, await pipe.execute(), strict=True))

    async def _read(self, *command: str | int) -> Any:
        async with _store():
            return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]  # redis 5 leaves it untyped

    async def _call(self, script: str, argv: Sequence[str | int]) -> Any:
        async with _store():
            return await self._scripts[script](args=list(argv))


@asynccontextmanager
async def _store() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Valkey: {error}") from error


def _owned(answer: str) -> str:
    if answer == "fenced":
        raise Fenced
    return answer


def _load_scripts(redis: Redis, doorbell: Doorbell, clock: str) -> Mapping[str, AsyncScript]:
    folder = files(__name__)
    constants = (
        f"local DOORBELL = {_lua(doorbell.payload)}\nlocal QUEUE = {_lua(doorbell.queue)}\n"
        f"local DOORBELL_TTL_MS = {doorbell.ttl_ms}\n"
    )
    prelude = constants + folder.joinpath("prelude.lua").read_text().replace("--CLOCK--", clock)
    return {
        entry.name.removesuffix(".lua"): redis.register_script(prelude + entry.read_text())
        for entry in folder.iterdir()
        if entry.name.endswith(".lua") and entry.name != "prelude.lua"
    }


def _lua(text: str) -> str:
    return f"[==[{text}]==]"


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
