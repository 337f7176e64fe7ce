"""Every request that the workflows make holds against HaloPSA's own OpenAPI document.

The scenarios look at each of theirs as well.
"""

from typing import Any

import httpx
import pytest

from tests.openapi import DOCUMENT, problems
from tests.tenant import Tenant, event

pytestmark = pytest.mark.skipif(not DOCUMENT.exists(), reason="HaloPSA's OpenAPI document is not here")

DEAL = {
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


async def wind_up_and_down(tenant: Tenant) -> None:
    """Everything that the workflows can ask for, the looks after lost answers included."""
    tenant.wire.lose_every_write = True
    client_id = (await tenant.finish(event("deal.won", DEAL))).client_id
    parent = tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "parent"})
    tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "child", "parent_id": parent})
    await tenant.finish(event("client.churned", {"client": {"id": "C-77"}, "last_service_day": "2026-12-31"}))


async def test_every_request_is_in_halopsas_document() -> None:
    tenant = Tenant()
    tenant.sandbox.plant("Client", {"name": "Beta"})
    await tenant.finish(event("deal.won", {"deal": {"id": 1}, "client": {"id": "C-1", "name": "Beta"}}))
    tenant.restart()
    await wind_up_and_down(tenant)

    asked = {f"{request.method} {request.url.path.split('/')[2]}" for request in tenant.wire.requests}
    assert asked >= {
        f"{method} {path}"
        for path in ("Client", "Site", "Users", "ClientContract", "Tickets", "Actions", "Asset", "CRMNote")
        for method in ("GET", "POST")
    } | {"GET RecurringInvoice", "GET Agent", "GET Status", "GET Lookup", "GET AssetType"}
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
