"""Every request that the workflows make holds against HaloPSA's own OpenAPI document.

The scenarios look at each of theirs as well.
"""

from typing import Any

import httpx
import pytest

from tests.memory_run import Notebook
from tests.openapi import DOCUMENT, problems
from tests.tenant import Tenant, event
from worker.events import Event
from workflows.policy import Policy
from workflows.registry import WORKFLOWS
from workflows.routes import onboarding_route

pytestmark = pytest.mark.skipif(not DOCUMENT.exists(), reason="HaloPSA's OpenAPI document is not here")

DEAL: dict[str, Any] = {
    "deal": {"id": "D-1", "name": "Acme", "contract": {"starts_on": "2026-12-01", "term_months": 12}},
    "client": {
        "id": "C-77",
        "name": "Acme Corporation",
        "billing_email": "accounts@acme.example.com",
        "phone": "555-1",
        "website": "acme.example.com",
        "notes": "Enterprise",
        "account_manager_email": "jane@msp.example",
    },
    "sites": [
        {
            "name": name,
            "line1": "1 High St",
            "line2": "Floor 2",
            "city": "Springfield",
            "region": "IL",
            "postcode": "62701",
            "country": "United States",
            "phone": "555-2",
        }
        for name in ("HQ", "Depot")
    ],
    "contacts": [
        {
            "name": "John Smith",
            "first_name": "John",
            "last_name": "Smith",
            "email": "john@acme.example.com",
            "phone": "1",
            "mobile": "2",
            "job_title": "CEO",
            "vip": True,
        }
    ],
    "assets": [{"tag": "LT-1", "type": "Laptop", "serial": "X"}],
}


ACME = {"id": "C-77", "name": "Acme Corporation"}
ADA = {"name": "Ada Jones", "email": "ada@acme.example.com", "site": "Depot", "portal_access": True}
TICKET = {"ticket_type": "Service Request", "summary": "About {client.name}", "team": "Finance"}
OWN_TICKET = TICKET | {"client": "Example MSP"}
EVERYTHING = Policy.model_validate(
    {
        "clients": {"relationships": {"Customer": "Customer"}, "custom_fields": {"CFCrmId": "{client.id}"}},
        "deals": {"new": {"contract_type_id": 3, "sla": "Premium", "billing_plan_id": 6, "kickoff": TICKET}},
        "onboard_contact": {"welcome_mail": True},
        "churn_client": {
            "keep_types": ["Onboarding"],
            "hand_over": {"team": "Finance", "agent": "omar@msp.example"},
            "recurring_invoices": "end",
            "final_billing": OWN_TICKET,
            "assets": "retire",
            "rmm": "task",
            "rmm_task": OWN_TICKET,
        },
        "deal_reopened": {"task": OWN_TICKET},
    }
)
"""A policy under which the workflows do all that they can."""

KINDS = ("Client", "Site", "Users", "ClientContract", "Tickets", "Actions", "Asset", "CRMNote", "RecurringInvoice")
LISTS = ("Agent", "AssetType", "Lookup", "SLA", "Status", "Team", "TicketType")
READ = [f"GET {path}" for path in KINDS + LISTS]
WRITTEN = [f"POST {path}" for path in KINDS]


def won_deal_event() -> Event:
    return event("deal.won", {**DEAL, "deal": {**DEAL["deal"], "kind": "new"}})


async def wind_up_and_down(tenant: Tenant) -> set[str]:
    """Let each workflow ask all that it can; name the events that it took."""
    won = won_deal_event()
    client_id = (await tenant.finish(won)).client_id
    # Whether a mail whose answer was lost has gone out is for a person to say.
    contact = {"client": ACME, "contact": ADA | {"send_welcome": not tenant.wire.lose_every_write}}
    news = {"client": ACME | {"website": "new.acme.example.com", "phone": "555-3", "payment_terms_days": 14}}
    events = [
        event("contact.created", contact),
        event("contact.departed", contact),
        event("client.updated", news),
        event("deal.reopened", DEAL),
        event("client.churned", {"client": ACME, "last_service_day": "2026-12-31"}),
        event("client.reactivated", {"client": ACME}),
    ]
    for happened in events:
        if happened.type == "client.churned":
            plant_belongings(tenant, client_id)
        await tenant.finish(happened, Notebook(run=happened.type, halts={onboarding_route(won).fact: "finished"}))
    return {won.type, *(happened.type for happened in events)}


def plant_belongings(tenant: Tenant, client_id: int) -> None:
    """Give a client what its end touches."""
    parent = tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "parent"})
    tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "child", "parent_id": parent})
    tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "kept", "tickettype_id": 25})
    tenant.sandbox.plant("RecurringInvoice", {"client_id": client_id})


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answers get lost"])
async def test_every_request_is_in_halopsas_document(*, lost: bool) -> None:
    tenant = Tenant()
    tenant.sandbox.plant("Client", {"name": "Beta"})
    known = {"deal": {"id": 1, "kind": "addition"}, "client": {"id": "C-1", "name": "Beta"}}
    await tenant.finish(event("deal.won", known))
    tenant.restart()
    tenant.policy, tenant.wire.lose_every_write = EVERYTHING, lost
    kinds = await wind_up_and_down(tenant)

    assert kinds == {workflow.on for workflow in WORKFLOWS}
    asked = {f"{request.method} {request.url.path.split('/')[2]}" for request in tenant.wire.requests}
    # Actions are only looked for when it is not known whether they were made.
    assert asked >= {*READ, *WRITTEN} - ({"GET Actions"} if not lost else set())
    assert problems(tenant.wire.requests) == []


@pytest.mark.parametrize(
    ("method", "url", "body", "problem"),
    [
        ("GET", "/api/Client?paginate=true", None, "unknown query name paginate"),
        ("GET", "/api/Client?page_no=one", None, "page_no=one is no int"),
        ("POST", "/api/Users", [{"jobtitle": "CEO"}], "unknown property jobtitle"),
        ("POST", "/api/Client", [{"newclient_delivery_address": {"city": "x"}}], "unknown property city"),
        ("POST", "/api/Tickets", [{"client_id": "5"}], "client_id='5' is no integer"),
        ("POST", "/api/Client", [{"toplevel_id": True}], "toplevel_id=True is no integer"),
        ("POST", "/api/Client", {"name": "x"}, "the body is no array"),
    ],
)
def test_the_check_itself_finds_what_is_wrong(method: str, url: str, body: Any, problem: str) -> None:
    (found, *_) = problems([httpx.Request(method, f"http://halo.test{url}", json=body)])

    assert found.endswith(problem)


def test_a_path_that_halopsa_does_not_have_is_found() -> None:
    with pytest.raises(AssertionError, match="Contract is not in the document"):
        problems([httpx.Request("GET", "http://halo.test/api/Contract")])
