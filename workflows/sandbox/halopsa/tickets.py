"""Tickets and their actions, with HaloPSA's refusals to close."""

from typing import Any

from workflows.sandbox.answers import Refused, require
from workflows.sandbox.halopsa.closing import NEVER, status_changes, ticket_type
from workflows.sandbox.halopsa.fields import FIELDS, read_fields
from workflows.sandbox.halopsa.reference import API_AGENT, CLOSED_STATUSES, GENERAL_USER, UNASSIGNED_AGENT
from workflows.sandbox.halopsa.store import Record, Store

NO_CLIENT = "Please select a valid Client/Site/User"
NOT_FOUND = "Record not found"

_TICKET_DEFAULTS: dict[str, Any] = {
    "details": "",
    "tickettype_id": 1,
    "priority_id": 3,
    "sla_id": 2,
    "agent_id": UNASSIGNED_AGENT,
    "team": "1st Line Support",
    "parent_id": 0,
    "contract_id": 0,
    "approval_process_id": 0,
    "closure_note": "",
    "hasbeenclosed": False,
    "dateclosed": NEVER,
    "customfields": [],
}
_ACTION_DEFAULTS: dict[str, Any] = {"note": "", "hiddenfromuser": False, "sendemail": False, "timetaken": 0.0}


def read_ticket(sent: Any, position: int) -> Record:
    """Read one element of a ticket request: here ids as strings are refused, where other entities take them.

    Raises:
        Refused: as `read_fields`, or an id of client, site or user is a string.
    """
    ticket = read_fields(FIELDS["Tickets"], sent, position)
    if any(isinstance(sent.get(name), str) for name in ("client_id", "site_id", "user_id")):
        raise Refused(NO_CLIENT)
    return ticket


def create_ticket(store: Store, sent: Record) -> Record:
    """Log a ticket; without a site and a user it hangs on the General User of the client's main site.

    Raises:
        Refused: there is no summary, or client, site and user do not belong together.
    """
    require(sent.get("summary"), "Please enter a Summary")
    now = store.now()
    dates = {"dateoccurred": now, "datecreated": now}
    ticket = store["Tickets"].add(_TICKET_DEFAULTS | _by_type(store, sent) | dates | sent | _place(store, sent))
    if ticket["status_id"] in CLOSED_STATUSES:
        store["Tickets"].change(ticket, {"hasbeenclosed": True, "dateclosed": now})
    return ticket


def update_ticket(store: Store, ticket: Record, sent: Record) -> None:
    """Change the sent fields of a ticket; a new status may close or reopen it.

    Raises:
        Refused: a new status came without ``tickettype_id`` and ``client_id``, or the ticket may not be closed.
    """
    if "status_id" in sent and store.faults.strict_close:
        require({"tickettype_id", "client_id"} <= sent.keys(), NOT_FOUND)
    moved = sent.get("client_id", ticket["client_id"]) != ticket["client_id"]
    changes = sent | (_place(store, sent) if moved else {}) | status_changes(store, ticket, sent)
    store["Tickets"].change(ticket, changes)


def show_ticket(store: Store, ticket: Record) -> Record:
    """A ticket as reads show it."""
    children = store["Tickets"].where("parent_id", ticket["id"])
    return ticket | {
        "client_name": store.name_of("Client", ticket["client_id"]),
        "site_name": store.name_of("Site", ticket["site_id"]),
        "user_name": store.name_of("Users", ticket["user_id"]),
        "status_name": store.name_of("Status", ticket["status_id"]),
        "child_count": len(children),
        "child_count_open": sum(is_open(child) for child in children),
    }


def is_open(ticket: Record) -> bool:
    """Whether a ticket is not closed."""
    return not ticket["hasbeenclosed"]


def is_closed(ticket: Record) -> bool:
    """Whether a ticket is closed."""
    return bool(ticket["hasbeenclosed"])


def create_action(store: Store, sent: Record) -> Record:
    """Add an action to a ticket; its ``new_status`` becomes the ticket's, by the same rules as an update's.

    Raises:
        Refused: no ticket, no outcome, or the ticket may not be closed.
    """
    require(sent.get("ticket_id"), "The ticket_id must be specified")
    ticket = store["Tickets"].rows.get(sent["ticket_id"])
    if ticket is None:
        raise Refused(NOT_FOUND)
    outcome = _outcome(store, sent)
    new_status = sent.get("new_status", 0)
    if new_status > 0:
        changes = {"status_id": new_status, "dont_do_rules": sent.get("dont_do_rules", False)}
        more = status_changes(store, ticket, changes)
        store["Tickets"].change(ticket, {"status_id": new_status} | more | {"last_update": store.now()})
    if sent.get("sendemail") and not sent.get("hiddenfromuser"):
        store.mail(ticket["user_id"], "action", ticket["id"])
    stamp = {"datetime": store.now(), "who_agentid": API_AGENT}
    return store["Actions"].add(_ACTION_DEFAULTS | stamp | sent | outcome)


def update_action(store: Store, action: Record, sent: Record) -> None:
    """Change the sent fields of an action.

    Raises:
        Refused: the ticket is not named, or is not the action's.
    """
    require(sent.get("ticket_id"), "The ticket_id must be specified")
    require(sent["ticket_id"] == action["ticket_id"], NOT_FOUND)
    store["Actions"].change(action, sent)


def show_action(_store: Store, action: Record) -> Record:
    """An action as reads show it."""
    return action


def _place(store: Store, sent: Record) -> Record:
    client = store["Client"].rows.get(sent.get("client_id", 0))
    if client is None or ("user_id" in sent and "site_id" not in sent):
        raise Refused(NO_CLIENT)
    site_id = sent.get("site_id") or client["main_site_id"]
    users = store["Users"].where("site_id", site_id)
    general = next((user["id"] for user in users if user["name"] == GENERAL_USER), 0)
    user_id = sent.get("user_id") or general
    fitting = any(user["id"] == user_id and user["client_id"] == client["id"] for user in users)
    at_client = not site_id or store["Site"].rows.get(site_id, {}).get("client_id") == client["id"]
    require(at_client and (fitting or not user_id), NO_CLIENT)
    return {"client_id": client["id"], "site_id": site_id, "user_id": user_id}


def _by_type(store: Store, sent: Record) -> Record:
    kind = ticket_type(store, sent.get("tickettype_id", _TICKET_DEFAULTS["tickettype_id"]))
    return {"status_id": kind.get("initial_status", 1), "approval_process_id": kind.get("approval_process_id", 0)}


def _outcome(store: Store, sent: Record) -> Record:
    for outcome in store.reference["Outcome"]:
        if outcome["id"] == sent.get("outcome_id") or (
            "outcome_id" not in sent and outcome["name"] == sent.get("outcome")
        ):
            return {"outcome": outcome["name"], "outcome_id": outcome["id"]}
    require("outcome_id" not in sent and sent.get("outcome"), "An Outcome must be entered for this Action")
    return {"outcome": sent["outcome"], "outcome_id": -1}
