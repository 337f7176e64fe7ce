"""Tenants and events that lead every workflow through each of its steps, and what is compared of a tenant."""

import copy
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from typing import Any, Final

from worker.events import Event, canonical_event
from workflows.sandbox import Sandbox

MONDAY: Final = datetime(2026, 11, 23, 9, tzinfo=UTC)
DEAL: Final[dict[str, Any]] = json.loads(files("worker.demo").joinpath("deal-won.json").read_text())
CHURN: Final[dict[str, Any]] = json.loads(files("worker.demo").joinpath("client-churned.json").read_text())


def deal_won(number: int = 77, *, at: datetime = MONDAY, delivery: str = "deal") -> Event:
    """A won deal with two sites, two contacts and an asset."""
    payload = copy.deepcopy(DEAL) | {"timestamp": at.isoformat()}
    data = payload["data"]
    data["deal"]["id"] = f"D-{number}"
    data["client"] |= {"id": f"C-{number}", "name": f"Client {number}"}
    data["sites"].append({"key": "depot", "name": "Depot", "line1": "4 Canal Street", "city": "Springfield"})
    data["contacts"][0]["email"] = f"john@client-{number}.example.com"
    data["contacts"].append({"name": "Ada Jones", "email": f"ada@client-{number}.example.com", "site": "depot"})
    data["assets"] = [{"tag": f"LT-{number}", "type": "Laptop", "serial": "S-1", "site": "depot"}]
    return canonical_event("standard", f"{delivery}-{number}", payload, received_at=at)


def churned(
    number: int = 77, *, at: datetime = MONDAY, leaves: timedelta | None = timedelta(days=3), delivery: str = "churn"
) -> Event:
    """A client that leaves some days after the event; None names no day."""
    payload = copy.deepcopy(CHURN) | {"timestamp": at.isoformat()}
    payload["data"]["client"] = {"id": f"C-{number}", "name": f"Client {number}"}
    payload["data"]["last_service_day"] = None if leaves is None else (at + leaves).date().isoformat()
    return canonical_event("standard", f"{delivery}-{number}", payload, received_at=at)


def about_a_contact(kind: str, number: int = 77, *, at: datetime = MONDAY) -> Event:
    """A contact that comes to a client, or leaves it."""
    contact = {"name": "John Smith", "email": f"john@client-{number}.example.com", "job_title": "IT Director"}
    data = {"client": {"id": f"C-{number}", "name": f"Client {number}"}, "contact": contact}
    payload = {"type": kind, "timestamp": at.isoformat(), "data": data}
    return canonical_event("standard", f"{kind}-{number}", payload, received_at=at)


def reopened(number: int = 77, *, at: datetime = MONDAY) -> Event:
    """A won deal that is open again."""
    payload = deal_won(number, at=at).payload | {"type": "deal.reopened"}
    return canonical_event("standard", f"reopened-{number}", payload, received_at=at)


def about_the_client(kind: str, number: int = 77, *, at: datetime = MONDAY) -> Event:
    """A client whose data has changed, or that comes back."""
    client = {"id": f"C-{number}", "name": f"Client {number}", "website": "https://new.example.com", "phone": "555-1"}
    payload = CHURN | {"type": kind, "timestamp": at.isoformat(), "data": {"client": client}}
    return canonical_event("standard", f"{kind}-{number}", payload, received_at=at)


def new_tenant() -> Sandbox:
    """A tenant whose clock stands still, so that its states can be compared."""
    return Sandbox(clock=lambda: MONDAY)


def tenant_with_a_client() -> Sandbox:
    """A tenant with one client that has everything a churn touches."""
    sandbox = new_tenant()
    client = sandbox.plant("Client", {"name": "Client 77", "ref": "C-77", "toplevel_id": 2})
    parent = sandbox.plant("Tickets", {"summary": "Move", "client_id": client, "agent_id": 1})
    for summary in ("Pack", "Load"):
        sandbox.plant("Tickets", {"summary": summary, "client_id": client, "parent_id": parent})
    sandbox.plant("ClientContract", {"client_id": client, "ref": "D-77", "rollingcontract": True})
    sandbox.plant("RecurringInvoice", {"client_id": client, "total": 2400.0})
    sandbox.plant("Asset", {"client_id": client, "inventory_number": "LT-77", "assettype_id": 1})
    return sandbox


def tenant_with_a_contact() -> Sandbox:
    """A tenant with one client whose contact has the portal and a ticket."""
    sandbox = new_tenant()
    client = sandbox.plant("Client", {"name": "Client 77", "ref": "C-77", "toplevel_id": 2})
    site = sandbox.state()["Client"][-1]["main_site_id"]
    john = {"name": "John Smith", "site_id": site, "emailaddress": "john@client-77.example.com", "web_access_level": 1}
    contact = sandbox.plant("Users", john)
    sandbox.plant("Tickets", {"summary": "Move", "client_id": client, "site_id": site, "user_id": contact})
    return sandbox


def tenant_that_was_left() -> Sandbox:
    """A tenant with one client that has left, and a churn's notes of what that changed."""
    sandbox = new_tenant()
    client = sandbox.plant("Client", {"name": "Client 77", "ref": "C-77", "toplevel_id": 2, "inactive": True})
    ended = {"client_id": client, "end_date": "2026-10-31T00:00:00", "rollingcontract": False}
    contracts = [sandbox.plant("ClientContract", {"ref": f"D-{number}", **ended}) for number in (1, 2)]
    asset = sandbox.plant("Asset", {"client_id": client, "assettype_id": 1, "inactive": True})
    changes: list[dict[str, Any]] = [
        {"what": "client", "ids": [client], "fields": {"inactive": [False, True]}},
        {"what": "contract", "ids": contracts[:1], "fields": {"end": [None, "2026-10-31"], "rolling": [True, False]}},
        {"what": "contract", "ids": contracts[1:], "fields": {"end": ["2027-06-30", "2026-10-31"]}},
        {"what": "asset", "ids": [asset], "fields": {"inactive": [False, True]}},
    ]
    kept = f"{json.dumps({'changes': changes})}\nParhelion run r-0: changes 1 of 1"
    for text in ("Leaving; last service day: 2026-10-31\nParhelion run r-0: leaving", kept):
        sandbox.plant("CRMNote", {"client_id": client, "note": text})
    return sandbox


TENANTS: Final[dict[str, tuple[Callable[[], Sandbox], Callable[[], Event]]]] = {
    "onboard_client": (new_tenant, deal_won),
    "deal_reopened": (tenant_with_a_client, reopened),
    "churn_client": (tenant_with_a_client, churned),
    "update_client": (tenant_with_a_client, partial(about_the_client, "client.updated")),
    "reactivate_client": (tenant_that_was_left, partial(about_the_client, "client.reactivated")),
    "onboard_contact": (tenant_with_a_client, partial(about_a_contact, "contact.created")),
    "depart_contact": (tenant_with_a_contact, partial(about_a_contact, "contact.departed")),
}
"""By workflow: the tenant that it finds, and the event that starts it."""


def picture(sandbox: Sandbox, run_id: str = "") -> str:
    """All records of a tenant in words: without what differs from run to run by design.

    That is the run's id, the times in a note and the digest of a report that has them, and whether the report says that
    the client was made by this very try.
    """
    state = {
        entity: [{name: value for name, value in row.items() if name != "datetime"} for row in rows]
        for entity, rows in sandbox.state().items()
    }
    text = re.sub(r"(begun|reported) [-0-9: ]+ UTC|SHA-256 \w+", "", json.dumps(state, indent=1, sort_keys=True))
    return text.replace(run_id or "no run", "RUN").replace("known already", "made")


def standing(sandbox: Sandbox, number: int = 77) -> Counter[str]:
    """What stands in a tenant for one client, by kind."""
    return count_standing(sandbox.state(), number)


def count_standing(state: dict[str, list[dict[str, Any]]], number: int) -> Counter[str]:
    """Count what a tenant's state holds for one client, by kind; what was set aside as a double is not counted."""
    name = f"client {number}"
    clients = {int(row["id"]) for row in state["Client"] if row["name"].casefold() == name}
    counted = Counter({"clients": len(clients)})
    counted["sites"] = sum(_of(row, clients) and not row.get("inactive") for row in state["Site"])
    counted["contacts"] = sum(
        _of(row, clients) and not row.get("inactive") and bool(row.get("emailaddress")) for row in state["Users"]
    )
    counted["contracts"] = sum(
        _of(row, clients) and not row["note"].startswith("double") for row in state["ClientContract"]
    )
    counted["assets"] = sum(_of(row, clients) and not row.get("inactive") for row in state["Asset"])
    for row in state["CRMNote"]:
        if _of(row, clients):
            counted[str(row.get("note", "")).split(maxsplit=1)[0]] += 1
    return counted


def _of(row: dict[str, Any], clients: set[int]) -> bool:
    return int(row.get("client_id") or 0) in clients
