"""A run that is only planned: its workflow goes through to the end, and nothing is written anywhere."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ParamSpec, Protocol, TypeVar

from pydantic import TypeAdapter

from worker.errors import NeedsOperator, NotYet
from worker.events import Event
from worker.results import result_type
from worker.run import CALL_BUDGET_S, Approval, Call, Guard, Halted, Run

P = ParamSpec("P")
T = TypeVar("T")
Services = TypeVar("Services")


@dataclass(slots=True)
class Plan:
    """What a run would do.

    Attributes:
        workflow: the workflow's name.
        client: the client's name for people.
        writes: each write with its step, in order; ids below zero stand for records that do not exist yet.
        steps: each step with its result, whether it was done earlier, and how many writes it would make.
        waits: what the run would wait for, in plain words.
        problem: why it would stop before its end; None: it would not.
        requests: how many requests it would cost.
    """

    workflow: str
    client: str
    writes: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    problem: str | None = None
    requests: int = 0


class Written(Protocol):
    """A write that a dry run wrote down."""

    @property
    def method(self) -> str:
        """Its HTTP method."""

    @property
    def path(self) -> str:
        """Its path."""

    @property
    def body(self) -> Any:
        """Its body."""


class PlannedRun:
    """What a workflow holds as `worker.run.Run` while it is planned.

    Args:
        plan: takes what would be done.
        guard: stands before the reads.
        id: the run's id, or what stands for it.
        now: when the run began, or would begin.
        finished: results of the steps that are done already, as plain data.
        newer: see `worker.run.Run.newer`.
    """

    def __init__(
        self,
        plan: Plan,
        guard: Guard,
        *,
        id: str,  # noqa: A002 - the protocol's name
        now: datetime,
        finished: Mapping[str, Any] | None = None,
        newer: str | None = None,
    ) -> None:
        self._plan = plan
        self._guard = guard
        self._id = id
        self._now = now
        self._finished = finished or {}
        self._newer = newer
        self._step: str | None = None

    @property
    def id(self) -> str:
        """The run's id."""
        return self._id

    @property
    def now(self) -> datetime:
        """When the run began, or would begin (UTC)."""
        return self._now

    @property
    def newer(self) -> str | None:
        """The run of a later event that wrote to the client already."""
        return self._newer

    @property
    def in_doubt(self) -> bool:
        """Whether a step is to look for what it may have done: a plan itself does nothing."""
        return False

    def note(self, write: Written) -> None:
        """Put a write into the plan."""
        made = {"step": self._step, "method": write.method, "path": write.path, "body": write.body}
        self._plan.writes.append(made)
        self._plan.requests += 1

    async def step(self, id: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: A002 - the protocol's name
        """Do a step with its writes only written down; one that is done already gives its result."""
        adapter: TypeAdapter[T] = result_type(fn)
        if id in self._finished:
            value = adapter.validate_python(self._finished[id])
            self._plan.steps.append({"step": id, "done": True, "writes": 0, "result": self._finished[id]})
            return value
        before, self._step = len(self._plan.writes), id
        try:
            value = await fn(*args, **kwargs)
        finally:
            self._step = None
        made = len(self._plan.writes) - before
        result = adapter.dump_python(value, mode="json")
        self._plan.steps.append({"step": id, "done": False, "writes": made, "result": result})
        return value

    async def sleep_until(self, id: str, when: datetime, what: str) -> None:  # noqa: A002 - the protocol's name
        """Write down the wait and go on."""
        if id not in self._finished and when > self._now:
            self._plan.waits.append(f"{when:%Y-%m-%d %H:%M} UTC: {what}")

    async def approval(self, id: str, question: str, *, within: timedelta) -> Approval:  # noqa: A002 - the protocol's name
        """Write down the question and go on as if it were approved."""
        if id not in self._finished:
            self._plan.waits.append(f"a person, within {within}: {question}")
        given = self._finished.get(id) or {}
        return Approval(by=given.get("by", ""), reason=given.get("reason", ""), answer=given.get("answer"))

    async def event(self, id: str, name: str, *, until: datetime, what: str) -> str | None:  # noqa: A002 - the protocol's name
        """Write down the wait and go on as if nothing came."""
        if id not in self._finished:
            self._plan.waits.append(f"{name} until {until:%Y-%m-%d %H:%M} UTC: {what}")
        return self._finished.get(id)

    async def remark(self, id: str, text: str) -> None:  # noqa: A002 - the protocol's name
        """Do nothing: there is no history."""

    async def halt(self, id: str, workflow: str, fact: str, reason: str) -> Halted:  # noqa: A002 - the protocol's name
        """Stop nothing: go on as if there were no such run, unless one was stopped earlier."""
        if id not in self._finished:
            self._plan.waits.append(f"a stop of the {workflow} run of {fact}: {reason}")
            return "none"
        return TypeAdapter(Halted).validate_python(self._finished[id])

    async def supersede(self, id: str, reason: str, workflow: str = "") -> list[str]:  # noqa: A002, ARG002 - the protocol's names
        """End nothing, and go on as if no other run waited."""
        return list(self._finished.get(id, []))

    async def known_as(self, *keys: str) -> None:
        """Do nothing: a plan stands in no queue."""

    @asynccontextmanager
    async def call(
        self, what: str, *, write: bool, budget_s: float = CALL_BUDGET_S, limited: bool = True
    ) -> AsyncIterator[Call]:
        """Guard a read; a write is a bug that must not leave the process.

        Raises:
            RuntimeError: something tried to write past the dry run's transport.
        """
        if write:
            raise RuntimeError(f"{what} would have written in a dry run")
        self._plan.requests += what.startswith("GET")  # signing in is no part of the run's work
        async with self._guard.call(what, write=False, budget_s=budget_s, limited=limited) as call:
            yield call


async def draw_up(
    plan: Plan, workflow: Callable[[Run, Services, Event], Awaitable[Any]], run: Run, services: Services, event: Event
) -> Plan:
    """Let a workflow go through to its end, or to where it would stop.

    Raises:
        RetryLater: the outside world cannot be asked now.
    """
    try:
        await workflow(run, services, event)
    except NotYet as absence:
        plan.waits.append(absence.what)
        plan.problem = absence.what
    except NeedsOperator as trouble:
        plan.problem = str(trouble)
    return plan
