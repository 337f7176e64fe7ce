"""What operators do to runs and events, each with who and why in their history."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.errors import ParhelionError
from worker.journal.records import StepRecord
from worker.journal.scripts import Scripts


class NotPossible(ParhelionError):
    """The run, or the event, is not in a state for this."""


class NoSuchRun(ParhelionError):
    """There is no run of this id."""


class NoSuchEvent(ParhelionError):
    """There is no event of this id."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, and why."""

    actor: str
    reason: str


class Verbs:
    """The acts.

    Raises (every method):
        NoSuchRun, NoSuchEvent: there is no such run or event.
        NotPossible: with what stands against it.
        StoreUnavailable: Valkey did not answer; nothing was done.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def retry(self, run_id: str, by: Operator, *, forget: Sequence[str] = ()) -> None:
        """Let a failed or waiting run go on now; the steps in `forget` are done anew, and look before they write."""
        await self._do("retry", run_id, by.actor, by.reason, json.dumps(list(forget)))

    async def skip(self, run_id: str, by: Operator, step: str) -> None:
        """Leave a step out whose result nobody needs; the run ends as succeeded_with_skips."""
        await self._mark(run_id, by, step, None, "skipped")

    async def mark_done(self, run_id: str, by: Operator, step: str, result: Any) -> None:
        """Put a result in a step's place; it is held against the step's type when the run comes to it."""
        await self._mark(run_id, by, step, result, "marked done")

    async def cancel(self, run_id: str, by: Operator) -> bool:
        """End a run; returns whether it has ended at once (a call in flight is waited out)."""
        return await self._do("cancel", run_id, by.actor, by.reason) == "ok"

    async def decide(self, run_id: str, by: Operator, *, approved: bool, answer: Any = None) -> None:
        """Approve or reject what a run asks."""
        decision = {"approved": approved, "by": by.actor, "reason": by.reason, "answer": answer}
        await self._do("decide", run_id, by.actor, by.reason, json.dumps(decision))

    async def pause(self, scope: str, by: Operator) -> None:
        """Let runs stand still: "run:<id>", "workflow:<name>" or "all"."""
        await self._do("pause", scope, by.actor, by.reason, "pause")

    async def resume(self, scope: str, by: Operator) -> None:
        """Let runs that were paused go on."""
        await self._do("pause", scope, by.actor, by.reason, "resume")

    async def replay(self, event_id: str, by: Operator) -> None:
        """Let an event be completed and sent on anew."""
        answer = str(await self._scripts.call("replay", event_id, by.actor, by.reason))
        if answer == "unknown":
            raise NoSuchEvent(f"there is no event {event_id}")
        if answer != "ok":
            raise NotPossible(f"{event_id}: not possible: {answer}")

    async def _mark(self, run_id: str, by: Operator, step: str, result: Any, how: str) -> None:
        now = int(await self._scripts.call("now"))
        record = StepRecord(now, now, 1, 0, result, how)
        await self._do("mark", run_id, by.actor, by.reason, step, record.dump(), how)

    async def _do(self, script: str, *argv: str) -> str:
        answer = str(await self._scripts.call(script, *argv))
        if answer == "unknown":
            raise NoSuchRun(f"there is no run {argv[0].removeprefix('run:')}")
        if answer not in {"ok", "later"}:
            raise NotPossible(f"{argv[0]}: not possible: {answer}")
        return answer
