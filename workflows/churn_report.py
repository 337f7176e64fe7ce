"""What a churn tells: the note before the day, and the lines of the run report."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from workflows.churn_changes import of
from workflows.close_tickets import Closed
from workflows.end_billing import billing_of
from workflows.end_contracts import runs_past
from workflows.ensure import Ensured
from workflows.leaving_client import Departure
from workflows.report import Done, Line
from workflows.restore import Change, What
from workflows.snapshot import Snapshot

STEPS: Final[Mapping[What, str]] = {
    "client": "inactive",
    "contract": "contract:{}",
    "recurring invoice": "invoice:{}",
    "contact": "portal-access",
    "asset": "assets",
}
"""The step that makes a change."""
BY_OPERATOR: Final = "left out by an operator"
AFTER_THIS: Final = "last of all, when this report is written"
NEVER_BEGINS: Final = "it was to begin after the last service day"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a churn did.

    Attributes:
        leaving: who left.
        snapshot: what the client had.
        changes: what was to be changed.
        tickets: what became of its tickets.
        ended: its contracts that end.
        opened: what for → the ticket under the MSP's own client.
        told_rmm: whether the RMM's webhook was told.
        skipped: steps that an operator left out.
        order: when the client becomes inactive.
    """

    leaving: Departure
    snapshot: Snapshot
    changes: Sequence[Change]
    tickets: Closed
    ended: Sequence[Ensured]
    opened: Mapping[str, int]
    told_rmm: bool
    skipped: Collection[str]
    order: Literal["inactive-first", "inactive-last"]

    def lines(self) -> list[Line]:
        """Say what was done, in order, and what was left."""
        parts, steps = self.snapshot, {_step(change) for change in self.changes}
        running = [one.id for one in parts.contracts if runs_past(one, self.leaving.last_day)]
        return [
            *self._left("client", [self.leaving.client.id], "inactive before"),
            *(self._changed(change) for change in self.changes),
            *_of_tickets(self.tickets, [one.id for one in parts.kept_tickets]),
            *self._left("contract", running, "runs on"),
            *(
                line
                for one in parts.recurring_invoices
                if not one.disabled
                for line in self._left("recurring invoice", [one.id], billing_of(one))
            ),
            *_unless_empty("contact", parts.contact_ids, "contacts stay"),
            *self._left("asset", parts.asset_ids, "to be dealt with by a person"),
            *(Line(what="ticket", done="made", ids=[one], name=name) for name, one in self.opened.items()),
            *([Line(what="RMM", done="asked", why="its webhook was told")] if self.told_rmm else []),
            *(Line(what="step", name=one, done="skipped", why=BY_OPERATOR) for one in self.skipped if one not in steps),
        ]

    def left_out(self, what: What) -> set[int]:
        """Tell which records an operator left as they were."""
        left = [change for change in of(what, self.changes) if _step(change) in self.skipped]
        return {record_id for change in left for record_id in change.ids}

    def _left(self, what: What, ids: Sequence[int], why: str) -> list[Line]:
        """Name those of some records that were not to be changed."""
        changed = {record_id for change in of(what, self.changes) for record_id in change.ids}
        left = [record_id for record_id in ids if record_id not in changed]
        return _unless_empty(what, left, why)

    def _changed(self, change: Change) -> Line:
        if _step(change) in self.skipped:
            return Line(what=change.what, done="skipped", ids=change.ids, why=BY_OPERATOR)
        done: Done = "ended" if change.what in ("contract", "recurring invoice") else "changed"
        why = NEVER_BEGINS if change.what == "contract" and "active" in change.fields else ""
        if change.what == "client" and self.order == "inactive-last":
            why = AFTER_THIS
        return Line(what=change.what, done=done, ids=change.ids, why=why, changes=dict(change.fields))


def _step(change: Change) -> str:
    """Name the step that makes a change."""
    return STEPS[change.what].format(*change.ids)


def _unless_empty(what: What, ids: list[int], why: str) -> list[Line]:
    return [Line(what=what, done="left", ids=ids, why=why)] if ids else []


def _of_tickets(tickets: Closed, kept: list[int]) -> list[Line]:
    lines = [
        Line(what="ticket", done="closed", ids=tickets.ids),
        Line(what="ticket", done="skipped", ids=tickets.skipped, why=BY_OPERATOR),
        *(Line(what="ticket", done="refused", ids=[one.id], why=why) for one, why in tickets.refused.items()),
        Line(what="ticket", done="left", ids=kept, why="of a type that is handed over"),
    ]
    return [line for line in lines if line.ids]


def leaving_note(leaving: Departure, snapshot: Snapshot) -> str:
    """Say in words for HaloPSA's users that the client leaves, and what it has."""
    return "\n".join(
        [
            f"Leaving; last service day: {leaving.last_day}. {leaving.churn.reason}".rstrip(),
            *said_by_the_event(leaving),
            f"Open tickets: {snapshot.open_tickets}",
            f"Contracts: {len(snapshot.contracts)}",
            f"Recurring invoices: {len(snapshot.recurring_invoices)}",
            f"Assets: {len(snapshot.asset_ids)}",
            f"Contacts: {len(snapshot.contact_ids)}",
        ]
    )


def said_by_the_event(leaving: Departure) -> list[str]:
    """Say who asked for it and who takes over, and which other day no longer holds."""
    churn, ended = leaving.churn, ", ".join(leaving.superseded)
    return [
        *([f"Requested by {churn.requested_by}"] if churn.requested_by else []),
        *([f"Handed over to {churn.handover_to}"] if churn.handover_to else []),
        *([f"Instead of the day that was said before (run {ended})"] if ended else []),
    ]
