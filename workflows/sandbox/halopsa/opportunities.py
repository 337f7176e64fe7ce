"""Opportunities: tickets of a kind of their own, which need no client and are won or lost."""

from typing import Any

from workflows.sandbox.answers import require
from workflows.sandbox.halopsa.closing import NEVER
from workflows.sandbox.halopsa.reference import LOST_STATUS, UNASSIGNED_AGENT, WON_STATUS
from workflows.sandbox.halopsa.store import Record, Store

_OPEN_STATUS = 1
_DEFAULTS: dict[str, Any] = {
    "details": "",
    "client_id": 0,
    "site_id": 0,
    "user_id": 0,
    "status_id": _OPEN_STATUS,
    "agent_id": UNASSIGNED_AGENT,
    "oppvalue": 0.0,
    "oppcompanyname": "",
    "oppcontactname": "",
    "oppemailaddress": "",
    "oppreason": "",
    "hasbeenclosed": False,
    "dateclosed": NEVER,
    "customfields": [],
}


def create_opportunity(store: Store, sent: Record) -> Record:
    """Log an opportunity; a prospect may have no client yet.

    Raises:
        Refused: there is no summary.
    """
    require(sent.get("summary"), "Please enter a Summary")
    now = store.now()
    dates = {"dateoccurred": now, "datecreated": now}
    return store["Opportunities"].add(_DEFAULTS | dates | sent | _outcome(store, sent))


def update_opportunity(store: Store, opportunity: Record, sent: Record) -> None:
    """Change the sent fields of an opportunity; a status may win, lose or reopen it."""
    store["Opportunities"].change(opportunity, sent | _outcome(store, sent))


def show_opportunity(store: Store, opportunity: Record) -> Record:
    """An opportunity as reads show it."""
    return opportunity | {
        "client_name": store.name_of("Client", opportunity["client_id"]),
        "status_name": store.name_of("Status", opportunity["status_id"]),
    }


def _outcome(store: Store, sent: Record) -> Record:
    if "status_id" not in sent:
        return {}
    closed = sent["status_id"] in (WON_STATUS, LOST_STATUS)
    return {"hasbeenclosed": closed, "dateclosed": store.now() if closed else NEVER}
