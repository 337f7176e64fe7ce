"""Workers in one process, put together as the real ones are, with the server's clock in the test's hand.

Time moves only to when the journal says that something must be looked at (``ph:open``): what is not in there is lost.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import time_machine
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.chaos.edges import LANDS_AFTER_MS, Course, Crash, EdgeConnection, Edges, EdgeTransport, doing
from worker.assemble.inbox import as_it_came
from worker.assemble.store import DOORBELL
from worker.budget import Budget
from worker.engine import Engine
from worker.errors import StoreUnavailable
from worker.events import Event
from worker.inbox import Inbox
from worker.journal import Journal
from worker.journal.reading import Reader
from worker.journal.scripts import Scripts
from workflows.halopsa import HaloConnection
from workflows.msp import msp_for_run
from workflows.policy import Policy
from workflows.registry import WORKFLOWS
from workflows.sandbox import Sandbox, sandbox_app

HELD_CLOCK: Final = "return tonumber(redis.call('GET', 'test:now'))"
MAX_LOOKS: Final = 1000
A_YEAR_MS: Final = 365 * 24 * 3600 * 1000
SLOTS: Final = 8
TICK_MS: Final = 1000
PAUSE_S: Final = 30
PLENTY: Final = 250
TIGHT: Final = 12
"""Requests in half a minute: a run has to wait for room now and then, and no step of it needs more."""


class LabWorker:
    """What a worker process consists of, but for its network connections."""

    def __init__(self, lab: "Laboratory", *, suspend_always: bool) -> None:
        self.edges = Edges(lab.course)
        self._redis = Redis(
            connection_pool=ConnectionPool.from_url(
                lab.url,
                connection_class=EdgeConnection,
                edges=self.edges,
                decode_responses=True,
                retry=Retry(NoBackoff(), 1),
                retry_on_error=[RedisConnectionError],
            )
        )
        scripts = Scripts(self._redis, DOORBELL, clock=HELD_CLOCK)
        self.edges.scripts = {script.sha: name for name, script in scripts._scripts.items()}
        self._halo = HaloConnection(
            "http://halo.test",
            client_id="parhelion",
            client_secret="sandbox-secret",
            transport=EdgeTransport(self.edges, lab.app),
        )
        self.inbox = Inbox(Journal(scripts), Reader(scripts), WORKFLOWS, as_it_came)
        self.engine = Engine(
            Journal(scripts),
            WORKFLOWS,
            msp_for_run(self._halo),
            worker="lab",
            hydrate=as_it_came,
            rules=Policy().model_dump_json(),
            budget=Budget(scripts, requests=TIGHT if suspend_always else PLENTY, window_s=30),
            suspend_always=suspend_always,
        )

    async def answer(self, subject: str) -> None:
        """Answer a doorbell."""
        kind, _, identity = subject.partition("/")
        for run in await self.inbox.route(identity) if kind == "event" else [identity]:
            doing.set(f"run/{run}")
            await self.engine.advance(run)

    async def close(self) -> None:
        await self._redis.aclose(close_connection_pool=True)


class Laboratory:
    """An empty journal in a real Valkey, a tenant of the sandbox, and workers that die and are replaced."""

    def __init__(self, redis: Redis, url: str, sandbox: Sandbox, course: Course, *, suspend_always: bool) -> None:
        self.url, self.course, self.sandbox = url, course, sandbox
        self.app = sandbox_app(sandbox)
        self._redis = redis
        self._suspend_always = suspend_always
        self._worker: LabWorker | None = None
        self._retired: list[LabWorker] = []
        self._calendar: time_machine.Traveller | None = None
        self.reader = Reader(Scripts(redis, DOORBELL, clock=HELD_CLOCK))
        course.meanwhile = self._go_on_without_the_stopped

    async def deliver(self, event: Event) -> None:
        """Send an event as its sender would: again, until it is accepted."""
        for _ in range(2):
            try:
                await self._current().inbox.accept([event])
            except StoreUnavailable:
                continue
            except Crash:
                self._bury()
                continue
            return
        raise AssertionError("two deliveries were not accepted")

    async def look(self) -> bool:
        """Move on to what the journal wants looked at next, and let a worker look; False when nothing is left."""
        due = await self._redis.zrange("ph:open", 0, SLOTS - 1, withscores=True)
        if not due or due[0][1] > self.course.now + A_YEAR_MS:
            return False
        await self.at(max(self.course.now + TICK_MS, int(due[0][1])))
        await asyncio.gather(*(self._answer(subject) for subject, at in due if at <= self.course.now))
        return True

    async def run_to_the_end(self) -> None:
        """Look until nothing is left to be looked at, and no write is under way any more."""
        for _ in range(MAX_LOOKS):
            if not await self.look():
                await self.at(self.course.now + LANDS_AFTER_MS)
                return
        raise AssertionError(f"not at an end after {MAX_LOOKS} looks: {await self.runs()}")

    async def at(self, now: int) -> None:
        """Set the server's clock (ms); writes that are under way arrive when their time has come."""
        self.course.now = now
        await self._redis.set("test:now", now)
        landing = [request for at, request in self.course.late if at <= now]
        self.course.late = [(at, request) for at, request in self.course.late if at > now]
        for request in landing:
            await httpx.ASGITransport(self.app).handle_async_request(request)

    async def runs(self) -> list[dict[str, Any]]:
        """All runs with their steps, the oldest first."""
        records = [await self.reader.run(run.id) for run in reversed(await self.reader.runs())]
        return [record.details() for record in records if record]

    async def close(self) -> None:
        for worker in [*self._retired, *([self._worker] if self._worker else [])]:
            await worker.close()

    async def _answer(self, subject: str) -> None:
        try:
            await self._current().answer(subject)
        except StoreUnavailable:
            pass  # as in a real worker, the journal's sweep rings again
        except Crash:
            self._bury()

    async def _go_on_without_the_stopped(self) -> None:
        self._bury()
        await self.at(self.course.now + PAUSE_S * 1000)
        await self.run_to_the_end()
        assert self._calendar
        self._calendar.shift(PAUSE_S)

    def _current(self) -> LabWorker:
        self._worker = self._worker or LabWorker(self, suspend_always=self._suspend_always)
        return self._worker

    def _bury(self) -> None:
        if self._worker:
            self._retired.append(self._worker)
        self._worker = None


@asynccontextmanager
async def laboratory(
    redis: Redis,
    url: str,
    sandbox: Sandbox,
    *,
    course: Course | None = None,
    now: int,
    suspend_always: bool = False,
) -> AsyncIterator[Laboratory]:
    """Open a laboratory on an emptied store at a time (ms)."""
    await redis.flushdb()
    lab = Laboratory(redis, url, sandbox, course or Course(), suspend_always=suspend_always)
    await lab.at(now)
    with time_machine.travel(now / 1000, tick=True) as lab._calendar:
        try:
            yield lab
        finally:
            await lab.close()
