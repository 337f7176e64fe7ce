"""What the scenarios share: a tenant, and events as a CRM would send them."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.openapi import DOCUMENT, problems
from tests.tenant import Tenant, Wire, fixed_clock
from workflows.sandbox import Faults, Sandbox
from workflows.sandbox.halopsa.dialects import DialectName


@pytest.fixture(autouse=True)
def held_against_halopsas_document() -> Iterator[None]:
    """Every request of a scenario in HaloPSA's own dialect is one that its document knows."""
    Wire.all_wires.clear()
    yield
    if DOCUMENT.exists():
        assert [fault for wire in Wire.all_wires if wire.dialect == "v2" for fault in problems(wire.requests)] == []


@pytest.fixture(params=["v2", "guide"])
def dialect(request: pytest.FixtureRequest) -> DialectName:
    """Each dialect in turn."""
    spoken: DialectName = request.param
    return spoken


@pytest.fixture
def faults() -> Faults:
    """HaloPSA on a good day; a module may try others."""
    return Faults()


@pytest.fixture
def tenant(dialect: DialectName, faults: Faults) -> Tenant:
    return Tenant(Sandbox(clock=fixed_clock, dialect=dialect, faults=faults))


@pytest.fixture
def deal() -> dict[str, Any]:
    """A won deal with one site and one contact."""
    return {
        "deal": {
            "id": "D-1001",
            "name": "Acme, managed services",
            "contract": {"starts_on": "2026-12-01", "term_months": 12, "auto_renew": True},
        },
        "client": {
            "id": "C-77",
            "name": "Acme Corporation",
            "email": "info@acme.example.com",
            "billing_email": "accounts@acme.example.com",
            "phone": "555-123-4567",
            "website": "acme.example.com",
            "notes": "Enterprise client",
            "account_manager_email": "Jane@msp.example",
        },
        "sites": [
            {
                "key": "hq",
                "name": "Acme HQ",
                "main": True,
                "line1": "123 Main Street",
                "line2": "Suite 500",
                "city": "Springfield",
                "region": "IL",
                "postcode": "62701",
                "country": "United States",
                "phone": "555-123-4567",
            }
        ],
        "contacts": [
            {
                "name": "John Smith",
                "first_name": "John",
                "last_name": "Smith",
                "email": "john.smith@acme.example.com",
                "phone": "555-123-4568",
                "mobile": "555-987-6543",
                "job_title": "IT Director",
                "site": "hq",
                "primary": True,
                "vip": True,
            }
        ],
    }
