"""What a churn tells: the note before the day, and the lines of the run report."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workflows.close_tickets import Closed
from workflows.end_billing import billing_of
from workflows.leaving_client import Departure
from workflows.report import Done, Line
from workflows.restore import Change, What
from workflows.snapshot import Snapshot

STEPS: Final[Mapping[What, str]] = {
    "contract": "contract:{}",
    "recurring invoice": "invoice:{}",
    "contact": "portal-access",
    "asset": "assets",
}
"""The step that makes a change."""
BY_OPERATOR: Final = "left out by an operator"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a churn did.

    Attributes:
        leaving: who left.
        snapshot: what the client had.
        changes: what was to be changed.
        tickets: what became of its tickets.
        opened: what for → the ticket under the MSP's own client.
        told_rmm: whether the RMM's webhook was told.
        skipped: steps that an operator left out.
    """

    leaving: Departure
    snapshot: Snapshot
    changes: Sequence[Change]
    tickets: Closed
    opened: Mapping[str, int]
    told_rmm: bool
    skipped: Collection[str]

    def lines(self) -> list[Line]:
        """Say what was done, in order, and what was left."""
        changed = {record_id for change in self.changes for record_id in change.ids if change.what != "contact"}
        parts = self.snapshot
        return [
            *(self._changed(change) for change in self.changes),
            *_of_tickets(self.tickets),
            *_left("ticket", [one.id for one in parts.kept_tickets], "of a type that is handed over"),
            *_left("contact", parts.contact_ids, "contacts stay"),
            *_left("asset", [one for one in parts.asset_ids if one not in changed], "to be dealt with by a person"),
            *(
                Line(what="recurring invoice", done="left", ids=[one.id], why=billing_of(one))
                for one in parts.recurring_invoices
                if one.id not in changed and not one.disabled
            ),
            *(Line(what="ticket", done="made", ids=[one], name=name) for name, one in self.opened.items()),
            *([Line(what="RMM", done="asked", why="its webhook was told")] if self.told_rmm else []),
        ]

    def left_out(self, what: What) -> set[int]:
        """Tell which records an operator left as they were."""
        return {one for change in self.changes for one in change.ids if change.what == what and self._skipped(change)}

    def _skipped(self, change: Change) -> bool:
        return STEPS.get(change.what, "").format(*change.ids[:1]) in self.skipped

    def _changed(self, change: Change) -> Line:
        if self._skipped(change):
            return Line(what=change.what, done="skipped", ids=change.ids, why=BY_OPERATOR)
        done: Done = "ended" if change.what in ("contract", "recurring invoice") else "changed"
        return Line(what=change.what, done=done, ids=change.ids, changes=dict(change.fields))


def _of_tickets(tickets: Closed) -> list[Line]:
    return [
        *([Line(what="ticket", done="closed", ids=tickets.ids)] if tickets.ids else []),
        *([Line(what="ticket", done="skipped", ids=tickets.skipped, why=BY_OPERATOR)] if tickets.skipped else []),
        *(Line(what="ticket", done="refused", ids=[one.id], why=why) for one, why in tickets.refused.items()),
    ]


def _left(what: str, ids: list[int], why: str) -> list[Line]:
    return [Line(what=what, done="left", ids=ids, why=why)] if ids else []


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
