"""What the journal gives out: events and runs read back from their hashes."""

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

from worker.events import Event

RunState = Literal["queued", "running", "waiting", "succeeded", "succeeded_with_skips", "failed", "cancelled"]
RUN_STATES: Final[tuple[RunState, ...]] = (
    "queued",
    "running",
    "waiting",
    "succeeded",
    "succeeded_with_skips",
    "failed",
    "cancelled",
)
ENDED: Final = frozenset(RUN_STATES[3:])

TEXT_LENGTH: Final = 4000
"""Errors, tracebacks and what is said in words are cut to so many characters."""
PACK_ABOVE: Final = 1024
"""Event bodies of more characters than this are stored compressed."""
PACKED: Final = "zlib:"
"""What a compressed body starts with; a plain one is a JSON object and starts with a brace."""

T = TypeVar("T")
Hash = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A finished step: when (ms), at which try, in which stay in the client's queue, and its result as JSON data.

    `by_hand` is "skipped" or "marked done" where an operator put the result there.
    """

    started: int
    finished: int
    attempts: int
    epoch: int
    result: Any
    by_hand: str = ""

    def dump(self) -> str:
        """Write the record as the journal stores it."""
        record = [self.started, self.finished, self.attempts, self.epoch, self.result]
        return json.dumps(record + [self.by_hand] * bool(self.by_hand), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Failure:
    """How a step last failed: at which try, since when (ms), and why."""

    attempts: int
    started: int
    at: int
    error: str
    traceback: str = ""

    def dump(self) -> str:
        """Write the failure as the journal stores it."""
        record = [self.attempts, self.started, self.at, shorten(self.error), self.traceback[-TEXT_LENGTH:]]
        return json.dumps(record, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Claim:
    """A run in the hands of one worker.

    Attributes:
        token: the fence; every transition compares it.
        now: the server's clock at the claim (ms).
        started: when the run was first claimed (ms).
        epoch: counts the run's stays in its client's queue.
        trouble: since when (ms) it has been failing in a row, or None.
        holds: whether it wrote in this stay in its client's queue, and so is not overtaken.
        newer: a run of a later event that had written to the client before this one, which came late.
        rehydrate: whether the event is to be completed anew, after a retry by hand.
        requests: how many requests it has sent so far out of the request budget.
        rules: the rules that it began with, as text.
        need: how many requests it was refused when it last asked for some; 0 = none since.
        answers: what persons decided, and events that came, by the step that waits for them.
        intents: steps that were about to write, with the time (ms) until which the old call may still land; 0 if
            it was answered.
    """

    run: str
    token: str
    now: int
    workflow: str
    version: int
    client: str
    event: Event
    started: int
    attempt: int
    epoch: int
    trouble: int | None
    holds: bool
    newer: str | None
    rehydrate: bool
    rules: str
    requests: int
    need: int
    keys: list[str]
    steps: dict[str, StepRecord]
    intents: dict[str, int]
    failures: dict[str, Failure]
    answers: dict[str, dict[str, Any]]


def read_claim(run_id: str, now: int, run: Hash, event: Hash, *, rules: str) -> Claim:
    """Read what the claim script returned."""
    return Claim(
        run=run_id,
        token=run["token"],
        now=now,
        workflow=run["workflow"],
        version=int(run["version"]),
        client=run["client"],
        event=read_event(run["event"], event),
        started=int(run["started"]),
        attempt=int(run["attempt"]),
        epoch=int(run.get("epoch", "0")),
        trouble=int(run["trouble"]) if "trouble" in run else None,
        holds=run.get("holds") == "1",
        newer=run.get("newer"),
        rehydrate="rehydrate" in run,
        rules=rules,
        requests=int(run.get("requests", "0")),
        need=int(run.get("need", "0")),
        keys=json.loads(run["keys"]),
        steps=_fields(run, "s:", lambda text: StepRecord(*json.loads(text))),
        intents=_fields(run, "i:", int),
        failures=_fields(run, "e:", lambda text: Failure(*json.loads(text))),
        answers=_fields(run, "a:", json.loads),
    )


def shorten(text: str) -> str:
    """Cut a text that is too long to be kept, visibly."""
    return text if len(text) <= TEXT_LENGTH else text[: TEXT_LENGTH - 2] + " …"


def pack_body(body: str) -> str:
    """Write an event's body as it is stored: a long one compressed, as text, since the store's answers are text."""
    if len(body) <= PACK_ABOVE:
        return body
    return PACKED + base64.b64encode(zlib.compress(body.encode())).decode()


def unpack_body(stored: str) -> str:
    """Read a body back; a plain one comes back as it is."""
    if not stored.startswith(PACKED):
        return stored
    return zlib.decompress(base64.b64decode(stored.removeprefix(PACKED))).decode()


def read_event(event_id: str, stored: Hash) -> Event:
    """Read an event back from its hash."""
    occurred = datetime.fromtimestamp(int(stored["occurred"]) / 1000, UTC)
    return Event(event_id, stored["source"], stored["type"], occurred, json.loads(unpack_body(stored["body"])))


def event_details(event_id: str, stored: Hash) -> dict[str, Any]:
    """Give an event as ``events show`` shows it."""
    return {
        "id": event_id,
        "source": stored["source"],
        "type": stored["type"],
        "state": stored["state"],
        "runs": json.loads(stored.get("runs", "[]")),
        "repeats": stored.get("repeats"),
        "reason": stored.get("reason") or stored.get("error"),
        "occurred_at": iso(stored["occurred"]),
        "received_at": iso(stored["received"]),
        "history": _history(json.loads(stored.get("history", "[]"))),
        "payload": json.loads(unpack_body(stored["body"])),
    }


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as operators see it."""

    id: str
    fields: Hash
    event: Hash = field(default_factory=dict)
    history: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """One of `RUN_STATES`."""
        return self.fields["state"]

    def summary(self) -> dict[str, Any]:
        """Give the run as ``runs list`` shows it."""
        run = self.fields
        return {
            "id": self.id,
            "workflow": run["workflow"],
            "client": run["client"],
            "state": self.state,
            "step": run.get("step"),
            "attempt": int(run["attempt"]),
            "waiting_for": run.get("waiting") if self.state in {"waiting", "queued"} else None,
            "error": run.get("error") or self._last_error(),
            "created_at": iso(run["created"]),
            "updated_at": iso(run["updated"]),
        }

    def details(self) -> dict[str, Any]:
        """Give the run as ``runs show`` shows it."""
        run = self.fields
        return {
            **self.summary(),
            "version": int(run["version"]),
            "event": run["event"],
            "interruptions": int(run.get("interruptions", "0")),
            "input": json.loads(unpack_body(self.event["body"])) if "body" in self.event else None,
            "result": json.loads(run["result"]) if "result" in run else None,
            "steps": self.steps(),
            "history": _history(map(json.loads, self.history)),
        }

    def steps(self) -> list[dict[str, Any]]:
        """Give the steps in the order of their first start."""
        done = _fields(self.fields, "s:", lambda text: StepRecord(*json.loads(text)))
        failed = _fields(self.fields, "e:", lambda text: Failure(*json.loads(text)))
        writing = {step for step in _fields(self.fields, "i:", int) if step not in failed}
        rows = [_done(step, record) for step, record in done.items()]
        rows += [_failed(step, failure, self.state) for step, failure in failed.items()]
        rows.sort(key=lambda row: str(row["started_at"]))
        return rows + [_writing(step, self.state) for step in sorted(writing)]

    def _last_error(self) -> str | None:
        if self.state in ENDED:
            return None
        failure = self.fields.get(f"e:{self.fields.get('step')}")
        return str(json.loads(failure)[3]) if failure else None


def iso(ms: Any) -> str:
    """Write a server time in milliseconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(int(ms) / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _history(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**entry, "at": iso(entry["at"])} for entry in entries]


def _done(step: str, record: StepRecord) -> dict[str, Any]:
    return {
        "id": step,
        "state": record.by_hand.replace(" ", "_") or "succeeded",
        "attempts": record.attempts,
        "started_at": iso(record.started),
        "finished_at": iso(record.finished),
        "result": record.result,
        "error": None,
    }


def _failed(step: str, failure: Failure, run_state: str) -> dict[str, Any]:
    return {
        "id": step,
        "state": "failed" if run_state in ENDED else "waiting",
        "attempts": failure.attempts,
        "started_at": iso(failure.started),
        "finished_at": iso(failure.at) if run_state in ENDED else None,
        "result": None,
        "error": failure.error,
    }


def _writing(step: str, run_state: str) -> dict[str, Any]:
    return {
        "id": step,
        "state": "running" if run_state == "running" else "waiting",
        "attempts": 1,
        "started_at": None,
        "finished_at": None,
        "result": None,
        "error": None,
    }


def _fields(stored: Hash, prefix: str, read: Callable[[str], T]) -> dict[str, T]:
    return {name[2:]: read(text) for name, text in stored.items() if name.startswith(prefix)}
