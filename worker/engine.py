"""The engine: claims a run, lets its workflow go on, and brings it to an honest end or gives it back."""

import asyncio
import contextlib
import random
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar
from uuid import uuid4

import structlog
from pydantic import TypeAdapter

from worker import metrics
from worker.active_run import BETWEEN_STEPS, ActiveRun, Cancelled, Clocks, Suspend, clocks
from worker.budget import Budget, Permits
from worker.errors import Fenced, Ignored, NeedsOperator, NotYet, RetryLater, StoreUnavailable
from worker.events import Event
from worker.journal import Journal, Release
from worker.journal.records import Claim
from worker.planned_run import Plan
from worker.run import Guard, Run, Start, Workflow

Services = TypeVar("Services")

RETRY_FIRST_S: Final = 0.5
RETRY_CAP_S: Final = 300.0
RETRY_FOR_MS: Final = 24 * 3600 * 1000
BUG_TRIES: Final = 3
KEEP_EVERY_S: Final = 0.5
LOOK_AGAIN_MS: Final = 300_000
"""How often a run looks by itself for what is not there yet."""

BY_HAND: Final = frozenset({"trigger"})
"""Sources of events that somebody has handed in: they are not asked once more."""
PLAN_RECORDS: Final = 3
"""So many records of one write are kept in a stored plan."""

Hydrate = Callable[[Event], Awaitable[Event]]
Planner = Callable[[Workflow[Any], Guard, Event, str], Awaitable[Plan]]

_log = structlog.stdlib.get_logger("engine")
_any: Final[TypeAdapter[object]] = TypeAdapter(object)


class Engine(Generic[Services]):
    """Works on runs.

    Args:
        journal: where the runs are.
        workflows: what can be run here.
        services: makes what a workflow works with, bound to its run and to the rules (text) that the run began with.
        worker: this worker's name in journal and logs.
        hydrate: completes the event anew after a retry by hand; see `worker.inbox.Inbox`.
        rules: the rules for runs that begin here, as text.
        planner: finds out what a run would write, for those that are only to be planned.
        budget: limits the requests of all workers; None = without limit.
        suspend_always: every step in a claim of its own, for tests that a run survives being cut anywhere.
    """

    def __init__(
        self,
        journal: Journal,
        workflows: Sequence[Workflow[Services]],
        services: Callable[[Run, str], Services],
        *,
        worker: str,
        hydrate: Hydrate,
        rules: str = "",
        planner: Planner | None = None,
        budget: Budget | None = None,
        suspend_always: bool = False,
    ) -> None:
        self._journal = journal
        self._hydrate = hydrate
        self._rules = rules
        self._planner = planner
        self._budget = budget
        self._suspend_always = suspend_always
        self._workflows = {(workflow.name, workflow.version): workflow for workflow in workflows}
        self._services = services
        self._worker = worker
        self._stopping = asyncio.Event()
        self._active: set[ActiveRun] = set()

    async def advance(self, run_id: str) -> None:
        """Take a run as far as it goes now. Does nothing where it is not to be had; never raises for its troubles."""
        if self._stopping.is_set():
            return
        asked = clocks()
        try:
            claim = await self._journal.claim(run_id, uuid4().hex, self._worker, rules=self._rules)
            if claim is not None:
                with structlog.contextvars.bound_contextvars(run=run_id, workflow=claim.workflow):
                    await self._work(claim, asked)
        except Fenced:
            _log.warning("run fenced", run=run_id)
        except StoreUnavailable as error:
            # Nothing can be recorded now. The lease runs out and the sweep rings again.
            _log.warning("store away", run=run_id, error=str(error))

    async def keep_leases(self) -> None:
        """Renew the leases of calls in flight, for ever; runs beside the jobs."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            for run in list(self._active):
                # A lease that is lost or cannot be renewed shows at the run's next transition.
                with contextlib.suppress(Fenced, StoreUnavailable):
                    await run.keep()

    def stop(self) -> None:
        """Let every run stop before its next step or request; it is given back for another worker."""
        self._stopping.set()

    async def _work(self, claim: Claim, asked: Clocks) -> None:
        run = ActiveRun(
            self._journal,
            claim,
            asked=asked,
            worker=self._worker,
            stopping=self._stopping,
            permits=Permits(self._budget, claim) if self._budget else None,
            suspend_always=self._suspend_always,
        )
        self._active.add(run)
        try:
            await self._go_on(run, claim)
        except Suspend as suspension:
            await self._journal.release(claim, suspension.release)
        except RetryLater as trouble:
            await self._try_again(run, claim, trouble)
        except NotYet as absence:
            await self._wait_for_change(run, claim, absence)
        except NeedsOperator as trouble:
            await self._fail(run, claim, str(trouble))
        except Cancelled as cancelled:
            await self._journal.finish(claim, "cancelled", error=str(cancelled))
            self._ended(claim, "cancelled", error=str(cancelled))
        except (Fenced, StoreUnavailable):
            raise
        except asyncio.CancelledError:
            # The worker is being stopped hard; the intent stays, so the next claim looks before it writes.
            with contextlib.suppress(Fenced, StoreUnavailable):
                await asyncio.shield(self._journal.release(claim, run.interrupted()))
            raise
        except Exception as bug:  # noqa: BLE001 - whatever a workflow raises must end in the journal
            await self._bug(run, claim, bug)
        finally:
            self._active.discard(run)
            # What cannot be settled counts as sent when it lapses.
            with contextlib.suppress(StoreUnavailable):
                await run.give_permits_back()

    async def _go_on(self, run: ActiveRun, claim: Claim) -> None:
        workflow = self._workflows.get((claim.workflow, claim.version))
        if workflow is None:
            waiting = f"code: no worker here knows {claim.workflow} version {claim.version}"
            raise Suspend(Release("waiting", waiting, due=claim.now + 60_000))
        event = await self._complete(claim) if claim.rehydrate else claim.event
        services = self._services(run, claim.rules)
        start = Start() if event.source in BY_HAND else workflow.start(services)
        if start.mode == "plan":
            await self._only_plan(run, claim, workflow, event)
            return
        if start.mode == "approve":
            await run.approval("start", _question(claim), within=start.within)
        result = await workflow.plan(run, services, event)
        if run.failed:
            # The workflow went on after a refusal, as it should; but a run with a failed step is not green.
            raise NeedsOperator("; ".join(f"step {step}: {failure.error}" for step, failure in run.failed.items()))
        await self._journal.finish(claim, "succeeded", result=_any.dump_json(result).decode())
        self._ended(claim, "succeeded")

    async def _only_plan(self, run: ActiveRun, claim: Claim, workflow: Workflow[Services], event: Event) -> None:
        """End the run with what it would do; its fact may start another run, once runs of the workflow do more."""
        plan = await run.step("plan", draw_plan, self._planner, workflow, run, event, claim.rules)
        await self._journal.free_fact(claim)
        await self._journal.finish(claim, "succeeded", result=_any.dump_json(plan).decode())
        self._ended(claim, "succeeded", planned="only")

    async def _complete(self, claim: Claim) -> Event:
        try:
            event = await self._hydrate(claim.event)
        except Ignored as ignored:
            raise NeedsOperator(f"By now the event means nothing: {ignored}.", mend="cancel the run.") from ignored
        await self._journal.rehydrated(claim, event.dump())
        return event

    async def _wait_for_change(self, run: ActiveRun, claim: Claim, absence: NotYet) -> None:
        now = run.server_now()
        if claim.trouble is not None and now - claim.trouble > RETRY_FOR_MS:
            await self._fail(
                run, claim, str(NeedsOperator(f"{absence.what} It did not come within a day.", mend=absence.mend))
            )
            return
        release = Release(
            "waiting",
            absence.what,
            due=now + LOOK_AGAIN_MS,
            step=run.current_step,
            failure=run.failure(absence.what).dump(),
            settled=run.settled,
            away=True,
            expects=True,
            expected=tuple(absence.of),
        )
        await self._journal.release(claim, release)

    async def _try_again(self, run: ActiveRun, claim: Claim, trouble: RetryLater) -> None:
        failure = run.failure(trouble.reason)
        if claim.trouble is not None and run.server_now() - claim.trouble > RETRY_FOR_MS:
            await self._fail(run, claim, f"Given up after a day of tries: {trouble.reason}")
            return
        delay = _backoff(failure.attempts) if trouble.after is None else trouble.after
        _log.info("step to be tried again", step=run.current_step, after_s=round(delay, 3), reason=trouble.reason)
        metrics.RETRIES.labels(claim.workflow).inc()
        await self._journal.release(claim, run.again_at(run.server_now() + int(delay * 1000), failure))

    async def _bug(self, run: ActiveRun, claim: Claim, bug: Exception) -> None:
        trace = "".join(traceback.format_exception(bug))
        failure = run.failure(f"{type(bug).__name__}: {bug}", trace)
        _log.error("bug in a step", step=run.current_step, attempt=failure.attempts, exc_info=bug)
        if failure.attempts >= BUG_TRIES:
            await self._fail(run, claim, failure.error, trace)
        else:
            due = run.server_now() + int(_backoff(failure.attempts) * 1000)
            await self._journal.release(claim, run.again_at(due, failure))

    async def _fail(self, run: ActiveRun, claim: Claim, error: str, trace: str = "") -> None:
        failed = run.failed | {run.current_step: run.failure(error, trace)}
        if len(failed) > 1:
            failed.pop(BETWEEN_STEPS, None)
        await self._journal.finish(claim, "failed", error=error, failures=failed)
        self._ended(claim, "failed", error=error)

    def _ended(self, claim: Claim, state: str, **more: str) -> None:
        metrics.RUNS_ENDED.labels(claim.workflow, state).inc()
        _log.info("run ended", state=state, client=claim.client, attempt=claim.attempt, **more)


async def draw_plan(planner: Planner | None, workflow: Workflow[Any], run: Guard, event: Event, rules: str) -> Plan:
    """Draw up a plan, short enough to be kept.

    Raises:
        NeedsOperator: this worker cannot plan.
    """
    if planner is None:
        raise NeedsOperator("This worker draws up no plans.")
    plan = await planner(workflow, run, event, rules)
    writes = [{**write, "body": _first(write["body"])} for write in plan.writes]
    return replace(plan, writes=writes, steps=[{**step, "result": None} for step in plan.steps])


def _first(body: Any) -> Any:
    if not isinstance(body, list) or len(body) <= PLAN_RECORDS:
        return body
    return [*body[:PLAN_RECORDS], f"and {len(body) - PLAN_RECORDS} more"]


def _question(claim: Claim) -> str:
    return f"{claim.workflow} is to begin for {claim.client or 'an unnamed client'}; `runs plan {claim.run}` shows what"


def _backoff(tries: int) -> float:
    """Wait exponentially longer with full jitter: 0 to 0.5 s first, at most 5 minutes."""
    return random.uniform(0, min(RETRY_CAP_S, RETRY_FIRST_S * 2.0 ** (min(tries, 20) - 1)))  # noqa: S311 - no secret hangs on it
