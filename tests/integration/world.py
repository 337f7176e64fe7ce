"""A worker with a toy workflow on a real journal: only the outside world and the server's clock are played."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from worker.engine import Engine
from worker.errors import RetryLater
from worker.events import Event
from worker.inbox import Inbox
from worker.jobs import encode_doorbell
from worker.journal import Journal
from worker.journal.reading import Reader
from worker.journal.scripts import Scripts
from worker.journal.verbs import Operator, Verbs
from worker.run import Route, Run, Workflow

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class Outside:
    """The world that the toy workflow writes to."""

    written: list[str] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)

    async def write(self, run: Run, what: str) -> None:
        async with run.call(f"POST {what}", write=True) as call:
            if self.trouble:
                trouble = self.trouble.pop(0)
                if isinstance(trouble, RetryLater):
                    call.settled()
                raise trouble
            self.written.append(what)
            call.settled()


@dataclass
class Services:
    run: Run
    outside: Outside
    plan: Callable[["Services", Event], Awaitable[Any]]
    stand_still: Callable[[], Awaitable[None]]
    rules: str


async def write(services: Services, what: str) -> str:
    await services.outside.write(services.run, what)
    return what


async def read(services: Services) -> int:
    async with services.run.call("GET", write=False) as call:
        call.settled()
        return len(services.outside.written)


async def two_writes(services: Services, event: Event) -> list[str]:
    first = await services.run.step("first", write, services, f"{event.id} first")
    return [first, await services.run.step("second", write, services, f"{event.id} second")]


class World:
    """A worker with a toy workflow, and the server's clock in the test's hand."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.outside = Outside()
        self.completed: dict[str, Event] = {}
        self.meanwhile: Callable[[World], Awaitable[None]] | None = None
        self.plan: Callable[[Services, Event], Awaitable[Any]] = two_writes
        scripts = Scripts(redis, encode_doorbell(), clock="return tonumber(redis.call('GET', 'test:now'))")
        self.journal, self.reader, self.verbs = Journal(scripts), Reader(scripts), Verbs(scripts)
        self.by = Operator("jane", "mended in HaloPSA")
        self.workflows = [Workflow("toy", 1, "toy.event", _route, self._run_plan)]
        self.inbox = Inbox(self.journal, self.reader, self.workflows, self._hydrate)
        self.engine = self.worker("worker-1")

    def worker(self, name: str, *, rules: str = "", suspend_always: bool = False) -> Engine[Services]:
        return Engine(
            self.journal,
            self.workflows,
            self._services,
            worker=name,
            hydrate=self._hydrate,
            rules=rules,
            suspend_always=suspend_always,
        )

    async def at(self, moment: datetime) -> None:
        await self.redis.set("test:now", int(moment.timestamp() * 1000))

    async def later(self, **span: float) -> None:
        now = int(str(await self.redis.get("test:now")))
        await self.redis.set("test:now", now + int(timedelta(**span).total_seconds() * 1000))

    async def receive(self, name: str, *, client: str = "acme", occurred: datetime = NOON, fact: str = "") -> str:
        payload = {"type": "toy.event", "data": {"client": client, "fact": fact or name}}
        receipt = await self.inbox.accept([Event(f"test:{name}", "test", "toy.event", occurred, payload)])
        runs = [run for event in receipt.accepted for run in await self.inbox.route(event)]
        return runs[0] if runs else ""

    async def show(self, run_id: str) -> dict[str, Any]:
        record = await self.reader.run(run_id)
        assert record is not None
        return record.details()

    async def alerts(self) -> list[str]:
        return [json.loads(text)["kind"] for text in await self.redis.execute_command("LRANGE", "ph:alerts", 0, -1)]  # type: ignore[no-untyped-call]  # redis 5 leaves it untyped

    async def _hydrate(self, event: Event) -> Event:
        return self.completed.get(event.id, event)

    def _services(self, run: Run, rules: str) -> Services:
        return Services(run, self.outside, self.plan, self._stand_still, rules)

    async def _stand_still(self) -> None:
        """What happens while the process of a worker does not run."""
        if self.meanwhile:
            await self.meanwhile(self)

    async def _run_plan(self, run: Run, services: Services, event: Event) -> Any:
        assert services.run is run
        return await services.plan(services, event)


def _route(event: Event) -> Route:
    return Route(event.data["fact"], [f"name:{event.data['client']}"], event.data["client"])
