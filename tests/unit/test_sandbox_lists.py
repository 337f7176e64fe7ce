"""Lists of the look-alike: filters, order, pages, envelopes."""

from datetime import timedelta

import pytest

from tests.unit.conftest import NOW
from tests.unit.halo_caller import HaloCaller, calling
from workflows.sandbox import Sandbox


async def test_inactive_records_hide_until_asked_for(halo: HaloCaller, acme: int) -> None:
    await halo.post("Client", {"id": acme, "inactive": True})
    assert (await halo.get("Client", search="acme"))["record_count"] == 0
    assert (await halo.get("Client", search="acme", includeinactive="true"))["record_count"] == 1
    assert (await halo.get("Client", activeinactive="false,true"))["record_count"] == 1


async def test_lists_leave_notes_out_until_asked_for(halo: HaloCaller) -> None:
    await halo.post("Client", {"name": "Acme", "notes": "premium"})
    assert "notes" not in (await halo.get("Client", search="acme"))["clients"][0]
    assert (await halo.get("Client", search="acme", includenotes="true"))["clients"][0]["notes"] == "premium"


async def test_unknown_filters_are_ignored(halo: HaloCaller, acme: int) -> None:
    await halo.post("Client", {"id": acme, "inactive": True})
    everyone = await halo.get("Client", inactive="true", accountmanager_id=3, hasusers="false")
    assert everyone["record_count"] == 2


async def test_pages_need_pageinate_and_are_capped(halo: HaloCaller, acme: int) -> None:
    for n in range(130):
        halo.sandbox.plant("Tickets", {"summary": f"{n}", "client_id": acme})
    assert len((await halo.get("Tickets", page_no=2, page_size=30))["tickets"]) == 50
    assert len((await halo.get("Tickets", count=500))["tickets"]) == 100
    second = await halo.get("Tickets", pageinate="true", page_no=2, page_size=500, order="id")
    assert (second["page_size"], second["record_count"], len(second["tickets"])) == (100, 130, 30)
    assert second["tickets"][0]["summary"] == "100"


async def test_lists_are_ordered_as_asked(halo: HaloCaller, acme: int) -> None:
    for status, summary in ((2, "b"), (1, "a"), (2, "a")):
        halo.sandbox.plant("Tickets", {"summary": summary, "client_id": acme, "status_id": status})
    rows = await halo.get("Tickets", order="status_id", orderdesc="true", order2="summary")
    assert [(row["status_id"], row["summary"]) for row in rows["tickets"]] == [(2, "a"), (2, "b"), (1, "a")]


async def test_odd_orders_and_counts_are_no_trouble(halo: HaloCaller) -> None:
    for n in range(2):
        await halo.post("Client", {"name": f"{n}", "customfields": [{"id": 201, "value": n}]})
    assert len((await halo.get("Client", order="customfields"))["clients"]) == 4
    assert (await halo.get("Client", count=-1))["clients"] == []


async def test_filters_narrow_down_together(halo: HaloCaller, acme: int) -> None:
    for client, status in ((acme, 1), (acme, 2), (12, 2)):
        halo.sandbox.plant("Tickets", {"summary": "x", "client_id": client, "status_id": status})
    assert (await halo.get("Tickets", client_id=acme, status="2,3"))["record_count"] == 1
    assert (await halo.get("Tickets", client_ids=f"{acme},12", status_id=2))["record_count"] == 2


@pytest.mark.parametrize("query", ["client_id=x", "pageinate=true&page_no=x", "client_id=1,"])
async def test_numbers_that_are_none_are_refused(halo: HaloCaller, query: str) -> None:
    assert (await halo.http.get(f"/api/Tickets?{query}")).status_code == 400


async def test_search_finds_parts_of_names_in_any_case(halo: HaloCaller, acme: int) -> None:
    assert [client["id"] for client in (await halo.get("Client", search="CM"))["clients"]] == [acme]


async def test_advanced_search_allows_few_fields(halo: HaloCaller, acme: int) -> None:
    exactly = '[{"filter_name":"name","filter_type":2,"filter_value":"ACME"}]'
    assert [client["id"] for client in (await halo.get("Client", advanced_search=exactly))["clients"]] == [acme]
    for refused in ('[{"filter_name":"ref","filter_type":2,"filter_value":"x"}]', "[1]", "{"):
        answer = await halo.http.get("/api/Client", params={"advanced_search": refused})
        assert (answer.status_code, answer.json()) == (400, "Invalid advanced search parameter(s)")


async def test_set_up_lists_are_bare_arrays(halo: HaloCaller) -> None:
    for name in ("Status", "TicketType", "Team", "Agent", "Lookup", "Outcome"):
        assert isinstance(await halo.get(name), list)
    assert {row["name"] for row in await halo.get("Lookup", lookupid=74)} >= {"United States"}
    assert (await halo.get("Agent/me"))["name"] == "API Agent"
    assert (await halo.get("TopLevel"))["toplevels"][0] == {"id": 1, "name": "Customers"}


async def test_paths_in_any_case_are_found_and_wrong_ones_not(halo: HaloCaller) -> None:
    assert (await halo.http.get("/api/clientcontract")).status_code == 200
    for path in ("Clients", "Contract", "Client/x", "Client/1/2", "", "Status/4711"):
        assert (await halo.http.get(f"/api/{path}")).status_code == 404
    assert (await halo.http.put("/api/Client", json=[])).status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"lastupdatefromdate": "2026-11-23T09:30:00Z"}, ["late"]),
        ({"lastupdatetodate": "2026-11-23T09:30:00"}, ["early"]),
        ({"lastupdatefromdate": "2026-11-23T08:00:00", "lastupdatetodate": "2026-11-23T12:00:00"}, ["early", "late"]),
    ],
)
async def test_lists_can_be_narrowed_to_what_was_written_lately(query: dict[str, str], found: list[str]) -> None:
    now = [NOW]
    async with calling(Sandbox(clock=lambda: now[0])) as halo:
        for summary, minutes in (("early", 0), ("late", 50)):
            now[0] = NOW + timedelta(minutes=minutes)
            await halo.post("Tickets", {"summary": summary, "client_id": 12})
        tickets = (await halo.get("Tickets", order="id", **query))["tickets"]
        assert [ticket["summary"] for ticket in tickets] == found


async def test_a_date_that_is_none_is_refused(halo: HaloCaller) -> None:
    assert (await halo.http.get("/api/Tickets?lastupdatefromdate=yesterday")).status_code == 400
