"""A run in the hands of a worker: its checkpoints, its guarded calls and its waits."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, Final, ParamSpec, TypeVar

from pydantic import TypeAdapter, ValidationError

from worker import metrics
from worker.budget import LOOK_EVERY_S, NoRoom, OutsideCall, Permits
from worker.errors import NeedsOperator, StopRun
from worker.journal import Journal, Release
from worker.journal.records import Claim, Failure, StepRecord, iso
from worker.results import dump_result, result_type
from worker.run import CALL_BUDGET_S, Approval, Halted

P = ParamSpec("P")
T = TypeVar("T")

START: Final = "start"
BETWEEN_STEPS: Final = "(between steps)"
"""What stands for a step where the workflow's own code failed."""
DOUBT_MARGIN_MS: Final = 1000
"""What is waited beyond an old call's budget before its step is done again."""
SLICE_S: Final = 60.0
"""After this long in one claim a run gives its slot back between two steps."""
LEASE_CHECK_S: Final = 2.0
"""A lease confirmed longer ago than this is confirmed again before the next request."""

Clocks = tuple[float, float]

_halted: Final[TypeAdapter[Halted]] = TypeAdapter(Halted)

_step: ContextVar[str | None] = ContextVar("step", default=None)


class Suspend(StopRun):
    """The claim ends here with this release."""

    def __init__(self, release: Release) -> None:
        super().__init__(release.waiting)
        self.release = release


class Cancelled(StopRun):
    """A person has ended the run."""


class ActiveRun:
    """A claimed run: what its workflow holds as `worker.run.Run`."""

    def __init__(
        self,
        journal: Journal,
        claim: Claim,
        *,
        asked: Clocks,
        worker: str,
        stopping: asyncio.Event,
        permits: Permits | None = None,
        suspend_always: bool = False,
    ) -> None:
        self._journal = journal
        self._claim = claim
        self._worker = worker
        self._stopping = stopping
        self._permits = permits
        self._suspend_always = suspend_always
        self._met: set[str] = set()
        self._settled: set[str] = set()
        self._holds = claim.holds
        self._deadlines: dict[OutsideCall, float] = {}
        self._began = time.monotonic()
        self._confirmed = asked
        self.current_step = START
        self.failed: dict[str, Failure] = {}
        self.step_started = claim.now

    @property
    def id(self) -> str:
        """The run's id."""
        return self._claim.run

    @property
    def now(self) -> datetime:
        """When the run first started (UTC)."""
        return datetime.fromtimestamp(self._claim.started / 1000, UTC)

    @property
    def settled(self) -> list[str]:
        """The steps whose last write was answered."""
        return sorted(self._settled)

    @property
    def newer(self) -> str | None:
        """The run of a later event that wrote to the client before this one; see `worker.run.Run.newer`."""
        return self._claim.newer

    @property
    def in_doubt(self) -> bool:
        """Whether the current step's earlier write may have been done already."""
        return _step.get() in self._claim.intents

    async def step(self, id: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: A002 - the field's own word
        """Run `fn` once and remember its result; see `worker.run.Run.step`."""
        self._meet(id)
        adapter: TypeAdapter[T] = result_type(fn)
        if (done := self._claim.steps.get(id)) is not None:
            return self._restore(id, adapter, done)
        self._pause_if_due(id)
        started = self.server_now()
        self.current_step, self.step_started = id, started
        mark = _step.set(id)
        try:
            value = await fn(*args, **kwargs)
        except Exception as error:
            self.failed[id] = self.failure(str(error) or type(error).__name__)
            raise
        finally:
            _step.reset(mark)
        await self._checkpoint(id, started, dump_result(id, adapter, value))
        self.current_step, self.step_started = BETWEEN_STEPS, self.server_now()
        return value

    async def sleep_until(self, id: str, when: datetime, what: str) -> None:  # noqa: A002 - the field's own word
        """Wait without a slot and without the place in the client's queue; see `worker.run.Run.sleep_until`."""
        self._meet(id)
        due = int(when.timestamp() * 1000)
        if id in self._claim.steps:
            return
        if self.server_now() >= due:
            await self._checkpoint(id, self.server_now(), None)
            return
        raise Suspend(Release("waiting", what, due=due, step=id, away=True))

    async def approval(self, id: str, question: str, *, within: timedelta) -> Approval:  # noqa: A002 - the field's own word
        """Wait for a person's decision; see `worker.run.Run.approval`."""
        self._meet(id)
        if (done := self._claim.steps.get(id)) is not None:
            return _approval(done.result)
        if (answer := self._claim.answers.get(id)) is not None:
            await self._checkpoint(id, int(answer["at"]), answer)
            return _approval(answer)
        asked = self._claim.failures.get(id)
        if asked is None:
            due = self.server_now() + int(within.total_seconds() * 1000)
            note = Failure(1, self.server_now(), due, question)
            waiting = f"a person: {question} (until {iso(due)})"
            raise Suspend(Release("waiting", waiting, due=due, step=id, failure=note.dump(), asks=True, away=True))
        waiting = f"a person, overdue since {iso(asked.at)}: {question}"
        raise Suspend(Release("waiting", waiting, due=-1, step=id, asks=True, away=True, overdue=True))

    async def event(self, id: str, name: str, *, until: datetime, what: str) -> str | None:  # noqa: A002 - the field's own word
        """Wait for an event; see `worker.run.Run.event`."""
        self._meet(id)
        if (done := self._claim.steps.get(id)) is not None:
            return None if done.result is None else str(done.result)
        due = int(until.timestamp() * 1000)
        answer = self._claim.answers.get(id)
        if answer is None and self.server_now() < due:
            raise Suspend(Release("waiting", what, due=due, step=id, away=True, awaits=name))
        event_id = answer["event"] if answer else None
        await self._checkpoint(id, self._claim.now, event_id)
        return event_id

    async def remark(self, id: str, text: str) -> None:  # noqa: A002 - the field's own word
        """Say something in the run's history, once; see `worker.run.Run.remark`."""
        self._meet(id)
        if id not in self._claim.steps:
            await self._checkpoint(id, self.server_now(), None, history=text)

    async def halt(self, id: str, workflow: str, fact: str, reason: str) -> Halted:  # noqa: A002 - the field's own word
        """Stop the run of a fact that does not hold any more; see `worker.run.Run.halt`."""
        self._meet(id)
        if (done := self._claim.steps.get(id)) is not None:
            return _halted.validate_python(done.result)
        answer = _halted.validate_python(await self._journal.halt(self._claim, id, workflow, fact, reason))
        await self._checkpoint(id, self.server_now(), answer)
        return answer

    async def supersede(self, id: str, reason: str, workflow: str = "") -> list[str]:  # noqa: A002 - the field's own word
        """End the client's earlier runs of a workflow that wait; see `worker.run.Run.supersede`."""
        self._meet(id)
        if (done := self._claim.steps.get(id)) is not None:
            return list(done.result)
        ended = await self._journal.supersede(self._claim, id, reason, workflow)
        await self._checkpoint(id, self.server_now(), ended)
        return ended

    async def known_as(self, *keys: str) -> None:
        """Enter the queues of further names of the client; see `worker.run.Run.known_as`."""
        new = [key for key in keys if key not in self._claim.keys]
        if not new:
            return
        ahead = await self._journal.join(self._claim, new)
        self._claim.keys.extend(new)
        if ahead is not None:
            raise Suspend(self._yield_to(ahead))

    @asynccontextmanager
    async def call(
        self, what: str, *, write: bool, budget_s: float = CALL_BUDGET_S, limited: bool = True
    ) -> AsyncIterator[OutsideCall]:
        """Guard one outside request; see `worker.run.Run.call`."""
        step = _step.get()
        if step is None:
            raise RuntimeError(f"{what} was sent outside a step: outside calls belong into run.step")
        permits = self._permits if limited else None
        if permits:
            await self._take(permits, step, budget_s)
        await (self._announce(step, budget_s) if write else self._check_lease())
        call = OutsideCall()
        self._deadlines[call] = time.monotonic() + budget_s
        try:
            async with asyncio.timeout(budget_s):
                yield call
        finally:
            del self._deadlines[call]
            if write and call.known:
                self._settled.add(step)
        if permits and call.too_many:
            raise Suspend(self._out_of_budget(await permits.close(call.again_after)))

    async def give_permits_back(self) -> None:
        """Settle what was reserved of the request budget for a step that did not end."""
        if self._permits:
            await self._permits.settle()

    async def keep(self) -> None:
        """Renew the lease if a call is in flight within its budget; called now and then by the engine."""
        now = time.monotonic()
        if any(deadline > now for deadline in self._deadlines.values()) and self._lease_age() > LEASE_CHECK_S:
            await self._renew()

    def again_at(self, due: int, failure: Failure) -> Release:
        """Make the release for a step that is to be tried again at `due` (server ms)."""
        return Release(
            "waiting",
            f"the next try at {iso(due)}: {failure.error}",
            due=due,
            step=self.current_step,
            failure=failure.dump(),
            attempt=1,
            settled=self.settled,
        )

    def interrupted(self) -> Release:
        """Make the release for a worker that stops: the next one goes on at once."""
        return Release("queued", "a free worker", settled=self.settled)

    def failure(self, error: str, trace: str = "") -> Failure:
        """Describe a failure of the current step."""
        return Failure(self._tries(self.current_step), self.step_started, self.server_now(), error, trace)

    def server_now(self) -> int:
        """Estimate the server's clock (ms): its time at the claim and what has passed here since."""
        return self._claim.now + int((time.monotonic() - self._began) * 1000)

    def _tries(self, step: str) -> int:
        """Count the tries of a step, this one included."""
        failure = self._claim.failures.get(step)
        return (failure.attempts if failure else 0) + 1

    def _meet(self, step: str) -> None:
        if step in self._met:
            raise RuntimeError(f"step {step!r} occurs twice in one run: a step's id must be its own")
        self._met.add(step)

    def _restore(self, step: str, adapter: TypeAdapter[T], done: StepRecord) -> T:
        try:
            return adapter.validate_python(done.result)
        except ValidationError as error:
            self.current_step = step
            what = f"The result of step {step!r}{f', which was {done.by_hand},' if done.by_hand else ''} does not fit"
            raise NeedsOperator(
                f"{what}: {_shortly(error)}.",
                mend=f"retry the run from step {step!r}, or mark it done with a result that fits.",
            ) from error

    def _pause_if_due(self, step: str) -> None:
        """Stop before a step if the worker stops, the slice is over, or the step's old call may still land."""
        if self._stopping.is_set() or time.monotonic() - self._began > SLICE_S:
            raise Suspend(self.interrupted())
        deadline = self._claim.intents.get(step, 0)
        landed = deadline + DOUBT_MARGIN_MS
        if deadline and self.server_now() < landed:
            waiting = f"an earlier call of step {step!r} to land or die, before it looks whether it was done"
            raise Suspend(Release("waiting", waiting, due=landed, settled=self.settled))

    async def _take(self, permits: Permits, step: str, budget_s: float) -> None:
        """Take a request out of the budget; where there is no room, the run comes again when there is."""
        while (no_room := await permits.take(step, budget_s)) is not None:
            if not permits.beyond_a_window:
                raise Suspend(self._out_of_budget(no_room))
            if not self._deadlines:
                await permits.settle()
            await self._check_lease()
            await asyncio.sleep(LOOK_EVERY_S)

    def _out_of_budget(self, no_room: NoRoom) -> Release:
        return Release("waiting", no_room.text, due=no_room.at, settled=self.settled)

    async def _announce(self, step: str, budget_s: float) -> None:
        if self._stopping.is_set():
            raise Suspend(self.interrupted())
        asked = clocks()
        answer, ahead = await self._journal.intent(self._claim, step, int(budget_s * 1000))
        if answer == "behind":
            raise Suspend(self._yield_to(ahead))
        if answer == "paused":
            raise Suspend(Release("waiting", "a person: it is paused", settled=self.settled))
        self._holds = True
        self._settled.discard(step)
        self._confirmed = asked
        await self._hold_lease()

    def _yield_to(self, ahead: str) -> Release:
        """Let an earlier event's run go first. What was read in this stay is read anew afterwards."""
        forget = [step for step, record in self._claim.steps.items() if record.epoch == self._claim.epoch]
        return Release(
            "waiting",
            f"the client: run {ahead} goes first",
            settled=self.settled,
            forget=[] if self._holds else forget,
            history="yielded",
            actor=self._worker,
        )

    async def _checkpoint(self, step: str, started: int, result: Any, *, history: str = "") -> None:
        finished = self.server_now()
        record = StepRecord(started, finished, self._tries(step), self._claim.epoch, result)
        asked = clocks()
        sent = self._permits.sent if self._permits else ()
        await self._journal.checkpoint(self._claim, step, record.dump(), history=history, actor=self._worker, sent=sent)
        if self._permits:
            self._permits.step_done(step)
        self._claim.steps[step] = record
        self._claim.intents.pop(step, None)
        self._settled.discard(step)
        self._confirmed = asked
        metrics.STEPS.labels(self._claim.workflow).inc()
        if self._suspend_always:
            raise Suspend(self.interrupted())

    async def _check_lease(self) -> None:
        if self._stopping.is_set():
            raise Suspend(self.interrupted())
        await self._hold_lease()

    async def _hold_lease(self) -> None:
        # Again if the process stood still while the confirmation was on its way: it may be an old one.
        while self._lease_age() > LEASE_CHECK_S:
            await self._renew()

    async def _renew(self) -> None:
        asked = clocks()
        await self._journal.renew(self._claim)
        self._confirmed = asked

    def _lease_age(self) -> float:
        """Seconds since the server was last asked for a confirmation that it gave, by whichever clock says more.

        The monotonic clock stands still while a virtual machine is suspended, the wall clock may be set back.
        """
        return max(now - then for now, then in zip(clocks(), self._confirmed, strict=True))


def clocks() -> Clocks:
    """Read the monotonic and the wall clock (s)."""
    return time.monotonic(), time.time()


def _approval(answer: dict[str, Any]) -> Approval:
    decision = Approval(by=answer["by"], reason=answer["reason"], answer=answer["answer"])
    if not answer["approved"]:
        raise Cancelled(f"rejected by {decision.by}: {decision.reason}")
    return decision


def _shortly(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the result'}: {one['msg']}" for one in details)
