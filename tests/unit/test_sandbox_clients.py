"""Clients, sites, contacts and what is theirs, as HaloPSA keeps them."""

from typing import Any

import pytest

from tests.unit.halo_caller import HaloCaller
from workflows.sandbox import Faults, Sandbox


async def test_a_client_comes_with_its_main_site_and_general_user(halo: HaloCaller, acme: int) -> None:
    [site] = (await halo.get("Site", client_id=acme))["sites"]
    [user] = (await halo.get("Users", client_id=acme))["users"]
    assert (site["name"], user["name"], user["site_id_int"]) == ("Main", "General User", site["id"])
    assert (await halo.get(f"Client/{acme}"))["main_site_id"] == site["id"]
    assert (await halo.get("Users", client_id=acme, exclude_generaluser="true"))["users"] == []


async def test_the_first_site_and_contact_take_what_the_client_brings(halo: HaloCaller) -> None:
    client = await halo.post(
        "Client",
        {
            "name": "Acme",
            "newclient_sitename": "Acme HQ",
            "newclient_phonenumber": "555-1",
            "newclient_delivery_address": {"line1": "1 High St", "line3": "Springfield", "postcode": "62701"},
            "newclient_contactname": "Ada Lovelace",
            "newclient_contactemail": "ada@acme.example",
        },
    )
    site = await halo.get(f"Site/{client['main_site_id']}")
    assert (site["name"], site["phonenumber"], site["delivery_address"]["line3"]) == ("Acme HQ", "555-1", "Springfield")
    [row] = (await halo.get("Site", client_id=client["id"]))["sites"]
    assert (row["delivery_address_line1"], row["delivery_address_line5"]) == ("1 High St", "62701")
    [contact] = (await halo.get("Users", client_id=client["id"], exclude_generaluser="true"))["users"]
    assert (contact["surname"], contact["emailaddress"]) == ("Lovelace", "ada@acme.example")


@pytest.mark.parametrize(
    ("entity", "record"),
    [
        ("Client", {"website": "https://acme.example"}),
        ("Client", {"name": ""}),
        ("Site", {"client_id": 12}),
        ("Site", {"name": "HQ"}),
        ("Site", {"name": "HQ", "client_id": 4711}),
        ("Users", {"name": "Ada"}),
        ("Users", {"name": "Ada", "client_id": 12}),
        ("Users", {"site_id": 51}),
        ("ClientContract", {"ref": "D-1"}),
        ("CRMNote", {"note": "x"}),
        ("RecurringInvoice", {"contract_id": 1}),
        ("Asset", {"assettype_id": 131}),
        ("Asset", {"client_id": 12}),
    ],
)
async def test_records_without_what_they_need_are_refused(
    halo: HaloCaller, entity: str, record: dict[str, Any]
) -> None:
    assert isinstance(await halo.post(entity, record, status=400), str)


async def test_some_ids_come_as_floats(halo: HaloCaller, acme: int) -> None:
    assert f'"client_id":{acme}.0' in (await halo.http.get(f"/api/Site?client_id={acme}")).text
    halo.sandbox.faults.float_ids = False
    assert f'"client_id":{acme},' in (await halo.http.get(f"/api/Site?client_id={acme}")).text


async def test_a_second_site_is_not_the_main_one_but_has_its_general_user(halo: HaloCaller, acme: int) -> None:
    site = await halo.post("Site", {"name": "Depot", "client_id": float(acme)})
    assert (await halo.get(f"Client/{acme}"))["main_site_id"] != site["id"]
    assert len((await halo.get("Users", site_id=site["id"]))["users"]) == 1


async def test_the_main_site_moves_with_its_mark(halo: HaloCaller, acme: int) -> None:
    depot = await halo.post("Site", {"name": "Depot", "client_id": acme, "isinvoicesite": True})
    assert (await halo.get(f"Client/{acme}"))["main_site_id"] == depot["id"]
    sites = (await halo.get("Site", client_id=acme))["sites"]
    assert [site["name"] for site in sites if site["isinvoicesite"]] == ["Depot"]


async def test_a_contact_moves_with_its_site(halo: HaloCaller, acme: int) -> None:
    main_site_id = (await halo.get(f"Client/{acme}"))["main_site_id"]
    ada = await halo.post("Users", {"name": "Ada", "site_id": main_site_id, "client_id": 12})
    assert ada["client_id"] == acme
    await halo.post("Users", {"id": ada["id"], "site_id": (await halo.get("Client/12"))["main_site_id"]})
    assert (await halo.get("Users", client_id=acme, search="ada"))["record_count"] == 0
    assert (await halo.get("Users", client_id=12, search="ada"))["record_count"] == 1


async def test_a_sent_address_replaces_the_old_one(halo: HaloCaller, acme: int) -> None:
    site_id = (await halo.get(f"Client/{acme}"))["main_site_id"]
    await halo.post("Site", {"id": site_id, "delivery_address": {"line1": "1 High St", "line2": "Suite 5"}})
    site = await halo.post("Site", {"id": site_id, "delivery_address": {"line1": "2 Low St"}})
    assert site["delivery_address"] == {"line1": "2 Low St", "line2": "", "line3": "", "line4": "", "postcode": ""}


async def test_nothing_else_becomes_inactive_with_a_client_that_still_takes_writes(halo: HaloCaller, acme: int) -> None:
    await halo.post("Client", {"id": acme, "inactive": True})
    [site] = (await halo.get("Site", client_id=acme))["sites"]
    assert not site["inactive"]
    await halo.post("Site", {"id": site["id"], "phonenumber": "555-1"})


async def test_the_msp_itself_and_the_unknown_client_exist_from_the_start(halo: HaloCaller) -> None:
    assert [client["name"] for client in (await halo.get("Client"))["clients"]] == ["Example MSP", "Unknown"]


@pytest.mark.parametrize(
    ("contract", "started", "expired"),
    [
        ({"start_date": "2026-12-01"}, False, False),
        ({"start_date": "2026-01-01", "end_date": "2026-11-22"}, True, True),
        ({"start_date": "2026-01-01", "end_date": "2026-11-23T00:00:00Z"}, True, False),
        ({"start_date": "2026-01-01", "end_date": "2026-11-22", "rollingcontract": True}, True, False),
        ({"start_date": "0001-01-01", "end_date": "1900-01-01"}, True, False),
    ],
)
async def test_a_contracts_state_follows_from_its_dates(
    halo: HaloCaller, contract: dict[str, Any], *, started: bool, expired: bool
) -> None:
    shown = await halo.post("ClientContract", {"client_id": 12, "expired": True} | contract)
    assert (shown["started"], shown["expired"]) == (started, expired)


async def test_recurring_invoices_have_ids_below_zero(halo: HaloCaller) -> None:
    invoice = await halo.post("RecurringInvoice", {"client_id": 12})
    assert (await halo.post("RecurringInvoice", {"id": invoice["id"], "disabled": True}))["id"] == invoice["id"] == -1
    assert (await halo.get("RecurringInvoice", client_id=12))["invoices"][0]["disabled"]


async def test_a_record_can_be_deleted(halo: HaloCaller) -> None:
    note = await halo.post("CRMNote", {"client_id": 12, "note": "x"})
    assert (await halo.http.delete(f"/api/CRMNote/{note['id']}")).status_code == 200
    assert (await halo.get("CRMNote", client_id=12))["record_count"] == 0


async def test_faults_are_off_by_default() -> None:
    assert Sandbox().faults == Faults()
