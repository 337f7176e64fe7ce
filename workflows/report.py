"""The run report: what a run did in HaloPSA, for people and for proof.

The report is drawn up once, as a step of its own. Its text becomes a note on the client; the note's last lines bear the
report's SHA-256, so that anybody can compare the two later.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field

from worker.events import Event
from worker.run import Run
from workflows.ensure import Ensured, Skippable, ensure_note, remark_all
from workflows.halopsa import Halo

DRAFT: Final = "report:draft"
"""The step that keeps the report."""
NOTE: Final = "report"
"""The step that puts it on the client."""
DIGEST: Final = "SHA-256 "
"""What stands before the digest in the note."""
MAX_IDS: Final = 20
"""So many ids are written out in the note; the report itself has all."""

PAGE: Final = Environment(
    loader=PackageLoader("workflows", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
).get_template("report.html")

Done = Literal["made", "found", "changed", "closed", "ended", "left", "skipped", "refused", "asked"]


class Line(BaseModel):
    """One thing that was done, found or left.

    Attributes:
        what: the kind of record, in the field's words ("contact", "ticket").
        done: what became of it.
        ids: HaloPSA's; several where the same was done to many.
        name: for people, where there is one.
        why: the reason, where it was skipped, refused or left.
        changes: field → the value before and the value after.
    """

    model_config = ConfigDict(frozen=True)

    what: str
    done: Done
    ids: list[int] = Field(default_factory=list)
    name: str = ""
    why: str = ""
    changes: dict[str, tuple[Any, Any]] = Field(default_factory=dict)

    def text(self) -> str:
        """Say it in one line."""
        more = f" and {len(self.ids) - MAX_IDS} more" if len(self.ids) > MAX_IDS else ""
        ids = ", ".join(str(one) for one in self.ids[:MAX_IDS]) + more
        named = " ".join(filter(None, (self.what, ids, f"({self.name})" if self.name else "")))
        return ": ".join(filter(None, (named, self.done, self.why, "; ".join(self.changed()))))

    def changed(self) -> list[str]:
        """Say each change with the value before and the value after."""
        return [f"{field}: {_value(old)} → {_value(new)}" for field, (old, new) in self.changes.items()]


class Report(BaseModel):
    """What one run did.

    Attributes:
        title: the outcome in a few words ("Onboarded from won deal D-1001").
        run: the run's id.
        workflow: its name.
        event_id: the event that started it; with its type, source and time.
        started_at: when the run began (UTC).
        drawn_up_at: when the report was written (UTC).
        client_id: HaloPSA's.
        client: the client's name.
        lines: what was done, in order.
        remarks: what else should be known.
    """

    model_config = ConfigDict(frozen=True)

    title: str
    run: str
    workflow: str
    event_id: str
    event_type: str
    source: str
    occurred_at: datetime
    started_at: datetime
    drawn_up_at: datetime
    client_id: int
    client: str
    lines: list[Line]
    remarks: list[str] = Field(default_factory=list)

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of the report's JSON with sorted names and without white space."""
        plain = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(plain.encode()).hexdigest()

    def text(self) -> str:
        """Say it for people, a line for each thing."""
        return "\n".join(
            [
                self.title,
                f"Client {self.client_id} {self.client}".rstrip(),
                f"By event {self.event_id} ({self.event_type} from {self.source}, {_time(self.occurred_at)})",
                f"Run {self.run} ({self.workflow}), begun {_time(self.started_at)}, reported {_time(self.drawn_up_at)}",
                *(f"- {line.text()}" for line in self.lines),
                *(f"Note: {remark}" for remark in self.remarks),
            ]
        )

    def html(self) -> str:
        """Show it as a page of its own, to print or to send."""
        return PAGE.render(report=self, facts=self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        return [
            ("Client", f"{self.client_id} {self.client}"),
            ("Event", f"{self.event_id} ({self.event_type} from {self.source}, {_time(self.occurred_at)})"),
            ("Run", f"{self.run} ({self.workflow})"),
            ("Begun", _time(self.started_at)),
            ("Reported", _time(self.drawn_up_at)),
        ]


async def keep_report(report: Report) -> Report:
    """Keep the report as it is now."""
    return report


async def file_report(
    run: Run,
    halo: Halo,
    event: Event,
    *,
    workflow: str,
    title: str,
    client: tuple[int, str],
    lines: Sequence[Line],
    remarks: Sequence[str] = (),
) -> Skippable:
    """Draw the report up and put it on the client, once.

    Args:
        run: whose report it is.
        halo: where the note goes.
        event: what started the run.
        workflow: the workflow's name.
        title: the outcome in a few words.
        client: id in HaloPSA and name.
        lines: what was done.
        remarks: what else should be known.

    Returns:
        The note; None if an operator left it out.
    """
    drawn = Report(
        title=title,
        run=run.id,
        workflow=workflow,
        event_id=event.id,
        event_type=event.type,
        source=event.source,
        occurred_at=event.occurred_at,
        started_at=run.now,
        drawn_up_at=datetime.now(UTC).replace(microsecond=0),
        client_id=client[0],
        client=client[1],
        lines=list(lines),
        remarks=list(remarks),
    )
    kept = await run.step(DRAFT, keep_report, drawn)
    noted = await run.step(NOTE, ensure_note, halo, client[0], mark_of(run.id), f"{kept.text()}\n{DIGEST}{kept.digest}")
    await remark_all(run, NOTE, noted)
    return noted


def mark_of(run_id: str) -> str:
    """What tells a run's report from all other notes."""
    return f"Parhelion run {run_id}: report"


def line_of(what: str, ensured: Ensured, name: str = "") -> Line:
    """Say what an ensuring step did."""
    done: Done = "made" if ensured.created else "found"
    return Line(what=what, done=done, ids=[ensured.id] if ensured.id else [], name=name)


def digest_in(note: str) -> str | None:
    """Find the digest that a note bears."""
    return next((line.removeprefix(DIGEST).strip() for line in note.splitlines() if line.startswith(DIGEST)), None)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _value(value: Any) -> str:
    return "nothing" if value in (None, "") else str(value)
