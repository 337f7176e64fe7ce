"""The dialects: what they call things, and where a client bears the CRM's key."""

import json
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.memory_run import MemoryRun, Notebook
from worker.errors import NeedsOperator
from workflows.halopsa import Halo, HaloConnection
from workflows.halopsa.dialects import DIALECTS, GUIDE, V2, Dialect, Entity, key_place
from workflows.halopsa.models import Contract
from workflows.halopsa.paging import rows_of
from workflows.halopsa.setup_models import TicketType

CLIENT = {"name": "Acme", "notes": "Pays late", "key": "C-77"}


def client_in(dialect: str, key: str | None = None) -> Any:
    return DIALECTS[dialect](key_place(key) if key else None, None).clients


@pytest.mark.parametrize("dialect", [V2, GUIDE])
def test_every_field_of_a_record_has_its_place_or_is_known_to_have_none(dialect: Dialect) -> None:
    for kind in fields(dialect):
        entity = getattr(dialect, kind.name)
        assert set(entity.record.model_fields) - set(entity.fields) <= {"id", "inactive"}, kind.name


@pytest.mark.parametrize("kind", ["clients", "sites", "contacts"])
def test_what_a_workflow_may_write_in_one_dialect_it_may_write_in_the_other(kind: str) -> None:
    assert getattr(V2, kind).fields.keys() == getattr(GUIDE, kind).fields.keys()


@pytest.mark.parametrize(
    ("dialect", "key", "body"),
    [
        ("v2", None, {"ref": "C-77", "notes": "Pays late"}),
        ("v2", "hubspot_id", {"hubspot_id": "C-77", "notes": "Pays late"}),
        ("v2", "CFCrmId", {"customfields": [{"name": "CFCrmId", "value": "C-77"}], "notes": "Pays late"}),
        ("v2", "201", {"customfields": [{"id": 201, "value": "C-77"}], "notes": "Pays late"}),
        ("v2", "notes", {"notes": "Pays late\nParhelion key: C-77"}),
        ("guide", None, {"notes": "Pays late\nParhelion key: C-77"}),
        ("guide", "ref", {"notes": "Pays late\nParhelion key: C-77"}),
    ],
)
def test_the_key_is_written_and_found_again_in_its_place(dialect: str, key: str | None, body: dict[str, Any]) -> None:
    entity = client_in(dialect, key)
    written = entity.write(CLIENT)
    shown = json.loads(json.dumps(written))
    for entry in shown.get("customfields", []):
        entry |= {"id": 201.0, "name": "CFCrmId"}

    assert written.items() >= {"name": "Acme", **body}.items()
    client = entity.read({"id": 5, **shown})
    assert (client.name, client.notes, client.key) == ("Acme", "Pays late", "C-77")


@pytest.mark.parametrize(
    ("notes", "key", "rest"),
    [
        ("", "", ""),
        ("Since 1999", "", "Since 1999"),
        ("Parhelion key: C-77", "C-77", ""),
        ("A\r\n  Parhelion key:  C 77 \r\nB\n", "C 77", "A\r\nB"),
        ("Parhelion key:", "", ""),
        (None, "", ""),
    ],
)
def test_the_line_of_the_key_is_told_from_other_notes(notes: str | None, key: str, rest: str) -> None:
    client = GUIDE.clients.read({"id": 5, "notes": notes})

    assert (client.key, client.notes) == (key, rest)


def test_the_lines_of_an_address_mean_what_the_tenant_says() -> None:
    lines = {"line1": "line1", "city": "line2", "region": "line3", "country": "line4"}
    site = {"line1": "1 High St", "line2": "Floor 2", "city": "Leeds", "region": "W Yorks", "country": "UK"}

    v2 = DIALECTS["v2"](None, lines)
    assert v2.sites.write(site)["delivery_address"] == {
        "line1": "1 High St",
        "line2": "Leeds",
        "line3": "W Yorks",
        "line4": "UK",
    }
    assert v2.clients.write({"site_city": "Leeds"})["newclient_delivery_address"] == {"line2": "Leeds"}
    assert DIALECTS["guide"](None, lines).sites.write(site) == {
        "line1": "1 High St",
        "line2": "Leeds",
        "line3": "W Yorks",
        "line4": "UK",
    }


def test_custom_fields_are_written_by_name_or_id_and_read_by_both() -> None:
    written = V2.contracts.write({"custom_fields": {"CFTier": "gold", "207": 3}, "start": date(2026, 12, 1)})
    read = V2.tickets.read({"id": 1, "customfields": [{"id": 207.0, "name": "CFSeats", "value": 3}]})

    assert written["customfields"] == [{"name": "CFTier", "value": "gold"}, {"id": 207, "value": 3}]
    assert read.custom_fields == {"207": 3, "CFSeats": 3}
    assert type(read).model_validate_json(read.model_dump_json()) == read


def test_a_ticket_type_tells_what_it_asks_of_its_tickets() -> None:
    row = {
        "id": 3,
        "name": "Change",
        "allowed_status": [{"status_id": 1}, {"status_id": "9.0"}],
        "fields": [{"fieldid": 201, "fieldname": None, "technew": 2, "fieldinfo": {"mandatory": True}}],
        "mustclosechildbeforeclosurebool": True,
    }
    read = V2.ticket_types.read(row)

    assert (read.allowed_status_ids, read.children_first, read.fields[0].fieldid) == ([1, 9], True, 201)
    assert TicketType.model_validate_json(read.model_dump_json()) == read


RECORDED = Path(__file__).parents[3] / "shared/data/halopsa"
TEMPLATES: dict[str, Entity[Any]] = {
    "Client": V2.clients,
    "Site": V2.sites,
    "User": V2.contacts,
    "Contract": V2.contracts,
    "Ticket": V2.tickets,
    "Opportunity": V2.opportunities,
    "Action": V2.actions,
    "Asset": V2.assets,
    "Invoice": V2.recurring_invoices,
    "Agent": V2.agents,
    "Team": V2.teams,
    "Status": V2.statuses,
    "TicketType": V2.ticket_types,
    "Outcome": V2.outcomes,
}


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded data is not here")
@pytest.mark.parametrize("name", TEMPLATES)
def test_halopsas_own_templates_are_read_to_the_last_field(name: str) -> None:
    entity = TEMPLATES[name]
    (row, *_) = rows_of(json.loads((RECORDED / "templates" / f"{name}.json").read_text()), "")

    assert entity.read(row).id == 0
    given = {ours: row[theirs] for ours, theirs in entity.fields.items() if theirs in row and row[theirs] is not None}
    strict = entity.record.model_validate({"id": row["id"], **given})
    assert all(getattr(entity.read(row), ours) == getattr(strict, ours) for ours in given if hasattr(strict, ours))


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded data is not here")
def test_the_guides_recorded_clients_are_read() -> None:
    created = json.loads((RECORDED / "guide-dialect/client-create.json").read_text())["response"]["clients"]
    shown = json.loads((RECORDED / "guide-dialect/node-halopsa-single-client.json").read_text())["clients"]

    assert [(client.id, client.name, client.email) for client in map(GUIDE.clients.read, created)] == [
        (123, "Acme Corporation", "info@acme.example.com")
    ]
    assert [(client.main_site_id, client.phone) for client in map(GUIDE.clients.read, shown)] == [(1, "+1 555-1234")]


def test_ids_that_are_no_numbers_are_kept() -> None:
    webhook = V2.webhooks.read({"id": "53232637-aaaa", "name": "Out", "last_status": "200"})
    priority = V2.priorities.read({"id": "5a1c2f70", "priorityid": 3.0, "slaid": 2})
    country = V2.lookups.read({"id": "GB", "name": "United Kingdom"})

    assert (webhook.id, webhook.last_status, priority.id, priority.sla_id, country.id) == (
        "53232637-aaaa",
        200,
        3,
        2,
        "GB",
    )


def test_what_a_listing_lacks_is_the_default() -> None:
    assert V2.contracts.read({"id": 7, "client_id": 29.0}) == Contract(id=7, client_id=29)


class Tenant:
    """A HaloPSA with one client, which keeps what is posted."""

    def __init__(self, row: dict[str, Any], **settings: Any) -> None:
        self.row = row
        self.posted: list[dict[str, Any]] = []
        self.asked: list[httpx.URL] = []
        self.connection = HaloConnection(
            "http://halo.test", client_id="a", client_secret="b", transport=httpx.MockTransport(self._serve), **settings
        )

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        match request.method, request.url.path:
            case _, "/auth/token":
                return httpx.Response(200, json={"access_token": "t"})
            case "GET", "/api/FieldInfo":
                return httpx.Response(200, json=[{"id": 201, "name": "CFCrmId"}, {"id": 202, "name": "CFOther"}])
            case "GET", "/api/Client":
                return httpx.Response(200, json={"clients": [self.row], "record_count": 1})
            case "GET", "/api/Client/5":
                return httpx.Response(200, json=self.row)
            case "POST", "/api/Client":
                self.posted += json.loads(request.content)
                return httpx.Response(201, json=self.row)
        return httpx.Response(404)

    async def do(self, fn: Any) -> Any:
        run = MemoryRun(Notebook())
        return await run.step("step", fn, self.connection.for_run(run))


async def give_key(halo: Halo) -> None:
    await halo.clients.update(5, key="C-77")


async def rename(halo: Halo) -> None:
    await halo.clients.update(5, name="Acme Ltd")


async def list_keys(halo: Halo) -> list[str]:
    return [client.key for client in await halo.clients.find()]


async def test_a_key_that_shares_the_notes_leaves_the_rest_of_them_alone() -> None:
    tenant = Tenant({"id": 5, "name": "Acme", "notes": "Pays late\nParhelion key: C-1"}, dialect="guide")
    await tenant.do(give_key)
    await tenant.do(rename)

    assert tenant.posted == [{"id": 5, "notes": "Pays late\nParhelion key: C-77"}, {"id": 5, "name": "Acme Ltd"}]


async def test_a_custom_field_that_holds_the_key_is_asked_for_by_its_id() -> None:
    row = {"id": 5, "name": "Acme", "customfields": [{"id": 201, "name": "CFCrmId", "value": "C-77"}]}
    tenant = Tenant(row, key="CFCrmId")

    assert await tenant.do(list_keys) == ["C-77"]
    assert tenant.asked[-1].params["include_custom_fields"] == "201"


@pytest.mark.parametrize(
    ("key", "row", "words"),
    [
        ("CFGone", {"id": 5, "customfields": []}, "no custom field 'CFGone'"),
        ("201", {"id": 5}, "does not show custom fields"),
    ],
)
async def test_a_place_of_the_key_that_cannot_be_read_needs_a_person(key: str, row: dict[str, Any], words: str) -> None:
    with pytest.raises(NeedsOperator, match=words):
        await Tenant(row, key=key).do(list_keys)
