"""Linking HaloPSA's clients to the CRM's companies."""

import json
import random
import time
from typing import Any

import pytest

from tests.tenant import Tenant
from worker.budget import WaitingGuard
from worker.errors import RetryLater
from workflows.halopsa import Halo
from workflows.halopsa.models import Client
from workflows.link import FIRST_TRIES, BadCompanies, Company, Link, link_companies, plan_links, read_companies
from workflows.policy.tenant import Names

COMPANIES = (
    Company(id="C-1", name="ACME Corporation", domain="acme.example"),
    Company(id="C-2", name="Northwind Trader"),
    Company(id="C-3", name="Initech"),
    Company(id="C-4", name="Globex Ltd"),
    Company(id="C-5", name="Umbrella Holding", domain="https://www.umbrella.example/"),
)
CLIENTS: tuple[dict[str, Any], ...] = (
    {"name": "Acme Corp.", "website": "https://acme.example"},
    {"name": "Northwind Traders"},
    {"name": "Globex", "key": "C-4"},
    {"name": "Umbrella", "website": "umbrella.example"},
)


async def no_pause(_: float) -> None:
    """Trouble passes at once."""


@pytest.fixture
def clients(tenant: Tenant) -> list[int]:
    """The tenant's clients, by their ids."""
    fields = [{name: value for name, value in client.items() if name != "key"} for client in CLIENTS]
    return [
        int(tenant.sandbox.plant("Client", tenant.keyed(client.get("key", ""), **known)))
        for client, known in zip(CLIENTS, fields, strict=True)
    ]


def unguarded(tenant: Tenant) -> Halo:
    return tenant.connection.for_run(WaitingGuard(None, bulk=True))


async def linked(tenant: Tenant, *companies: Company, write: bool) -> list[Link]:
    halo = unguarded(tenant)
    return await link_companies(halo, companies or COMPANIES, Names(), write=write, pause=no_pause)


def writes(tenant: Tenant) -> list[str]:
    return [call for call in tenant.wire.calls if call.startswith("POST")]


async def keys(tenant: Tenant) -> dict[int, str]:
    return {client.id: client.key for client in await unguarded(tenant).clients.find() if client.key}


async def test_a_plan_says_what_is_certain_and_writes_nothing(tenant: Tenant, clients: list[int]) -> None:
    links = await linked(tenant, write=False)

    assert [link.state for link in links] == ["certain", "uncertain", "none", "linked", "uncertain"]
    assert [link.client.id if link.client else 0 for link in links] == [clients[0], 0, 0, clients[2], 0]
    assert [[one.id for one in link.candidates] for link in links] == [[], [clients[1]], [], [], [clients[3]]]
    assert writes(tenant) == []


async def test_only_what_is_certain_is_written_and_only_once(tenant: Tenant, clients: list[int]) -> None:
    links = await linked(tenant, write=True)
    assert [link.state for link in links] == ["written", "uncertain", "none", "linked", "uncertain"]
    assert await keys(tenant) == {clients[0]: "C-1", clients[2]: "C-4"}
    assert len(writes(tenant)) == 1

    again = await linked(tenant, write=True)
    assert [link.state for link in again] == ["linked", "uncertain", "none", "linked", "uncertain"]
    assert len(writes(tenant)) == 1


async def test_the_guides_notes_stay_beside_the_key() -> None:
    tenant = Tenant(dialect="guide")
    client = tenant.sandbox.plant("Client", {"name": "Acme", "notes": "Call before noon"})
    await linked(tenant, Company(id="C-1", name="Acme"), write=True)

    (row,) = tenant.rows("Client", id=client)
    assert row["notes"] == "Call before noon\nParhelion key: C-1"


async def test_two_companies_that_claim_one_client_are_left_to_a_person(tenant: Tenant, clients: list[int]) -> None:
    both = (Company(id="C-1", name="Acme Corp"), Company(id="C-9", name="Acme Corporation"))
    links = await linked(tenant, *both, write=True)

    assert [link.state for link in links] == ["uncertain", "uncertain"]
    assert {one.id for link in links for one in link.candidates} == {clients[0]}
    assert writes(tenant) == []


@pytest.mark.parametrize("mishap", ["answer lost", "failed before", "failed after", "never connected"])
async def test_trouble_on_the_way_changes_nothing(tenant: Tenant, clients: list[int], mishap: str) -> None:
    await linked(tenant, Company(id="C-0", name="Nobody"), write=False)
    before = len(tenant.wire.requests)
    tenant.wire.mishaps = dict.fromkeys(range(before + 1, before + 10, 2), mishap)
    links = await linked(tenant, write=True)

    assert [link.state for link in links] == ["written", "uncertain", "none", "linked", "uncertain"]
    tenant.wire.mishaps.clear()
    assert (await keys(tenant))[clients[0]] == "C-1"


async def test_an_address_where_nobody_answers_is_not_tried_for_long(tenant: Tenant) -> None:
    tenant.wire.mishaps = dict.fromkeys(range(1, 1000), "never connected")
    with pytest.raises(RetryLater):
        await linked(tenant, write=False)

    assert len(tenant.wire.requests) == FIRST_TRIES


async def test_a_key_that_came_meanwhile_is_never_overwritten(tenant: Tenant, clients: list[int]) -> None:
    halo = unguarded(tenant)

    def come(text: str) -> None:
        if text.startswith("clients:"):
            tenant.change("Client", clients[0], **tenant.keyed("C-77"))

    (link,) = await link_companies(halo, COMPANIES[:1], Names(), write=True, tell=come, pause=no_pause)

    assert (link.state, writes(tenant)) == ("not written", [])
    assert "C-77" in link.trouble


@pytest.mark.usefixtures("clients")
async def test_a_refusal_names_the_client_and_holds_up_nobody(tenant: Tenant) -> None:
    tenant.sandbox.faults.refuse = {"POST /api/Client": "No such field"}
    more = Company(id="C-3", name="Globex")
    links = await linked(tenant, COMPANIES[0], more, write=True)

    assert [link.state for link in links] == ["not written", "uncertain"]
    assert "No such field" in links[0].trouble


async def test_a_field_that_halopsa_does_not_keep_is_told() -> None:
    tenant = Tenant()
    tenant.sandbox.plant("Client", {"name": "Acme"})
    tenant.sandbox.faults.drop_fields = frozenset({"Client.ref"})
    (link,) = await linked(tenant, Company(id="C-1", name="Acme"), write=True)

    assert link.state == "not written"
    assert "halopsa.external_key" in link.trouble


@pytest.mark.parametrize(
    "text",
    [
        "id,name,domain\nC-1,Acme,acme.example\n2,Böb,\n",
        "\ufeffID;Name;Domain;Owner\r\nC-1;Acme;acme.example;Jane\r\n2;Böb;;\r\n".lstrip("\ufeff"),
        json.dumps([{"id": "C-1", "name": "Acme", "domain": "acme.example", "x": 1}, {"id": 2, "name": " Böb "}]),
    ],
)
def test_companies_are_read_from_csv_and_json(text: str) -> None:
    assert read_companies(text) == [
        Company(id="C-1", name="Acme", domain="acme.example"),
        Company(id="2", name="Böb"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name\nAcme\n", "0 id"),
        ("id,name\n1,\n", "0 name"),
        ('{"id": 1}', "array"),
        ("[{", "JSON"),
        ('[{"id": 1, "name": "A"}, {"id": "1", "name": "B"}]', "more than once"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadCompanies, match=why):
        read_companies(text)


def test_many_companies_are_compared_with_many_clients_in_seconds() -> None:
    letters = random.Random(1)
    words = ["".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(2000)]
    names = [" ".join(letters.sample(words, 2)) for _ in range(20_000)]
    clients = [Client(id=number, name=f"{name} Ltd") for number, name in enumerate(names, 1)]
    companies = [Company(id=f"C-{number}", name=name.upper()) for number, name in enumerate(names[:500], 1)]
    begun = time.process_time()
    links = plan_links(clients, companies, Names())

    assert time.process_time() - begun < 8
    assert sum(link.state == "certain" for link in links) > 450
