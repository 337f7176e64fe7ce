"""What a workflow sees of the engine."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar

from worker.events import Event

P = ParamSpec("P")
T = TypeVar("T")
Services = TypeVar("Services")

Halted = Literal["none", "newer", "cancelled", "paused", "finished"]
Mode = Literal["auto", "approve", "plan"]

CALL_BUDGET_S = 10.0
"""Seconds that one ordinary outside call may take, answer included."""
BULK_CALL_BUDGET_S = 60.0
"""Seconds that a call which writes many records at once may take."""


class Call(Protocol):
    """One outside request in flight."""

    def settled(self) -> None:
        """Say that the outcome is known: an answer came (of any status), or the request never left."""

    def refused(self, after: float | None) -> None:
        """Say that the other side answered that there were too many requests (429).

        Args:
            after: seconds until it takes requests again, if it told them.
        """


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes: who, why, and what they answered beside it (JSON data)."""

    by: str
    reason: str
    answer: Any


class Guard(Protocol):
    """What stands before outside requests: a run, or the request budget alone for work without a run."""

    @property
    def in_doubt(self) -> bool:
        """Whether the current step's earlier write may have been done already: look before writing again."""

    def call(
        self, what: str, *, write: bool, budget_s: float = CALL_BUDGET_S, limited: bool = True
    ) -> AbstractAsyncContextManager[Call]:
        """Guard one outside request; only transports use it.

        Entering takes the request out of the request budget, checks the lease and, for a write, stores a fenced intent.

        Args:
            what: the request, for messages.
            write: whether it changes something outside.
            budget_s: the seconds that the body is given.
            limited: whether it counts in the request budget.

        Raises:
            TimeoutError: the budget ran out; the outcome of a write is in doubt.
        """
        ...


class Run(Guard, Protocol):
    """One run of a workflow: its checkpoints, its clock and its waits."""

    @property
    def id(self) -> str:
        """The run's id."""

    @property
    def now(self) -> datetime:
        """When the run first started (UTC): the same at every claim, so decisions on it stay the same."""

    @property
    def newer(self) -> str | None:
        """The run of a later event that wrote to the client before this one: this one came late.

        It must not undo what that one did.
        """

    async def step(self, id: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: A002 - the field's own word
        """Run `fn` once and remember its result.

        Args:
            id: written by hand; holds a natural key in loops (``contact:{email}``). Its meaning never changes.
            fn: a module-level async function with a return annotation, which restores the stored result.
            *args: for `fn`.
            **kwargs: for `fn`.

        Returns:
            What `fn` returned, now or at an earlier claim.
        """
        ...

    async def sleep_until(self, id: str, when: datetime, what: str) -> None:  # noqa: A002 - the field's own word
        """Wait without a worker slot, and without the place in the client's queue, until `when`.

        Args:
            id: the wait's step id.
            when: a UTC time; in the past: no wait.
            what: what the run waits for, in plain words for an operator.
        """

    async def approval(self, id: str, question: str, *, within: timedelta) -> Approval:  # noqa: A002 - the field's own word
        """Wait for a person's decision, without a slot and without the place in the client's queue.

        A rejection ends the run as cancelled. Silence never approves: after `within` the people in charge are told, and
        the run goes on waiting.

        Args:
            id: the decision's step id.
            question: what is to be decided, in plain words.
            within: when it becomes overdue.
        """
        ...

    async def event(self, id: str, name: str, *, until: datetime, what: str) -> str | None:  # noqa: A002 - the field's own word
        """Wait for an event, without a slot and without the place in the client's queue.

        Args:
            id: the wait's step id.
            name: the event's type and one of its client keys: ``client.churned crm:C-77``.
            until: when the wait ends without one (UTC).
            what: what the run waits for, in plain words.

        Returns:
            The event's id; None if none came in time.
        """

    async def remark(self, id: str, text: str) -> None:  # noqa: A002 - the field's own word
        """Say something in the run's history that an operator should find there.

        Args:
            id: the remark's step id; it is said once.
            text: what happened, in plain words.
        """

    async def halt(self, id: str, workflow: str, fact: str, reason: str) -> Halted:  # noqa: A002 - the field's own word
        """Stop the run of an earlier business fact that does not hold any more, and let the fact start a new run.

        Args:
            id: the step's id; it is done once.
            workflow: the other run's workflow.
            fact: its business fact, as its route has it.
            reason: why, for both histories.

        Returns:
            "none": there is no such run that could be stopped. "newer": its event is later than this one; it is left
            alone. "cancelled": it had written nothing. "paused": before its next write, until a person decides.
            "finished": it had succeeded already.
        """
        ...

    async def supersede(self, id: str, reason: str, workflow: str = "") -> list[str]:  # noqa: A002 - the field's own word
        """End the client's runs of a workflow that an earlier event began and that wait for a date or a person.

        Args:
            id: the step's id; it is done once.
            reason: why, for their histories.
            workflow: of which workflow; empty: of this one.

        Returns:
            The ids of the runs that were ended.
        """
        ...

    async def known_as(self, *keys: str) -> None:
        """Enter the queues of further names of the client (``halo:29``); waits until the run is first there too."""


@dataclass(frozen=True, slots=True)
class Route:
    """How an event enters a workflow, read off the event without I/O.

    Attributes:
        fact: the business fact (``deal:D-1001:won``): starts nothing while a run for it is open or succeeded.
        keys: every name of the client that the event knows; runs that share one go one after the other.
        client: the client's name for people.
    """

    fact: str
    keys: Sequence[str]
    client: str


@dataclass(frozen=True, slots=True)
class Start:
    """How runs of a workflow begin that nobody has started by hand.

    Attributes:
        mode: "auto": at once. "approve": when a person has said yes. "plan": not at all; the run's result is what it
            would do.
        within: when a person's yes becomes overdue.
    """

    mode: Mode = "auto"
    within: timedelta = timedelta(days=1)


def start_at_once(_services: object) -> Start:
    """Begin without asking."""
    return Start()


@dataclass(frozen=True, slots=True)
class Workflow(Generic[Services]):
    """A plan as a value: listed in `workflows.registry`, found there by the event's type.

    Attributes:
        name: never changes.
        version: a hand-written integer; raised only when the meaning of the whole changes.
        on: the event type that starts it.
        route: reads fact and client off the event; never raises for an unreadable event.
        plan: the workflow itself; what it returns (a pydantic model or dataclass) becomes the run's result.
        start: how its runs begin.
    """

    name: str
    version: int
    on: str
    route: Callable[[Event], Route]
    plan: Callable[[Run, Services, Event], Awaitable[Any]]
    start: Callable[[Services], Start] = start_at_once
