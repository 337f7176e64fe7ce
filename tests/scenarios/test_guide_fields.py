"""Each field of the guide that an onboarding fills, in the words of both dialects, and what is never done."""

from typing import Any

import pytest

from tests.memory_run import Notebook
from tests.tenant import Tenant, event
from workflows.canonical import InvalidEvent

Fields = dict[str, Any]
PLACE = {
    "key": "hq",
    "name": "Büro Zürich",
    "main": True,
    "line1": "Höheweg 1",
    "line2": "2. Stock",
    "region": "ZH",
    "city": "Zürich",
    "postcode": "8001",
    "country": "Switzerland",
    "phone": "+41 44 555 01 01",
}
PERSON = {
    "name": "Zoë Müller",
    "first_name": "Zoë",
    "last_name": "Müller",
    "email": "zoe.mueller@alpenblick.example",
    "phone": "+41 44 555 01 02",
    "mobile": "+41 79 555 01 03",
    "job_title": "Geschäftsführerin",
    "site": "hq",
    "primary": True,
    "vip": True,
}
COMPANY = {
    "id": "K-9",
    "name": "Alpenblick Hotelbetriebe AG",
    "email": "info@alpenblick.example",
    "phone": "+41 44 555 01 00",
    "website": "https://alpenblick.example",
    "notes": "Nur vormittags anrufen",
    "account_manager_email": "jane@msp.example",
    "tax_number": "CHE-123.456.789",
    "currency": "CHF",
    "payment_terms_days": 14,
}
WON: Fields = {
    "deal": {"id": "D-9", "kind": "new", "contract": {"starts_on": "2026-12-01", "term_months": 12}},
    "client": COMPANY,
    "sites": [PLACE],
    "contacts": [PERSON],
}


def value(row: Fields, path: str) -> Any:
    for name in path.split("."):
        row = row[name]
    return row


@pytest.mark.parametrize(
    ("guide", "v2", "expected"),
    [
        ("name", "name", "Alpenblick Hotelbetriebe AG"),
        ("website", "website", "https://alpenblick.example"),
        ("inactive", "inactive", False),
        ("accountmanager_id", "accountmanagertech", 3),
        ("emailaddress", None, "info@alpenblick.example"),
        ("phonenumber", None, "+41 44 555 01 00"),
        ("taxcode", "tax_number", "CHE-123.456.789"),
        ("currency_code", None, "CHF"),
        ("payment_terms", "paymentterms", 14),
    ],
)
async def test_each_field_of_the_client(tenant: Tenant, guide: str, v2: str | None, expected: Any) -> None:
    result = await tenant.finish(event("deal.won", WON))

    (client,) = tenant.rows("Client", id=result.client_id)
    if tenant.dialect == "guide":
        assert client[guide] == expected
    elif v2:
        assert client.get(v2, "") == expected


async def test_the_colour_is_left_to_halopsa(tenant: Tenant) -> None:
    await tenant.finish(event("deal.won", WON))

    assert not any(b"colour" in request.content for request in tenant.wire.requests)


async def test_the_main_sites_id_and_the_notes_are_kept_with_the_client(tenant: Tenant) -> None:
    result = await tenant.finish(event("deal.won", WON))

    (client,) = tenant.rows("Client", id=result.client_id)
    assert client["main_site_id"] == result.site_ids[0]
    assert client["notes"].splitlines()[0] == "Nur vormittags anrufen"


@pytest.mark.parametrize(
    ("guide", "v2", "expected"),
    [
        ("name", "name", "Büro Zürich"),
        ("line1", "delivery_address.line1", "Höheweg 1"),
        ("line2", "delivery_address.line2", "2. Stock"),
        ("line3", "delivery_address.line4", "ZH"),
        ("line4", "delivery_address.line3", "Zürich"),
        ("postcode", "delivery_address.postcode", "8001"),
        ("phonenumber", "phonenumber", "+41 44 555 01 01"),
        ("main_site", "isinvoicesite", True),
        ("inactive", "inactive", False),
    ],
)
async def test_each_field_of_the_site(tenant: Tenant, guide: str, v2: str, expected: Any) -> None:
    result = await tenant.finish(event("deal.won", WON))

    (site,) = tenant.rows("Site", client_id=result.client_id)
    assert value(site, guide if tenant.dialect == "guide" else v2) == expected


@pytest.mark.parametrize(
    ("guide", "v2", "expected"),
    [
        ("name", "name", "Zoë Müller"),
        ("firstname", "firstname", "Zoë"),
        ("surname", "surname", "Müller"),
        ("emailaddress", "emailaddress", "zoe.mueller@alpenblick.example"),
        ("phonenumber", "phonenumber", "+41 44 555 01 02"),
        ("mobilenumber", "mobilenumber", "+41 79 555 01 03"),
        ("jobtitle", "title", "Geschäftsführerin"),
        ("isimportantcontact", "isimportantcontact", True),
        ("inactive", "inactive", False),
    ],
)
async def test_each_field_of_the_contact(tenant: Tenant, guide: str, v2: str, expected: Any) -> None:
    result = await tenant.finish(event("deal.won", WON))

    (person,) = tenant.rows("Users", id=result.contact_ids[0])
    assert person[guide if tenant.dialect == "guide" else v2] == expected
    assert (person["client_id"], person["site_id"]) == (result.client_id, result.site_ids[0])


@pytest.mark.parametrize("word", ["Customer", "Prospect", "Lead", "Partner", "Vendor"])
async def test_each_type_of_client(tenant: Tenant, word: str) -> None:
    result = await tenant.finish(event("deal.won", WON | {"client": COMPANY | {"type": word}}))

    (client,) = tenant.rows("Client", id=result.client_id)
    types = {row["name"]: row["id"] for row in tenant.sandbox.store.reference["Lookup"] if row["lookupid"] == 33}
    # The guide's clients have no such field.
    assert client.get("customertype", types[word]) == types[word]


async def test_nothing_is_ever_deleted(tenant: Tenant) -> None:
    await tenant.finish(event("deal.won", WON))
    for kind, more in (
        ("contact.departed", {"contact": PERSON}),
        ("client.churned", {"last_service_day": "2026-12-31"}),
        ("client.reactivated", {}),
    ):
        await tenant.finish(event(kind, {"client": COMPANY, **more}), Notebook(run=kind))

    assert {call.split()[0] for call in tenant.wire.calls} == {"GET", "POST"}


async def test_all_that_is_wrong_is_said_at_once_before_halopsa_is_asked(tenant: Tenant) -> None:
    faulty = {"name": " ", "email": "info@", "website": "no address"}
    with pytest.raises(InvalidEvent, match=r"name is required.*Invalid email format.*Invalid website URL"):
        await tenant.finish(event("deal.won", WON | {"client": faulty}))

    assert tenant.wire.calls == []
