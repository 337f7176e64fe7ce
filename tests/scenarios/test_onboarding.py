"""A won deal becomes a client in HaloPSA."""

from datetime import date
from typing import Any

import httpx
import pytest

from tests.memory_run import Notebook
from tests.tenant import DAYS, Tenant, event, fixed_clock
from worker.budget import WaitingGuard
from worker.errors import NeedsOperator
from workflows.canonical import InvalidEvent
from workflows.doctor import Examination, Patient, examine_tenant
from workflows.ensure import term_end
from workflows.halopsa import HaloConnection
from workflows.policy import Policy
from workflows.sandbox import Faults, Sandbox
from workflows.sandbox.halopsa.dialects import DialectName


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


@pytest.fixture
def deal(deal: dict[str, Any]) -> dict[str, Any]:
    """A won deal that its event calls a new one."""
    deal["deal"]["kind"] = "new"
    return deal


def acme(tenant: Tenant) -> dict[str, Any]:
    (client,) = tenant.rows("Client", name="Acme Corporation")
    return client


def people(tenant: Tenant, client_id: int) -> list[dict[str, Any]]:
    return [user for user in tenant.rows("Users", client_id=client_id) if user["name"] != "General User"]


def holds(row: dict[str, Any], **values: Any) -> bool:
    return row | values == row


async def test_halopsas_own_api_gets_client_site_and_contact_in_its_words(deal: dict[str, Any]) -> None:
    tenant = Tenant(dialect="v2")
    await tenant.finish(event("deal.won", deal))

    client = acme(tenant)
    assert holds(
        client,
        ref="C-77",
        website="https://acme.example.com",
        notes="Enterprise client",
        accountsemailaddress="accounts@acme.example.com",
        accountmanagertech=3,
    )
    (site,) = tenant.rows("Site", client_id=client["id"])
    assert holds(site, name="Acme HQ", phonenumber="555-123-4567", country_code="225", isinvoicesite=True)
    assert site["delivery_address"] == {
        "line1": "123 Main Street",
        "line2": "Suite 500",
        "line3": "Springfield",
        "line4": "IL",
        "postcode": "62701",
    }
    (john,) = people(tenant, client["id"])
    assert holds(john, title="IT Director", isimportantcontact=True, ismaincontact=True, web_access_level=0)


async def test_the_guides_api_gets_client_site_and_contact_in_its_words(deal: dict[str, Any]) -> None:
    tenant = Tenant(dialect="guide")
    await tenant.finish(event("deal.won", deal))

    client = acme(tenant)
    assert holds(
        client,
        emailaddress="info@acme.example.com",
        phonenumber="555-123-4567",
        website="https://acme.example.com",
        notes="Enterprise client\nParhelion key: C-77",
        accountmanager_id=3,
        toplevel_id=0,
    )
    (site,) = tenant.rows("Site", client_id=client["id"])
    assert holds(site, name="Acme HQ", phonenumber="555-123-4567", main_site=True, country="United States")
    assert holds(site, line1="123 Main Street", line2="Suite 500", line4="Springfield", postcode="62701")
    (john,) = people(tenant, client["id"])
    assert holds(john, jobtitle="IT Director", isimportantcontact=True, firstname="John", mobilenumber="555-987-6543")


async def test_a_won_deal_stands_in_halopsa_once_and_complete(tenant: Tenant, deal: dict[str, Any]) -> None:
    notebook = Notebook()
    result = await tenant.finish(event("deal.won", deal), notebook)

    client = acme(tenant)
    (site,) = tenant.rows("Site", client_id=client["id"])
    assert client["main_site_id"] == site["id"]
    (john,) = people(tenant, client["id"])
    assert holds(john, site_id=site["id"], emailaddress="john.smith@acme.example.com")
    (contract,) = tenant.rows("ClientContract", client_id=client["id"])
    assert (contract["ref"], contract["start_date"], contract["end_date"], contract["rollingcontract"]) == (
        "D-1001",
        "2026-12-01T00:00:00",
        "2027-11-30T00:00:00",
        True,
    )
    (note,) = tenant.rows("CRMNote", client_id=client["id"])
    assert "D-1001" in note["note"]
    assert notebook.keys == {f"halo:{client['id']}"}
    assert result.model_dump() == {
        "kind": "new",
        "client_id": client["id"],
        "client_created": True,
        "site_ids": [site["id"]],
        "contact_ids": [john["id"]],
        "contract_id": contract["id"],
        "asset_ids": [],
        "ticket_id": None,
        "remarks": [],
    }


async def test_a_clean_onboarding_costs_eight_requests_and_its_note(deal: dict[str, Any]) -> None:
    tenant = Tenant(dialect="v2")
    await tenant.finish(event("deal.won", deal))

    assert tenant.wire.calls == [
        "GET /api/Client",
        "GET /api/Agent",
        "GET /api/Lookup",
        "POST /api/Client",
        "GET /api/Lookup",
        "POST /api/Site",
        "POST /api/Users",
        "POST /api/ClientContract",
        "POST /api/CRMNote",
    ]


async def test_the_doctor_reads_each_list_that_an_onboarding_asks_for(
    dialect: DialectName, deal: dict[str, Any]
) -> None:
    tenant = Tenant(dialect=dialect)
    tenant.sandbox.plant("Client", {"name": "Elsewhere", "default_currency_code": 1})
    tenant.policy = Policy.model_validate(
        {
            "clients": {"relationships": {"customer": "Partner"}},
            "deals": {"new": {"sla": "Premium", "kickoff": {"ticket_type": 1, "team": "Projects", "summary": "Start"}}},
        }
    )
    deal["client"]["currency"] = "GBP"
    deal["assets"] = [{"tag": "LT-0042", "type": "laptop"}]
    await tenant.finish(event("deal.won", deal))
    asked = lists_read(tenant)
    tenant.wire.requests.clear()
    tenant.restart()

    def connect(_scope: str, _transport: httpx.AsyncBaseTransport) -> HaloConnection:
        return tenant.connection

    patient = Patient(connect, tenant.wire, WaitingGuard(None, bulk=False), "all", tenant.policy)
    await examine_tenant(patient, Examination(lambda _: None))

    assert len(asked) > 5
    assert asked <= lists_read(tenant)


def lists_read(tenant: Tenant) -> set[str]:
    """The lists that were asked for: of a lookup with its number."""
    reads = [request.url for request in tenant.wire.requests if request.method == "GET"]
    return {
        f"{url.path} {url.params.get('lookupid', '')}" for url in reads if not url.path.rpartition("/")[2].isdecimal()
    }


async def test_a_bare_event_is_enough(tenant: Tenant) -> None:
    await tenant.finish(event("deal.won", {"deal": {"id": 5}, "client": {"name": "Acme Corporation"}}))

    (site,) = tenant.rows("Site", client_id=acme(tenant)["id"])
    (contract,) = tenant.rows("ClientContract", client_id=acme(tenant)["id"])
    assert site["name"] == "Main"
    assert (contract["ref"], contract["start_date"], contract["rollingcontract"]) == ("5", "2026-11-23T00:00:00", True)


async def test_several_sites_contacts_and_assets_find_their_places(tenant: Tenant, deal: dict[str, Any]) -> None:
    deal["sites"].insert(0, {"key": "depot", "name": "Depot", "city": "Chicago"})
    deal["contacts"] += [
        {"name": "Ada", "email": "ada@acme.example.com", "site": "depot"},
        {"name": "No Mail", "site": "nowhere"},
        {"name": "Bad", "email": "bad@"},
    ]
    deal["assets"] = [{"tag": "LT-0042", "type": "laptop", "serial": "X1", "site": "depot"}]
    result = await tenant.finish(event("deal.won", deal))

    client = acme(tenant)
    sites = {site["name"]: site["id"] for site in tenant.rows("Site", client_id=client["id"])}
    assert client["main_site_id"] == sites["Acme HQ"]
    assert set(sites) == {"Acme HQ", "Depot"}
    assert {user["name"]: user["site_id"] for user in people(tenant, client["id"])} == {
        "John Smith": sites["Acme HQ"],
        "Ada": sites["Depot"],
        "No Mail": sites["Acme HQ"],
    }
    (laptop,) = tenant.rows("Asset", client_id=client["id"])
    assert (laptop["inventory_number"], laptop["site_id"], laptop["assettype_id"]) == ("LT-0042", sites["Depot"], 131)
    assert result.remarks == [
        "contact left out: Invalid email format (contacts[3].email: 'bad@')",
        "no mail stands at the main site: the event has no site 'nowhere'",
    ]


async def test_what_halopsa_does_not_know_is_remarked_and_holds_nothing_up(
    tenant: Tenant, deal: dict[str, Any]
) -> None:
    deal["client"]["account_manager_email"] = "left@msp.example"
    deal["sites"][0]["country"] = "Atlantis"
    result = await tenant.finish(event("deal.won", deal))

    assert result.remarks == [
        "account manager left@msp.example not set: HaloPSA has no account manager 'left@msp.example'.",
        # The guide's sites name their country as it is.
        *["country Atlantis not set: HaloPSA's list does not have it"][: tenant.dialect == "v2"],
    ]


async def test_lists_that_may_not_be_read_are_remarked_and_hold_nothing_up(deal: dict[str, Any]) -> None:
    tenant = Tenant(dialect="v2")
    tenant.wire.mishaps = {2: "forbidden", 3: "forbidden", 5: "forbidden"}
    result = await tenant.finish(event("deal.won", deal))

    assert [tenant.wire.calls[number - 1] for number in tenant.wire.mishaps] == [
        "GET /api/Agent",
        "GET /api/Lookup",
        "GET /api/Lookup",
    ]
    assert [remark.partition(":")[0] for remark in result.remarks] == [
        "account manager Jane@msp.example not set",
        "customer type Customer not set",
        "country United States not set",
    ]


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2026, 12, 1), 12, date(2027, 11, 30)),
        (date(2026, 12, 15), 1, date(2027, 1, 14)),
        (date(2027, 1, 31), 1, date(2027, 2, 27)),
        (date(2027, 11, 1), 1, date(2027, 11, 30)),
        (date(2026, 12, 1), 36, date(2029, 11, 30)),
    ],
)
def test_a_term_ends_the_day_before_the_next_would_begin(start: date, months: int, end: date) -> None:
    assert term_end(start, months) == end


@pytest.mark.parametrize("spelling", ["Acme Corporation", "ACME  corporation."])
async def test_a_second_deal_of_a_client_adds_only_its_contract(
    tenant: Tenant, deal: dict[str, Any], spelling: str
) -> None:
    first = await tenant.finish(event("deal.won", deal))
    deal["deal"]["id"], deal["client"]["name"] = "D-1002", spelling
    second = await tenant.finish(event("deal.won", deal), Notebook())

    assert (second.client_id, second.client_created) == (first.client_id, False)
    assert (second.site_ids, second.contact_ids) == (first.site_ids, first.contact_ids)
    refs = [contract["ref"] for contract in tenant.rows("ClientContract", client_id=first.client_id)]
    assert refs == ["D-1001", "D-1002"]


async def test_the_same_deal_in_another_run_changes_nothing(tenant: Tenant, deal: dict[str, Any]) -> None:
    await tenant.finish(event("deal.won", deal))
    before = {name: len(rows) for name, rows in tenant.sandbox.state().items() if name != "CRMNote"}
    await tenant.finish(event("deal.won", deal), Notebook())

    assert {name: len(rows) for name, rows in tenant.sandbox.state().items() if name != "CRMNote"} == before


async def test_a_client_known_by_name_alone_gets_the_key(tenant: Tenant, deal: dict[str, Any]) -> None:
    known = tenant.sandbox.plant("Client", {"name": "acme corporation", "notes": "Since 1999\nNever on Fridays"})
    result = await tenant.finish(event("deal.won", deal))

    assert result.client_id == known
    (client,) = tenant.rows("Client", id=known)
    assert (client["ref"] if tenant.dialect == "v2" else client["notes"].splitlines()[-1][-4:]) == "C-77"
    assert client["notes"].startswith("Since 1999\nNever on Fridays")
    assert len(tenant.rows("Site", client_id=known)) == 1


async def test_a_client_beyond_the_first_pages_is_found(deal: dict[str, Any]) -> None:
    tenant = Tenant(Sandbox(faults=Faults(page_cap=20, ignore_search=True)))
    for number in range(45):
        tenant.sandbox.plant("Client", {"name": f"Client {number}"})
    known = tenant.sandbox.plant("Client", {"name": "ZZZ", "ref": "C-77"})

    assert (await tenant.finish(event("deal.won", deal))).client_id == known


@pytest.mark.parametrize("answer", ["object", "array", "envelope"])
@pytest.mark.parametrize("floats", [True, False])
async def test_every_form_of_answer_serves(deal: dict[str, Any], answer: Any, *, floats: bool) -> None:
    tenant = Tenant(Sandbox(faults=Faults(post_answer=answer, float_ids=floats)))
    result = await tenant.finish(event("deal.won", deal))

    assert result.client_id == acme(tenant)["id"]


async def test_an_event_that_is_not_valid_asks_nothing_of_halopsa(tenant: Tenant) -> None:
    with pytest.raises(InvalidEvent, match=r"Deal id is required.*Client name is required"):
        await tenant.finish(event("deal.won", {}))
    assert tenant.wire.calls == []


async def test_an_unknown_asset_type_needs_a_person(tenant: Tenant, deal: dict[str, Any]) -> None:
    deal["assets"] = [{"tag": "X", "type": "Quantum computer"}]

    with pytest.raises(NeedsOperator, match="no asset type 'Quantum computer'"):
        await tenant.finish(event("deal.won", deal))


async def test_a_contact_that_left_and_is_back_becomes_active(tenant: Tenant, deal: dict[str, Any]) -> None:
    first = await tenant.finish(event("deal.won", deal))
    tenant.change("Users", first.contact_ids[0], inactive=True)
    deal["deal"]["id"] = "D-1002"
    second = await tenant.finish(event("deal.won", deal), Notebook())

    assert second.contact_ids == first.contact_ids
    assert not people(tenant, first.client_id)[0]["inactive"]


async def test_of_two_contacts_with_one_address_the_one_in_use_counts(deal: dict[str, Any]) -> None:
    tenant = Tenant(dialect="v2")
    client_id = tenant.sandbox.plant("Client", {"name": "Acme Corporation"})
    site_id = tenant.rows("Client", id=client_id)[0]["main_site_id"]
    john = {"name": "John", "site_id": site_id, "emailaddress": "John.Smith@acme.example.com"}
    tenant.sandbox.plant("Users", {**john, "inactive": True})
    in_use = tenant.sandbox.plant("Users", john)

    assert (await tenant.finish(event("deal.won", deal))).contact_ids == [in_use]


async def test_a_new_client_joins_the_group_of_most_others(deal: dict[str, Any]) -> None:
    tenant = Tenant(dialect="v2")
    for number in range(3):
        tenant.sandbox.plant("Client", {"name": f"Client {number}", "toplevel_id": 7})
    await tenant.finish(event("deal.won", deal))

    assert acme(tenant)["toplevel_id"] == 7


@pytest.mark.parametrize("key", ["ref", "hubspot_id", "accountsid", "CFCrmId", "201", "notes"])
async def test_the_client_is_found_again_by_its_key_wherever_that_stands(
    deal: dict[str, Any], key: str, faults: Faults
) -> None:
    tenant = Tenant(Sandbox(clock=fixed_clock, faults=faults), key=key)
    first = await tenant.finish(event("deal.won", deal))
    deal["deal"]["id"], deal["client"]["name"] = "D-1002", "Acme International"
    second = await tenant.finish(event("deal.won", deal), Notebook())

    assert (second.client_id, second.client_created) == (first.client_id, False)
