"""Companies as they come: families of clients, many sites and people, odd names, all kinds of contracts, and ends."""

from typing import Any

import pytest

from tests.memory_run import Asleep, Notebook
from tests.tenant import DAYS, Tenant, event
from worker.errors import NotYet
from workflows.canonical import InvalidEvent
from workflows.policy import Policy
from workflows.sandbox import Faults

Fields = dict[str, Any]
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft "
BAKERY: Fields = {
    "id": "8801",
    "name": "Bäckerei Weiß & Söhne GmbH",
    "website": "baeckerei-weiss.example",
    "billing_email": "buchhaltung@baeckerei-weiss.example",
    "account_manager_email": "omar@msp.example",
    "payment_terms_days": 14,
}
SHOPS: list[Fields] = [
    {"key": "hh", "name": "Filiale Hafen", "line1": "Am Kai 3", "city": "Hamburg", "postcode": "20457"},
    {"key": "zk", "name": "Zentrale", "main": True, "line1": "Mühlstraße 1", "city": "Köln", "country": "Germany"},
    {"key": "do", "city": "Dortmund", "phone": "+49 231 5550"},
]
STAFF: list[Fields] = [
    {"first_name": "Jürgen", "last_name": "Weiß", "email": "J.Weiss@baeckerei-weiss.example", "site": "zk"},
    {"name": "Anna Schmidt", "email": "anna.schmidt@baeckerei-weiss.example", "site": "hh"},
    {"name": "Anna Schmidt", "email": "a.schmidt2@baeckerei-weiss.example", "site": "do"},
    {"name": "Frau Łukasik", "site": "do", "mobile": "+49 170 5550"},
]


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


def won(deal_id: str, client: Fields, *, kind: str = "new", contract: Fields | None = None, **more: Any) -> Any:
    deal = {"id": deal_id, "name": f"Vertrag {deal_id}", "kind": kind, "contract": contract or {}}
    return event("deal.won", {"deal": deal, "client": client, **more})


async def onboarded(tenant: Tenant, deal_id: str, client: Fields, **more: Any) -> Any:
    return await tenant.finish(won(deal_id, client, **more), Notebook(run=f"run-{deal_id}"))


def one(tenant: Tenant, entity: str, **same: Any) -> Fields:
    (row,) = tenant.rows(entity, **same)
    return row


def staff(tenant: Tenant, client_id: int) -> list[Fields]:
    return [user for user in tenant.rows("Users", client_id=client_id) if user["name"] != "General User"]


def parent_of(tenant: Tenant, client_id: int) -> int:
    row = one(tenant, "Client", id=client_id)
    return int(row["toplevel_id"] if tenant.dialect == "guide" else row["client_to_invoice"])


async def test_branches_are_clients_under_their_head_office(tenant: Tenant) -> None:
    head = {"id": "500", "name": "Nordic Café Holding ApS"}
    branches = [
        {"id": "501", "name": "Nordic Café Århus", "parent_id": "500"},
        {"id": "502", "name": "Nordic Café Malmö", "parent_id": "nordic café holding aps"},
    ]
    early = Notebook()
    with pytest.raises(NotYet, match="'500'"):
        await tenant.finish(won("D-501", branches[0]), early)
    assert tenant.rows("Client", name="Nordic Café Århus") == []

    top = (await onboarded(tenant, "D-500", head)).client_id
    below = [
        (await tenant.finish(won("D-501", branches[0]), early)).client_id,
        (await onboarded(tenant, "D-502", branches[1])).client_id,
    ]
    assert [parent_of(tenant, client) for client in below] == [top, top]
    assert len(set(below)) == 2


async def test_a_family_of_three_generations(tenant: Tenant) -> None:
    group = (await onboarded(tenant, "1", {"id": "g", "name": "Kowalski Gruppe"})).client_id
    region = (await onboarded(tenant, "2", {"id": "r", "name": "Kowalski Süd", "parent_id": "g"})).client_id
    shop = {"id": "s", "name": "Kowalski Füssen", "parent_id": "r", "invoice_to": "g"}
    local = (await onboarded(tenant, "3", shop)).client_id

    assert one(tenant, "Client", id=local)["client_to_invoice"] == group
    assert parent_of(tenant, region) == group
    if tenant.dialect == "guide":
        assert parent_of(tenant, local) == region


async def test_a_company_of_three_sites_and_people_with_one_name(tenant: Tenant) -> None:
    result = await onboarded(tenant, "D-8801", BAKERY, sites=SHOPS, contacts=STAFF)
    again = await onboarded(tenant, "D-8801b", BAKERY, sites=SHOPS, contacts=STAFF)

    assert one(tenant, "Client", id=result.client_id)["name"] == "Bäckerei Weiß & Söhne GmbH"
    sites = {site["name"]: site["id"] for site in tenant.rows("Site", client_id=result.client_id)}
    assert set(sites) == {"Zentrale", "Filiale Hafen", "Dortmund"}
    assert one(tenant, "Client", id=result.client_id)["main_site_id"] == sites["Zentrale"]
    people = [(user["name"], user["emailaddress"] or "", user["site_id"]) for user in staff(tenant, result.client_id)]
    assert sorted(people) == sorted(
        [
            ("Jürgen Weiß", "J.Weiss@baeckerei-weiss.example", sites["Zentrale"]),
            ("Anna Schmidt", "anna.schmidt@baeckerei-weiss.example", sites["Filiale Hafen"]),
            ("Anna Schmidt", "a.schmidt2@baeckerei-weiss.example", sites["Dortmund"]),
            ("Frau Łukasik", "", sites["Dortmund"]),
        ]
    )
    assert (again.client_id, again.site_ids, again.contact_ids) == (
        result.client_id,
        result.site_ids,
        result.contact_ids,
    )
    assert result.remarks == []


async def test_someone_without_an_address_beside_a_namesake_who_has_one(tenant: Tenant) -> None:
    people = [{"name": "Kim Lee", "email": "kim@lee.example"}, {"name": "Kim Lee", "phone": "555-7"}]
    result = await onboarded(tenant, "1", {"id": "1", "name": "Lee Logistics"}, contacts=people)
    again = await onboarded(tenant, "2", {"id": "1", "name": "Lee Logistics"}, contacts=people)

    assert len(staff(tenant, result.client_id)) == 2
    assert again.contact_ids == result.contact_ids


@pytest.mark.parametrize("name", [(LONG * 4)[:255].strip(), "Ünïcödé 株式会社", 'O\'Brien "Bros" <& Co>', "7"])
async def test_names_are_kept_as_they_are(tenant: Tenant, name: str) -> None:
    result = await onboarded(tenant, "1", {"id": "1", "name": name}, contacts=[{"name": name}])
    again = await onboarded(tenant, "2", {"id": "1", "name": name})

    assert one(tenant, "Client", id=result.client_id)["name"] == name
    assert [user["name"] for user in staff(tenant, result.client_id)] == [name]
    assert again.client_id == result.client_id


async def test_a_name_that_halopsa_cannot_keep_is_refused_before_anything_is_written(tenant: Tenant) -> None:
    with pytest.raises(InvalidEvent, match=r"client\.name"):
        await tenant.finish(won("1", {"name": LONG * 4}))
    assert tenant.wire.calls == []


@pytest.mark.parametrize(
    "spelling", ["BÄCKEREI WEISS & SÖHNE GMBH", "Bäckerei Weiß und Söhne", "  Bäckerei   Weiß & Söhne GmbH. "]
)
async def test_a_client_that_people_entered_by_hand_is_completed(tenant: Tenant, spelling: str) -> None:
    known = tenant.sandbox.plant("Client", {"name": spelling, "website": "https://baeckerei-weiss.example"})
    site = {"client_id": known, "name": "Laden", "main_site": True, "isinvoicesite": True}
    if tenant.dialect == "guide":
        tenant.sandbox.plant("Site", site)
    place = tenant.rows("Site", client_id=known)[0]["id"]
    person = {
        "client_id": known,
        "site_id": place,
        "name": "Weiß, J.",
        "emailaddress": "j.weiss@baeckerei-weiss.example",
    }
    tenant.sandbox.plant("Users", person)
    result = await onboarded(tenant, "D-8801", BAKERY, sites=SHOPS[1:2], contacts=STAFF[:1])

    assert (result.client_id, result.client_created, result.site_ids) == (known, False, [place])
    client = one(tenant, "Client", id=known)
    assert "8801" in (client["ref"] if tenant.dialect == "v2" else client["notes"])
    assert client["name"] == spelling.strip() or client["name"] == spelling
    assert len(staff(tenant, known)) == 1
    assert one(tenant, "ClientContract", client_id=known)["ref"] == "D-8801"


async def test_a_client_that_had_left_comes_back_when_a_person_says_so(tenant: Tenant) -> None:
    first = await onboarded(tenant, "1", BAKERY, sites=SHOPS, contacts=STAFF)
    leaves = {"client": {"id": "8801"}, "last_service_day": "2026-11-01"}
    await tenant.finish(event("client.churned", leaves), Notebook(run="left"))
    notebook = Notebook(run="back")
    with pytest.raises(Asleep, match="inactive"):
        await tenant.claim(won("2", BAKERY, sites=SHOPS, contacts=STAFF), notebook)
    notebook.answers = {"which-client": {"use": first.client_id}}
    second = await tenant.finish(won("2", BAKERY, sites=SHOPS, contacts=STAFF), notebook)

    assert (second.client_id, second.contact_ids) == (first.client_id, first.contact_ids)
    assert not one(tenant, "Client", id=first.client_id)["inactive"]
    contracts = {row["ref"]: row for row in tenant.rows("ClientContract", client_id=first.client_id)}
    # It begins on the day of the first win, after the client had left: it ends as it begins.
    assert contracts["1"]["end_date"][:10] == "2026-11-23"
    assert contracts["2"]["rollingcontract"]


async def test_a_site_that_was_closed_is_open_again_for_a_deal_that_names_it(tenant: Tenant) -> None:
    first = await onboarded(tenant, "1", BAKERY, sites=SHOPS)
    closed = one(tenant, "Site", name="Dortmund")["id"]
    tenant.change("Site", closed, inactive=True)
    second = await onboarded(tenant, "2", BAKERY, sites=SHOPS, contacts=STAFF)

    assert second.site_ids == first.site_ids
    assert not one(tenant, "Site", id=closed)["inactive"]
    assert one(tenant, "Users", name="Frau Łukasik")["site_id"] == closed
    note = tenant.rows("CRMNote", client_id=first.client_id)[-1]["note"]
    assert f"site {closed} (Dortmund): changed: inactive: True → False" in note


async def test_renewals_and_additions_of_one_client(tenant: Tenant) -> None:
    year = {"starts_on": "2026-12-15", "term_months": 12, "auto_renew": True}
    client = (await onboarded(tenant, "N", BAKERY, contract=year)).client_id
    await onboarded(tenant, "R", BAKERY, kind="renewal", contract={"term_months": 36, "auto_renew": True})
    tenant.policy = Policy.model_validate({"deals": {"project": {"contract": "create"}}})
    await onboarded(tenant, "A", BAKERY, kind="addition", contract={"starts_on": "2027-01-01"})
    await onboarded(tenant, "P", BAKERY, kind="project", contract={"starts_on": "2027-03-01", "ends_on": "2027-03-31"})

    rows = {row["ref"]: row for row in tenant.rows("ClientContract", client_id=client)}
    assert {ref: (row["start_date"][:10], (row["end_date"] or "")[:10]) for ref, row in rows.items() if ref != "A"} == {
        "N": ("2026-12-15", "2027-12-14"),
        "R": ("2027-12-15", "2030-12-14"),
        "P": ("2027-03-01", "2027-03-31"),
    }
    assert {ref: row["rollingcontract"] for ref, row in rows.items()} == {"N": True, "R": True, "A": True, "P": False}
    assert (rows["R"]["previouscontract"], rows["A"]["previouscontract"]) == (rows["N"]["id"], 0)


@pytest.mark.parametrize(
    ("end", "rolls", "begins", "told"),
    [
        ("2027-01-31", False, "2027-02-01", False),
        ("2027-01-31", True, "2027-02-01", True),
        ("2023-12-31", False, "2026-11-23", False),
        ("2024-06-30", True, "2026-11-23", True),
        ("2099-12-31", True, "2026-11-23", True),
        ("2099-12-31", False, "2026-11-23", True),
    ],
)
async def test_a_renewal_begins_after_its_forerunner_but_not_before_it_was_won(
    tenant: Tenant, end: str, rolls: bool, begins: str, told: bool
) -> None:
    client = tenant.sandbox.plant("Client", tenant.keyed("8801", name=BAKERY["name"]))
    old = {"client_id": client, "ref": "OLD", "start_date": "2023-01-01T00:00:00", "rollingcontract": rolls}
    forerunner = tenant.sandbox.plant("ClientContract", old | {"end_date": f"{end}T00:00:00"})
    result = await onboarded(tenant, "R", BAKERY, kind="renewal", contract={"term_months": 12})

    contract = one(tenant, "ClientContract", ref="R")
    assert (contract["start_date"][:10], contract["previouscontract"]) == (begins, forerunner)
    assert contract["end_date"][:10] > "2026-11-23"
    assert any(f"contract {forerunner} rolls on" in remark for remark in result.remarks) is told


async def test_a_contract_that_rolled_on_is_extended_from_the_day_of_the_win(tenant: Tenant) -> None:
    client = tenant.sandbox.plant("Client", tenant.keyed("8801", name=BAKERY["name"]))
    old = {"client_id": client, "ref": "OLD", "start_date": "2023-01-01T00:00:00", "rollingcontract": True}
    tenant.sandbox.plant("ClientContract", old | {"end_date": "2023-12-31T00:00:00"})
    tenant.policy = Policy.model_validate({"deals": {"renewal": {"contract": "extend"}}})
    await onboarded(tenant, "R", BAKERY, kind="renewal", contract={"term_months": 12})

    assert one(tenant, "ClientContract", client_id=client)["end_date"][:10] == "2027-11-22"


def plant_tickets(tenant: Tenant, client_id: int) -> None:
    """Three generations of tickets, some of them nobody's, and one of a type with a mandatory field."""
    plant = tenant.sandbox.plant
    kinds = {row["name"]: row["id"] for row in tenant.sandbox.state()["TicketType"]}
    project = plant("Tickets", {"client_id": client_id, "summary": "Umzug", "tickettype_id": kinds["Project"]})
    phase = plant("Tickets", {"client_id": client_id, "summary": "Phase 1", "parent_id": project, "agent_id": 3})
    for number in range(3):
        plant("Tickets", {"client_id": client_id, "summary": f"Aufgabe {number}", "parent_id": phase})
    plant("Tickets", {"client_id": client_id, "summary": "Drucker", "agent_id": 5})
    plant("Tickets", {"client_id": client_id, "summary": "Ärger", "tickettype_id": kinds["Complaint"]})
    plant("Tickets", {"client_id": client_id, "summary": "Rückgabe", "tickettype_id": kinds["Offboarding"]})


async def test_the_end_of_a_client_with_everything(tenant: Tenant) -> None:
    terms = {"starts_on": "2026-06-01", "term_months": 24}
    client = (await onboarded(tenant, "N", BAKERY, sites=SHOPS, contacts=STAFF, contract=terms)).client_id
    for ref, end, rolls in (("OLD", "2025-12-31", False), ("ROLLS", "2026-01-31", True), ("NEVER", None, False)):
        row = {"client_id": client, "ref": ref, "start_date": "2025-01-01T00:00:00", "rollingcontract": rolls}
        tenant.sandbox.plant("ClientContract", row | ({"end_date": f"{end}T00:00:00"} if end else {}))
    plant_tickets(tenant, client)
    tenant.policy = Policy.model_validate(
        {
            "ticket_types": {"Complaint": {"close_fields": {"CFResolution": "Kunde hat gekündigt"}}},
            "churn_client": {"keep_types": ["Offboarding"], "hand_over": {"team": "Finance"}},
        }
    )
    leaves = {"client": {"id": "8801"}, "last_service_day": "2026-12-31", "reason": "Geschäft aufgegeben (Ö)"}
    result = await tenant.finish(event("client.churned", leaves), Notebook(run="left"))

    assert one(tenant, "Client", id=client)["inactive"]
    tickets = {row["summary"]: row for row in tenant.rows("Tickets", client_id=client)}
    assert [name for name, row in tickets.items() if not row["hasbeenclosed"]] == ["Rückgabe"]
    assert (tickets["Rückgabe"]["team"], result.kept_ticket_ids) == ("Finance", [tickets["Rückgabe"]["id"]])
    assert all(row["agent_id"] not in {0, 1} for name, row in tickets.items() if name != "Rückgabe")
    reasons = [action["ticket_id"] for action in tenant.rows("Actions") if "aufgegeben" in action["note"]]
    assert sorted(reasons) == sorted(row["id"] for row in tickets.values() if row["hasbeenclosed"])
    contracts = {row["ref"]: row for row in tenant.rows("ClientContract", client_id=client)}
    assert {ref: row["end_date"][:10] for ref, row in contracts.items()} == {
        "N": "2026-12-31",
        "OLD": "2025-12-31",
        "ROLLS": "2026-12-31",
        "NEVER": "2026-12-31",
    }
    assert not any(row["rollingcontract"] for row in contracts.values())
    assert not any(user["inactive"] for user in staff(tenant, client))


async def test_a_client_without_a_key_is_found_by_its_name_from_first_to_last(tenant: Tenant) -> None:
    name = {"name": "Straßenbau Groß KG"}
    first = await onboarded(tenant, "1", name)
    second = await onboarded(tenant, "2", {"name": "STRASSENBAU GROSS KG"}, kind="addition")
    assert second.client_id == first.client_id

    notebook = Notebook(run="left")
    leaves = event("client.churned", {"client": {"name": "straßenbau groß kg"}, "last_service_day": "2026-11-01"})
    with pytest.raises(Asleep, match="name alone"):
        await tenant.claim(leaves, notebook)
    (asked,) = {question.partition(": ")[0] for question in notebook.questions}
    notebook.answers = {asked: None}
    assert (await tenant.finish(leaves, notebook)).client_id == first.client_id


async def test_two_companies_that_differ_by_a_number_are_two(tenant: Tenant) -> None:
    first = await onboarded(tenant, "1", {"id": "1", "name": "Autohaus 24"})
    second = await onboarded(tenant, "2", {"id": "2", "name": "Autohaus 42"})

    assert first.client_id != second.client_id
    assert second.client_created
