"""Canonical events: all problems at once, in words that name the field; tolerant of what may be left open."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.tenant import event
from workflows.canonical import InvalidEvent, churned_client, normalised_name, won_deal


def problems(kind: str, data: Any, **more: Any) -> list[str]:
    read: Any = won_deal if kind == "deal.won" else churned_client
    with pytest.raises(InvalidEvent) as raised:
        read(event(kind, data, **more))
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
    deal = won_deal(event("deal.won", won(deal={"id": 1001}, client={"id": 77, "name": "Acme"})))

    assert (deal.deal.id, deal.client.id) == ("1001", "77")


def test_a_faulty_contact_beside_the_primary_one_is_left_out_and_named() -> None:
    contacts = [{"name": "A", "email": "a@"}, {"name": "B", "email": "b@b.example", "roles": ["primary"]}, 5]
    deal = won_deal(event("deal.won", won(contacts=contacts)))

    assert [contact.name for contact in deal.contacts] == ["B"]
    assert deal.skipped == [
        "contact left out: Invalid email format (contacts[0].email: 'a@')",
        "contact left out: Must be an object (contacts[2]: 5)",
    ]


@pytest.mark.parametrize("mark", [{"primary": True}, {"primary": "true"}, {"roles": ["billing", "primary"]}])
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
