"""The guide's dialect: its clients, sites and contacts, field by field and filter by filter."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.conftest import NOW
from tests.unit.halo_caller import HaloCaller, calling
from workflows.sandbox import Sandbox

HQ = {"name": "Acme HQ", "line1": "123 Main Street", "line4": "Springfield", "postcode": "62701", "main_site": True}
JOHN = {"name": "John Smith", "emailaddress": "john@acme.example", "jobtitle": "IT Director"}


@pytest.fixture
async def halo() -> AsyncIterator[HaloCaller]:
    async with calling(Sandbox(clock=lambda: NOW, dialect="guide")) as caller:
        yield caller


@pytest.fixture
async def acme(halo: HaloCaller) -> int:
    return await create(halo, "Client", {"name": "Acme"})


async def create(halo: HaloCaller, entity: str, record: dict[str, Any]) -> int:
    (written,) = (await halo.post(entity, record))[entity.lower().removesuffix("s") + "s"]
    return int(written["id"])


async def refused(halo: HaloCaller, entity: str, record: dict[str, Any]) -> tuple[int, Any]:
    answer = await halo.http.post(f"/api/{entity}", json=[record])
    return answer.status_code, answer.json()


async def test_a_client_has_the_guides_fields_and_nothing_comes_with_it(halo: HaloCaller) -> None:
    sent = {"name": "Acme", "emailaddress": "info@acme.example", "accountmanager_id": 3, "payment_terms": 30}
    v2_only = {"ref": "C-77", "accountsemailaddress": "x", "newclient_sitename": "HQ", "isclientdetails": True}
    [client] = (await halo.post("Client", sent | v2_only))["clients"]
    assert client.items() >= (sent | {"inactive": False, "main_site_id": 0, "currency_code": ""}).items()
    assert not client.keys() & v2_only.keys()
    assert (await halo.get("Site", client_id=client["id"]))["record_count"] == 0
    assert (await halo.get("Users", client_id=client["id"]))["record_count"] == 0


async def test_the_main_site_says_so_itself(halo: HaloCaller, acme: int) -> None:
    await create(halo, "Site", {"client_id": acme, "name": "Depot"})
    assert (await halo.get(f"Client/{acme}"))["main_site_id"] == 0
    site_id = await create(halo, "Site", {"client_id": acme} | HQ)
    assert (await halo.get(f"Client/{acme}"))["main_site_id"] == site_id
    assert (await halo.get(f"Site/{site_id}")).items() >= (HQ | {"line2": "", "country": ""}).items()


async def test_there_is_one_main_site(halo: HaloCaller, acme: int) -> None:
    first = await create(halo, "Site", {"client_id": acme} | HQ)
    second = await create(halo, "Site", {"client_id": acme, "name": "Depot", "main_site": True})
    sites = (await halo.get("Site", client_id=acme))["sites"]
    assert [(site["id"], site["main_site"]) for site in sites] == [(first, False), (second, True)]


async def test_a_contact_needs_a_client_but_no_site(halo: HaloCaller, acme: int) -> None:
    assert await refused(halo, "Users", JOHN) == (400, {"message": "Invalid client_id"})
    user = await halo.get(f"Users/{await create(halo, 'Users', JOHN | {'client_id': acme, 'title': 'CEO'})}")
    assert user.items() >= (JOHN | {"site_id": 0, "client_id": acme}).items()
    assert "title" not in user


@pytest.mark.parametrize(
    ("entity", "record", "answer"),
    [
        ("Client", {"name": ""}, (400, "Name is required")),
        ("Client", {"name": "West", "toplevel_id": 4711}, (400, "Invalid client_id")),
        ("Client", {"id": 4711, "name": "Acme"}, (404, "Client not found")),
        ("Site", {"client_id": 12}, (400, "Name is required")),
        ("Site", {"name": "HQ", "client_id": 4711}, (400, "Invalid client_id")),
        ("Users", {"client_id": 12}, (400, "Name is required")),
        ("Users", JOHN | {"client_id": 4711}, (400, "Invalid client_id")),
        ("Users", JOHN | {"client_id": 12, "site_id": 4711}, (400, "Invalid site_id")),
    ],
)
async def test_refusals_are_in_the_guides_words(
    halo: HaloCaller, entity: str, record: dict[str, Any], answer: tuple[int, str]
) -> None:
    assert await refused(halo, entity, record) == (answer[0], {"message": answer[1]})


async def test_an_unknown_client_is_not_found(halo: HaloCaller) -> None:
    answer = await halo.http.get("/api/Client/4711")
    assert (answer.status_code, answer.json()) == (404, {"message": "Client not found"})


async def test_an_address_in_use_is_refused_at_any_client_and_in_any_case(halo: HaloCaller, acme: int) -> None:
    user = await create(halo, "Users", JOHN | {"client_id": acme})
    again = JOHN | {"client_id": 12, "emailaddress": "John@ACME.example"}
    assert await refused(halo, "Users", again) == (400, {"message": "Duplicate email"})
    await halo.post("Users", {"id": user, "emailaddress": JOHN["emailaddress"], "jobtitle": "CEO"})
    for _ in range(2):
        await create(halo, "Users", {"name": "No Address", "client_id": acme})


async def test_a_client_with_records_is_not_deleted(halo: HaloCaller, acme: int) -> None:
    site_id = await create(halo, "Site", {"client_id": acme} | HQ)
    answer = await halo.http.delete(f"/api/Client/{acme}")
    assert (answer.status_code, answer.json()) == (409, {"message": "Cannot delete - has related records"})
    assert (await halo.http.delete(f"/api/Site/{site_id}")).status_code == 200
    assert (await halo.http.delete(f"/api/Client/{acme}")).status_code == 200


async def test_the_guides_filters_work(halo: HaloCaller, acme: int) -> None:
    await halo.post("Client", {"id": acme, "accountmanager_id": 3})
    gone = await create(halo, "Client", {"name": "Gone", "inactive": True})
    await create(halo, "Users", {"name": "Ada", "client_id": acme})
    await create(halo, "Users", JOHN | {"client_id": acme})

    async def clients(**query: object) -> list[int]:
        return [client["id"] for client in (await halo.get("Client", **query))["clients"]]

    async def users(**query: object) -> list[str]:
        return [user["name"] for user in (await halo.get("Users", **query))["users"]]

    assert await clients() == [1, 12, acme, gone]
    assert await clients(inactive="false") == [1, 12, acme]
    assert await clients(inactive="true") == [gone]
    assert await clients(accountmanager_id=3) == [acme]
    assert await clients(hasusers="false", inactive="false") == [1, 12]
    assert await clients(search="ACM") == [acme]
    assert await users(emailaddress="null", inactive="false") == ["Ada"]
    assert await users(search="john@acme.example", client_id=acme) == ["John Smith"]
    assert await users(client_id=12) == []


async def test_pages_need_no_switch_and_names_of_v2_are_unknown(halo: HaloCaller, acme: int) -> None:
    page = await halo.get("Client", page_no=2, page_size=1, order="name", orderdesc="true", toplevel_id=7)
    assert (page["page_no"], page["record_count"], page["clients"][0]["name"]) == (2, 3, "Example MSP")
    assert (await halo.get("Client", includeactive="false", activeinactive="false,true"))["record_count"] == 3
    assert acme


async def test_a_single_read_includes_what_is_asked_for(halo: HaloCaller, acme: int) -> None:
    await create(halo, "Site", {"client_id": acme} | HQ)
    await create(halo, "Users", JOHN | {"client_id": acme})
    assert "sites" not in await halo.get(f"Client/{acme}")
    client = await halo.get(f"Client/{acme}", includesites="true", includeusers="true")
    assert [site["name"] for site in client["sites"]] == ["Acme HQ"]
    assert [user["name"] for user in client["users"]] == ["John Smith"]


async def test_everything_else_is_halopsas_own(halo: HaloCaller, acme: int) -> None:
    ticket = await halo.post("Tickets", {"summary": "x", "client_id": acme})
    assert (ticket["client_name"], ticket["site_id"], ticket["user_id"]) == ("Acme", 0, 0)
    assert (await halo.post("ClientContract", {"client_id": acme}))["contract_status"] == "Active"
    assert (await halo.post("Asset", {"client_id": acme, "assettype_id": 131}))["site_id"] == 0
    assert await halo.post("CRMNote", {"note": "x"}, status=400) == "Please select a valid Client"


async def test_faults_of_the_api_strike_here_too(halo: HaloCaller) -> None:
    halo.sandbox.faults.main_contact_required = True
    halo.sandbox.faults.refuse_inactive_writes = True
    client = await create(halo, "Client", {"name": "Acme", "inactive": True})
    refused = await halo.http.post("/api/Site", json=[{"name": "HQ", "client_id": client}])
    assert (refused.status_code, refused.json()) == (400, {"message": "This Customer is inactive"})
    await halo.post("Client", {"id": client, "inactive": False})


async def test_the_state_file_keeps_the_dialect(tmp_path: Path) -> None:
    kept = tmp_path / "halo.json"
    async with calling(Sandbox(kept, dialect="guide")) as halo:
        await create(halo, "Client", {"name": "Acme", "taxcode": "T1"})
    assert json.loads(kept.read_text())["dialect"] == "guide"
    second = Sandbox(kept)
    assert (second.dialect, second.state()["Client"][-1]["taxcode"]) == ("guide", "T1")


async def test_the_dialect_changes_with_a_new_beginning(halo: HaloCaller) -> None:
    answer = await halo.http.post("/sandbox/reset", json={"dialect": "v2"})
    assert answer.json() == {"dialect": halo.sandbox.dialect} == {"dialect": "v2"}
    assert "accountmanagertech" in halo.sandbox.state()["Client"][0]
    assert (await halo.http.post("/sandbox/reset", json={"dialect": "v3"})).status_code == 400
