"""An engine in memory: one run, its checkpoints and intents, and claims that go on where the last one died."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar, get_type_hints

from pydantic import TypeAdapter

from worker.errors import StopRun
from worker.run import CALL_BUDGET_S, Approval, Halted

P = ParamSpec("P")
T = TypeVar("T")

STARTED = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Asleep(StopRun):
    """The run waits for a date."""


@dataclass
class Notebook:
    """What outlives a claim."""

    run: str = "r-1"
    steps: dict[str, bytes] = field(default_factory=dict)
    intents: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    waits: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    clock: datetime = STARTED
    newer: str | None = None
    questions: list[str] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    halts: dict[str, Halted] = field(default_factory=dict)
    halted: list[tuple[str, str, str]] = field(default_factory=list)


class MemoryCall:
    """One call in flight."""

    def __init__(self) -> None:
        self.known = False

    def settled(self) -> None:
        self.known = True

    def refused(self, after: float | None) -> None:
        """It is told by the answer too."""


class MemoryRun:
    """One claim of a run, as `worker.run.Run`."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._step: str | None = None
        self._seen: set[str] = set()
        self._doubtful = frozenset(notebook.intents)
        self.calls: list[tuple[str, MemoryCall]] = []

    @property
    def id(self) -> str:
        return self._notebook.run

    @property
    def now(self) -> datetime:
        return STARTED

    @property
    def newer(self) -> str | None:
        return self._notebook.newer

    @property
    def in_doubt(self) -> bool:
        return self._step in self._doubtful

    async def step(self, id: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: A002 - the protocol's name
        assert id not in self._seen, f"step {id} occurs twice"
        self._seen.add(id)
        result: TypeAdapter[T] = TypeAdapter(get_type_hints(fn)["return"])
        if id not in self._notebook.steps:
            self._step = id
            try:
                self._notebook.steps[id] = result.dump_json(await fn(*args, **kwargs))
            finally:
                self._step = None
            self._notebook.intents.discard(id)
        return result.validate_json(self._notebook.steps[id])

    async def sleep_until(self, id: str, when: datetime, what: str) -> None:  # noqa: A002 - the protocol's name
        self._notebook.waits[id] = (when, what)
        if self._notebook.clock < when:
            raise Asleep(what)

    async def approval(self, id: str, question: str, *, within: timedelta) -> Approval:  # noqa: A002 - the protocol's name
        if id in self._notebook.answers:
            return Approval(by="ada", reason="looked", answer=self._notebook.answers[id])
        self._notebook.questions.append(f"{id}: {question} ({within})")
        raise Asleep(question)

    async def event(self, id: str, name: str, *, until: datetime, what: str) -> str | None:  # noqa: A002 - the protocol's name
        raise NotImplementedError("no workflow waits for events")

    async def remark(self, id: str, text: str) -> None:  # noqa: A002 - the protocol's name
        assert id not in self._seen, f"step {id} occurs twice"
        self._seen.add(id)
        self._notebook.remarks[id] = text

    async def halt(self, id: str, workflow: str, fact: str, reason: str) -> Halted:  # noqa: A002 - the protocol's name
        assert id not in self._seen, f"step {id} occurs twice"
        self._seen.add(id)
        self._notebook.halted.append((workflow, fact, reason))
        return self._notebook.halts.get(fact, "none")

    async def supersede(self, id: str, reason: str, workflow: str = "") -> list[str]:  # noqa: A002, ARG002 - the protocol's names
        assert id not in self._seen, f"step {id} occurs twice"
        self._seen.add(id)
        return []

    async def known_as(self, *keys: str) -> None:
        self._notebook.keys |= set(keys)

    @asynccontextmanager
    async def call(
        self,
        what: str,
        *,
        write: bool,
        budget_s: float = CALL_BUDGET_S,
        limited: bool = True,  # noqa: ARG002 - the protocol has it
    ) -> AsyncIterator[MemoryCall]:
        assert self._step, f"{what} outside a step"
        if write:
            self._notebook.intents.add(self._step)
        call = MemoryCall()
        self.calls.append((what, call))
        async with asyncio.timeout(budget_s):
            yield call


class Reading(MemoryRun):
    """Stands before reads outside a run."""

    def __init__(self) -> None:
        super().__init__(Notebook())
        self._step = "reading"

    @asynccontextmanager
    async def call(
        self, what: str, *, write: bool, budget_s: float = CALL_BUDGET_S, limited: bool = True
    ) -> AsyncIterator[MemoryCall]:
        assert not write, f"{what} is a write"
        async with super().call(what, write=write, budget_s=budget_s, limited=limited) as call:
            yield call


def restored(notebook: Notebook, step: str) -> Any:
    """The stored result of a step as plain data."""
    return TypeAdapter(Any).validate_json(notebook.steps[step])
