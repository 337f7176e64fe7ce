"""Canonical events: all problems at once, in words that name the field; tolerant of what may be left open."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.tenant import event
from workflows.canonical import (
    InvalidEvent,
    changed_client,
    churned_client,
    created_contact,
    departed_contact,
    normalised_name,
    reopened_deal,
    won_deal,
)

READERS: dict[str, Any] = {
    "deal.won": won_deal,
    "deal.reopened": reopened_deal,
    "client.churned": churned_client,
    "client.updated": changed_client,
    "client.reactivated": changed_client,
    "contact.created": created_contact,
    "contact.departed": departed_contact,
}


def problems(kind: str, data: Any, **more: Any) -> list[str]:
    with pytest.raises(InvalidEvent) as raised:
        READERS[kind](event(kind, data, **more))
    return raised.value.problems


def won(**parts: Any) -> dict[str, Any]:
    return {"deal": {"id": "D-1"}, "client": {"name": "Acme"}} | parts


@pytest.mark.parametrize(
    "data", [{}, None, [], "x", {"deal": None, "client": None}, {"deal": {}, "client": {"name": " "}}]
)
def test_what_is_missing_is_named_all_at_once(data: Any) -> None:
    assert problems("deal.won", data) == ["Deal id is required (deal.id)", "Client name is required (client.name)"]


def test_every_faulty_field_is_named_with_its_value() -> None:
    data = won(
        client={"name": "", "email": "info@", "billing_email": "x", "website": "not a url"},
        contacts=[{"email": "john@nowhere"}],
        sites=[{"key": "hq"}],
        assets=[{"serial": "1"}],
    )

    assert problems("deal.won", data, timestamp="yesterday") == [
        "Invalid timestamp (timestamp: 'yesterday')",
        "Client name is required (client.name)",
        "Invalid email format (client.email: 'info@')",
        "Invalid email format (client.billing_email: 'x')",
        "Invalid website URL (client.website: 'not a url')",
        "Site name is required (sites[0].name)",
        "Contact name is required (contacts[0].name)",
        "Invalid email format (contacts[0].email: 'john@nowhere')",
        "Asset tag is required (assets[0].tag)",
        "Asset type is required (assets[0].type)",
    ]


def test_a_faulty_contract_is_named_completely() -> None:
    terms = {"starts_on": "2026-12-01", "ends_on": "2026-11-30", "term_months": 0}
    found = problems("deal.won", won(deal={"id": 1, "contract": terms}))

    assert found[0] == "Contract ends before it starts (deal.contract.ends_on: '2026-11-30')"
    assert "deal.contract.term_months" in found[1]


@pytest.mark.parametrize(
    "parts", [{"deal": "D-1"}, {"client": ["Acme"]}, {"contacts": "John"}, {"sites": {"hq": {}}}, {"sites": [None]}]
)
def test_parts_of_another_shape_are_problems_not_bugs(parts: dict[str, Any]) -> None:
    assert problems("deal.won", won(**parts))


@pytest.mark.parametrize(
    "email",
    [
        "a",
        "a@",
        "@b.example",
        "a b@c.example",
        "a@b",
        "a@b..example",
        "a@-b.example",
        "a@b.example, c@d.example",
        "a" * 300 + "@b.example",
    ],
)
def test_no_email_addresses(email: str) -> None:
    assert problems("deal.won", won(client={"name": "Acme", "email": email}))


@pytest.mark.parametrize(
    "email", ["a@b.example", "first.last+tag@sub.b-c.example", "o'neil@b.example", "jörg@müller.example"]
)
def test_email_addresses(email: str) -> None:
    assert won_deal(event("deal.won", won(client={"name": "Acme", "email": email}))).client.email == email


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("acme.example.com", "https://acme.example.com"),
        ("https://acme.example.com", "https://acme.example.com"),
        ("http://acme.example.com:8080/path?q=1#top", "http://acme.example.com:8080/path?q=1#top"),
        (" www.acme.example.com/ ", "https://www.acme.example.com/"),
        ("HTTPS://ACME.EXAMPLE.COM", "HTTPS://ACME.EXAMPLE.COM"),
        ("münchen.example", "https://münchen.example"),
        ("", None),
        (None, None),
    ],
)
def test_websites(given: str | None, read: str | None) -> None:
    assert won_deal(event("deal.won", won(client={"name": "Acme", "website": given}))).client.website == read


@pytest.mark.parametrize(
    "website",
    [
        "acme",
        "http://",
        "https://acme",
        "ftp://acme.example",
        "javascript:alert(1)",
        "https://a b.example",
        "a@b.example",
    ],
)
def test_no_websites(website: str) -> None:
    assert problems("deal.won", won(client={"name": "Acme", "website": website})) == [
        f"Invalid website URL (client.website: {website!r})"
    ]


def test_blank_and_null_mean_not_given_and_unknown_fields_are_ignored() -> None:
    data = won(client={"name": " Acme ", "email": "", "phone": None, "colour": "red"}, contacts=None, sites=[], more=1)
    deal = won_deal(event("deal.won", data, timestamp=None))

    assert (deal.client.name, deal.client.email, deal.client.phone, deal.contacts) == ("Acme", None, None, [])


def test_numbers_serve_as_ids() -> None:
    deal = won_deal(event("deal.won", won(deal={"id": 1001}, client={"id": 77.0, "name": "Acme"})))

    assert (deal.deal.id, deal.client.id) == ("1001", "77")


def test_a_faulty_contact_beside_the_primary_one_is_left_out_and_named() -> None:
    contacts = [{"name": "A", "email": "a@"}, {"name": "B", "email": "b@b.example", "roles": ["primary"]}, 5]
    deal = won_deal(event("deal.won", won(contacts=contacts)))

    assert [contact.name for contact in deal.contacts] == ["B"]
    assert deal.skipped == [
        "contact left out: Invalid email format (contacts[0].email: 'a@')",
        "contact left out: Must be an object (contacts[2]: 5)",
    ]


@pytest.mark.parametrize(
    "mark", [{"primary": True}, {"primary": "true"}, {"roles": ["billing", "Primary"]}, {"roles": "billing; primary"}]
)
def test_a_faulty_primary_contact_is_a_problem(mark: dict[str, Any]) -> None:
    contacts = [{"name": "A", "email": "a@a.example"}, {"name": "B", "email": "b@", **mark}]

    assert problems("deal.won", won(contacts=contacts)) == ["Invalid email format (contacts[1].email: 'b@')"]


def test_main_site_and_primary_contact_come_first_and_doubles_are_left_out() -> None:
    deal = won_deal(
        event(
            "deal.won",
            won(
                sites=[{"city": "Springfield"}, {"name": "HQ", "main": True}, {"name": "h.q."}],
                contacts=[
                    {"name": "A", "email": "a@a.example"},
                    {"first_name": "B", "last_name": "C", "email": "b@b.example", "primary": True},
                    {"name": "A2", "email": "A@A.example"},
                ],
                assets=[{"tag": "LT-1", "type": "Laptop"}, {"tag": "LT-1", "type": "Server"}],
            ),
        )
    )

    assert [site.name for site in deal.sites] == ["HQ", "Springfield"]
    assert [contact.name for contact in deal.contacts] == ["B C", "A"]
    assert [asset.type for asset in deal.assets] == ["Laptop"]
    assert deal.skipped == [
        "site left out: the event names 'hq' twice",
        "contact left out: the event names 'a@a.example' twice",
        "asset left out: the event names 'LT-1' twice",
    ]


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("ACME  Corp.", "acme corp"),
        ("Acme, Corp", " acme\tcorp "),
        ("O'Neil & Söhne-GmbH", "ONEIL SÖHNE GMBH"),
        ("O\u2019Neil", "o'neil"),
        ("Ｗide", "wide"),  # noqa: RUF001 - the full-width letter is the point
    ],
)
def test_spellings_of_one_name_are_equal(name: str, same: str) -> None:
    assert normalised_name(name) == normalised_name(same)


def test_names_of_nothing_but_punctuation_differ() -> None:
    assert len({normalised_name(name) for name in ("!!!", "???", "C++", "C", "")}) == 5


@pytest.mark.parametrize("client", [None, {}, {"id": "", "name": " "}])
def test_a_leaving_client_needs_a_name(client: Any) -> None:
    (problem,) = problems("client.churned", {"client": client})

    assert problem.startswith("Client id or name is required (client:")


@pytest.mark.parametrize("given", ["soon", 5, "9999-12-31", "0001-01-01", "2026-13-01"])
def test_no_dates(given: Any) -> None:
    data = {"client": {"id": "C-1"}, "last_service_day": given, "effective_at": given}

    assert problems("client.churned", data) == [
        f"Invalid date (last_service_day: {given!r})",
        f"Invalid time (effective_at: {given!r})",
    ]


@pytest.mark.parametrize(
    ("data", "leaves_at", "last_day"),
    [
        ({"last_service_day": "2026-12-31"}, datetime(2027, 1, 1, tzinfo=UTC), date(2026, 12, 31)),
        ({"last_service_day": "2026-12-31T23:00:00-05:00"}, datetime(2027, 1, 1, tzinfo=UTC), date(2026, 12, 31)),
        ({"effective_at": "2026-12-31T17:00:00+01:00"}, datetime(2026, 12, 31, 16, tzinfo=UTC), date(2026, 12, 31)),
        ({}, None, date(2026, 11, 23)),
    ],
)
def test_the_last_service_day_is_inclusive(data: dict[str, str], leaves_at: datetime | None, last_day: date) -> None:
    churn = churned_client(event("client.churned", {"client": {"id": "C-1"}, **data}))

    assert churn.leaves_at == leaves_at
    assert churn.last_day(date(2026, 11, 23)) == last_day


def test_every_field_of_a_won_deal_is_read() -> None:
    given = {
        "deal": {
            "id": "D-1001",
            "name": "Acme, managed services",
            "kind": "new",
            "pipeline": "default",
            "won_at": "2026-11-23T09:00:00Z",
            "url": "https://crm.example/D-1001",
            "recurring_amount": "2400.0",
            "one_off_amount": 0,
            "currency": "GBP",
            "po_number": 7,
            "owner_email": "jane@msp.example",
            "lines": [{"sku": "MS-USER", "name": "User", "quantity": 40, "unit_price": 60.0, "recurring": True}],
            "contract": {
                "type": 3,
                "template": None,
                "sla": "Premium",
                "starts_on": "2026-12-01",
                "term_months": "12",
                "billing_period": "monthly",
                "notice_days": 30,
                "auto_renew": "true",
            },
        },
        "client": {
            "id": "C-77",
            "name": "Acme Corporation",
            "domains": "acme.example.com; acme.example",
            "type": "Customer",
            "group": None,
            "parent_id": 12,
            "invoice_to": "C-1",
            "tax_number": "GB 1",
            "payment_terms_days": "30",
            "currency": "GBP",
            "custom_fields": {"CFTier": "gold", "CFUsers": 40, "CFOld": None},
        },
        "contacts": [
            {"id": "P-9", "name": "John", "roles": "primary, billing", "portal_access": "yes", "send_welcome": 1},
        ],
    }
    deal = won_deal(event("deal.won", given))

    assert (deal.deal.recurring_amount, deal.deal.one_off_amount, deal.deal.po_number) == (2400.0, 0.0, "7")
    assert deal.deal.won_at == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert [(line.sku, line.quantity, line.unit_price, line.recurring) for line in deal.deal.lines] == [
        ("MS-USER", 40.0, 60.0, True)
    ]
    terms = deal.deal.contract
    assert (terms.type, terms.template, terms.sla, terms.term_months) == ("3", None, "Premium", 12)
    assert (terms.billing_period, terms.notice_days, terms.auto_renew) == ("monthly", 30, True)
    client = deal.client
    assert (client.domains, client.parent_id, client.group) == (["acme.example.com", "acme.example"], "12", None)
    assert (client.payment_terms_days, client.custom_fields) == (30, {"CFTier": "gold", "CFUsers": 40, "CFOld": None})
    (john,) = deal.contacts
    assert (john.id, john.roles, john.primary, john.portal_access, john.send_welcome) == (
        "P-9",
        ["primary", "billing"],
        True,
        True,
        True,
    )


@pytest.mark.parametrize("amount", ["a lot", float("nan"), float("inf"), [1]])
def test_no_amounts(amount: Any) -> None:
    (problem,) = problems("deal.won", won(deal={"id": "D-1", "recurring_amount": amount}))

    assert "(deal.recurring_amount: " in problem


@pytest.mark.parametrize("days", [-1, 100_000, "soon", 1.5])
def test_no_payment_terms(days: Any) -> None:
    (problem,) = problems("deal.won", won(client={"name": "Acme", "payment_terms_days": days}))

    assert "(client.payment_terms_days: " in problem


@pytest.mark.parametrize("kind", ["client.updated", "client.reactivated", "contact.created", "contact.departed"])
def test_a_known_client_needs_a_key_or_a_name(kind: str) -> None:
    contact = {"contact": {"name": "John"}} if kind.startswith("contact") else {}

    assert problems(kind, {"client": {"phone": "1"}, **contact}) == [
        "Client id or name is required (client: {'phone': '1'})"
    ]
    READERS[kind](event(kind, {"client": {"id": 7}, **contact}))


def test_a_change_says_which_fields_it_gives() -> None:
    changed = changed_client(event("client.updated", {"client": {"id": "C-7", "phone": "1", "email": None}}))

    assert changed.client.model_fields_set == {"id", "phone"}
    assert problems("client.updated", {"client": {"id": "C-7", "email": "x", "website": "y"}}) == [
        "Invalid email format (client.email: 'x')",
        "Invalid website URL (client.website: 'y')",
    ]


def test_a_new_contact_is_read_as_those_of_a_deal() -> None:
    created = created_contact(event("contact.created", {"client": {"id": 7}, "contact": {"first_name": "Ada"}}))

    assert (created.client.id, created.contact.name, created.contact.key) == ("7", "Ada", "ada")
    assert problems("contact.created", {"client": {"id": 7}}) == ["Contact name is required (contact.name)"]


@pytest.mark.parametrize(
    ("contact", "key"), [({"email": "Ada@x.example"}, "ada@x.example"), ({"name": "Ada  L."}, "ada l")]
)
def test_a_departed_contact_is_known_by_address_or_name(contact: dict[str, str], key: str) -> None:
    departed = departed_contact(event("contact.departed", {"client": {"name": "Acme"}, "contact": contact}))

    assert departed.contact.key == key
    assert problems("contact.departed", {"client": {"id": "C-1"}, "contact": {"id": "P-1"}}) == [
        "Contact email or name is required (contact: {'id': 'P-1'})"
    ]


def test_a_reopened_deal_names_deal_and_client() -> None:
    reopened = reopened_deal(event("deal.reopened", {"deal": {"id": 5}, "client": {"id": "C-1"}}))

    assert (reopened.deal.id, reopened.client.id) == ("5", "C-1")
    assert problems("deal.reopened", {}) == [
        "Deal id is required (deal.id)",
        "Client id or name is required (client: {})",
    ]
