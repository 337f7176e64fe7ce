"""Which client is meant: certain matches, candidates for a person, or none."""

import random
import time
from typing import Any

import pytest

from workflows import canonical
from workflows.halopsa.models import Client
from workflows.matching import find_match, named_client, queue_name, spelling
from workflows.policy.tenant import Names


def match(wanted: dict[str, Any], *rows: dict[str, Any], names: Names | None = None) -> int | dict[int, list[str]]:
    """The client that is certain, by its number from 1; else the candidates and what speaks for them."""
    clients = [Client.model_validate({"id": number, **row}) for number, row in enumerate(rows, 1)]
    client = canonical.Client.model_validate({"id": "C-9", "name": "Acme Corp.", **wanted})
    found = find_match(clients, client, names or Names())
    return found.client.id if found.client else {one.id: one.why for one in found.candidates}


@pytest.mark.parametrize(
    "row",
    [
        {"name": "Quite another name", "key": "C-9"},
        {"name": "ACME  corp"},
        {"name": "Acme Corporation Ltd"},
        {"name": "Acme"},
        {"name": "The Acme Corporation"},
        {"name": "Acmé Corp"},
        {"name": "ACME Corp.", "website": "https://elsewhere.example"},
    ],
)
def test_the_key_or_the_name_alone_is_certain(row: dict[str, Any]) -> None:
    assert match({"website": "acme.example", "tax_number": "GB 1"}, {"name": "Beta"}, row) == 2


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"name": "Acme Corp.", "key": "C-1"}, "same name"),
        ({"name": "ACME Corporation", "key": "C-1"}, "same name but for its legal form"),
        ({"name": "Acme Inc."}, "same name but for its legal form"),
        ({"name": "Acme Corporation", "website": "elsewhere.example"}, "same name but for its legal form"),
        ({"name": "Acme Corporation", "tax_number": "GB2"}, "same name but for its legal form"),
        ({"name": "Umbrella", "tax_number": "gb-1"}, "same tax number"),
        ({"name": "Umbrella", "tax_number": "GB1", "key": "C-1"}, "same tax number"),
        ({"name": "Umbrella", "website": "https://www.ACME.example/en"}, "same domain"),
        ({"name": "Umbrella", "accounts_email": "bills@acme.example"}, "same domain"),
    ],
)
def test_what_may_be_the_client_is_left_to_a_person(row: dict[str, Any], why: str) -> None:
    assert match({"website": "acme.example", "tax_number": "GB 1"}, {"name": "Beta"}, row) == {2: [why]}


def test_a_misspelt_name_is_left_to_a_person_unless_it_lives_elsewhere() -> None:
    rows: list[dict[str, Any]] = [{"name": "Northwind Tradres Ltd", "website": "nw.example", "key": "C-1"}]

    assert match({"name": "Northwind Traders"}, *rows) == {1: ["name alike"]}
    assert match({"name": "Northwind Traders", "website": "nw.example"}, *rows) == {1: ["name alike", "same domain"]}
    assert match({"name": "Northwind Traders", "website": "traders.example"}, *rows) == {}


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Client 144", "Client 145"),
        ("Northwind Traders A", "Northwind Traders B"),
        ("Northwind Traders East", "Northwind Traders West"),
        ("Northwind Traders", "Northwind Traders Holding"),
        ("Dental Practice 12 Ltd", "Dental Practice 12a Ltd"),
        ("Acme", "Axme"),
        ("Globex", "Initech"),
    ],
)
def test_names_that_differ_in_what_tells_them_apart_are_two(name: str, other: str) -> None:
    assert match({"name": name}, {"name": other}) == {}


def test_two_keys_with_nothing_but_a_domain_in_common_are_two_clients() -> None:
    row = {"name": "Umbrella", "website": "acme.example", "key": "C-1"}

    assert match({"email": "info@acme.example"}, row) == {}
    assert match({"email": "info@acme.example", "id": ""}, row) == {1: ["same domain"]}
    sister = {"name": "Acme West", "website": "acme.example", "key": "C-1"}
    assert match({"name": "Acme East", "email": "info@acme.example"}, sister) == {}


@pytest.mark.parametrize("email", ["info@gmail.com", "acme@Outlook.com"])
def test_domains_that_many_share_prove_nothing(email: str) -> None:
    assert (
        match({"email": email}, {"name": "Umbrella", "accounts_email": "x@gmail.com", "email": "y@outlook.com"}) == {}
    )


def test_parents_and_sisters_are_others() -> None:
    parent = {"name": "Acme Group", "website": "acme.example", "key": "C-1"}
    sister = {"name": "Umbrella", "website": "acme.example", "parent_id": 1}
    wanted = {"name": "Acme West Branch", "website": "acme.example"}

    assert match(wanted, parent | {"key": ""}, sister) == {1: ["same domain"], 2: ["same domain"]}
    assert match(wanted | {"parent_id": "Acme group"}, parent | {"key": ""}, sister) == {}
    assert match(wanted | {"parent_id": "C-1"}, parent, sister) == {}
    misspelt = {"name": "Acme West Brunch", "invoice_to": 1}
    assert match(wanted, parent, misspelt) == {2: ["name alike"]}
    assert match(wanted | {"parent_id": "C-1"}, parent, misspelt) == {}


def test_the_exact_name_goes_before_a_legal_form() -> None:
    assert match({}, {"name": "Acme GmbH"}, {"name": "ACME Corp"}) == 2


def test_several_of_one_kind_are_left_to_a_person_with_inactive_ones() -> None:
    assert match({}, {"name": "Acme Corp"}, {"name": "acme corp.", "inactive": True}) == {
        1: ["same name"],
        2: ["same name"],
    }
    assert match({}, {"name": "A", "key": "C-9"}, {"name": "B", "key": "C-9"}) == {1: ["same key"], 2: ["same key"]}


def test_a_tax_number_elsewhere_makes_a_name_uncertain() -> None:
    rows: list[dict[str, Any]] = [{"name": "Acme Corp"}, {"name": "Umbrella", "tax_number": "GB1"}]

    assert match({"tax_number": "GB1"}, *rows) == {1: ["same name"], 2: ["same tax number"]}


def test_the_policy_says_what_counts() -> None:
    assert match({"name": "Acme Verein"}, {"name": "Acme"}) == {}
    assert match({"name": "Acme Verein"}, {"name": "Acme"}, names=Names(legal_forms=("verein",))) == 1
    assert match({"name": "Globex Systems"}, {"name": "Globex Sistemas"}) == {}
    assert match({"name": "Globex Systems"}, {"name": "Globex Sistemas"}, names=Names(similarity=80)) == {
        1: ["name alike"]
    }
    own = Names(shared_domains=("acme.example",))
    assert match({"email": "a@acme.example"}, {"name": "Umbrella", "email": "b@acme.example"}, names=own) == {}


@pytest.mark.parametrize("odd", ["", "!!!", "Ltd", "Co", "C++", "日本", "[", "https://[", "@"])
def test_no_name_or_address_is_too_odd(odd: str) -> None:
    assert match({"name": "Acme", "tax_number": odd}, {"name": odd, "website": odd, "accounts_email": odd}) == {}
    assert spelling(odd).core == queue_name(odd)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ACME Corp.", "Acme Corporation Ltd"),
        ("Smith & Sons GmbH & Co. KG", "Smith and Sons"),
        ("Société S.A.", "societe"),
    ],
)
def test_what_may_be_one_client_waits_in_one_queue(one: str, other: str) -> None:
    assert queue_name(one) == queue_name(other)


def test_a_reference_means_a_key_first() -> None:
    rows = [Client(id=1, name="C-2"), Client(id=2, name="Acme", key="C-2"), Client(id=3, name="ACME")]

    assert [row.id for row in named_client(rows, "C-2")] == [2]
    assert [row.id for row in named_client(rows, "acme")] == [2, 3]


def test_twenty_thousand_clients_are_compared_well_below_a_second() -> None:
    letters = random.Random(1)
    words = ["".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(2000)]
    rows = [
        Client(
            id=number, name=" ".join(letters.sample(words, 3)) + " Ltd", key=f"K-{number}", website=f"w{number}.example"
        )
        for number in range(1, 20_001)
    ]
    wanted = canonical.Client(id="C-9", name=rows[777].name[:-5] + "x Limited", website="https://acme.example")
    begun = time.process_time()
    found = find_match(rows, wanted, Names())

    assert time.process_time() - begun < 0.8
    assert found.candidates == []
