"""What HaloPSA wants before a ticket's status changes, and what a change of status does."""

from typing import Any

from workflows.sandbox.answers import require
from workflows.sandbox.halopsa.reference import CLOSED_STATUSES, UNASSIGNED_AGENT
from workflows.sandbox.halopsa.store import Record, Store

NEVER = "1900-01-01T00:00:00"


def status_changes(store: Store, ticket: Record, changes: Record) -> Record:
    """What a change of a ticket's status does to the fields that say whether it is closed.

    A ticket that closes mails its user, unless the rules are left out of it.

    Args:
        store: the tenant.
        ticket: as it is stored.
        changes: what is to be changed.

    Returns:
        What else changes.

    Raises:
        Refused: the ticket's type does not know the status, or the ticket may not be closed.
    """
    kind = ticket_type(store, changes.get("tickettype_id", ticket["tickettype_id"]))
    status = changes.get("status_id") or ticket["status_id"]
    require("status_id" not in changes or _allows(kind, status), "Please select a valid Status")
    if status not in CLOSED_STATUSES:
        return {"hasbeenclosed": False, "dateclosed": NEVER}
    if ticket["hasbeenclosed"]:
        return {}
    _check_closing(store, kind, ticket, ticket | changes)
    if store.faults.closing_mails and not changes.get("dont_do_rules"):
        store.mail(ticket["user_id"], "closed", ticket["id"])
    return {"hasbeenclosed": True, "dateclosed": store.now()}


def ticket_type(store: Store, type_id: object) -> Record:
    """The set-up of a ticket type; empty where there is none."""
    return next((kind for kind in store.reference["TicketType"] if kind["id"] == type_id), {})


def _allows(kind: Record, status: object) -> bool:
    return bool(kind.get("allowall_status", True)) or status in {row["status_id"] for row in kind["allowed_status"]}


def _check_closing(store: Store, kind: Record, ticket: Record, closed: Record) -> None:
    faults = store.faults
    assigned = closed["agent_id"] != UNASSIGNED_AGENT or not faults.refuse_unassigned
    require(assigned, "Please assign this Ticket these before closing it.")
    if faults.refuse_open_children and kind.get("mustclosechildbeforeclosurebool", True):
        open_children = any(not child["hasbeenclosed"] for child in store["Tickets"].where("parent_id", ticket["id"]))
        require(not open_children, "Please close all child Tickets before closing this Ticket.")
    for field in kind.get("fields", ()):
        label = field["fieldinfo"]["label"]
        require(not field["fieldinfo"]["mandatory"] or _value(closed, field["fieldname"]), f"Please enter {label}")
    require(not closed.get("approval_process_id"), "CODE:APP03/2 Please select the CAB members to approve")


def _value(ticket: Record, name: str) -> Any:
    custom = {field["name"]: field["value"] for field in ticket["customfields"]}
    return custom.get(name) or ticket.get(name)
