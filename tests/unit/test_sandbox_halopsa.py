"""The look-alike behaves as integrations report of real tenants."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from workflows.sandbox import Faults, Sandbox, sandbox_app
from workflows.sandbox.halopsa.fields import FIELDS

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": "parhelion",
    "client_secret": "sandbox-secret",
    "scope": "all",
}


class Halo:
    """A caller with a token."""

    def __init__(self, sandbox: Sandbox, http: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.http = http

    async def sign_in(self) -> None:
        granted = await self.http.post("/auth/token", data=CREDENTIALS)
        self.http.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"

    async def post(self, entity: str, *records: dict[str, Any], status: int = 201, query: str = "") -> Any:
        answer = await self.http.post(f"/api/{entity}{query}", json=list(records))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, **query: object) -> Any:
        answer = await self.http.get(f"/api/{path}", params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def halo() -> AsyncIterator[Halo]:
    sandbox = Sandbox(clock=lambda: NOW)
    transport = httpx.ASGITransport(sandbox_app(sandbox))
    async with httpx.AsyncClient(transport=transport, base_url="http://halo.test") as http:
        caller = Halo(sandbox, http)
        await caller.sign_in()
        yield caller


@pytest.fixture
async def acme(halo: Halo) -> int:
    return int((await halo.post("Client", {"name": "Acme"}))["id"])


# Signing in


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"scope": "read:customers read:teams"}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_faulty_token_requests_are_refused(halo: Halo, change: dict[str, str], status: int, error: str) -> None:
    answer = await halo.http.post("/auth/token", data=CREDENTIALS | change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_an_unknown_tenant_is_a_server_error(halo: Halo) -> None:
    answer = await halo.http.post("/auth/token?tenant=nobody", data=CREDENTIALS)
    assert (answer.status_code, answer.text) == (500, "")


async def test_authinfo_tells_where_to_sign_in_without_a_token(halo: Halo) -> None:
    del halo.http.headers["Authorization"]
    assert await halo.get("AuthInfo") == {"auth_url": "http://halo.test/auth", "tenant_id": "sandbox"}


async def test_without_a_valid_token_there_is_nothing(halo: Halo) -> None:
    halo.http.headers["Authorization"] = "Bearer other"
    answer = await halo.http.get("/api/Client")
    assert (answer.status_code, answer.text) == (401, "")


async def test_tokens_expire() -> None:
    times = [NOW]
    sandbox = Sandbox(clock=lambda: times[0])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox_app(sandbox)), base_url="http://halo") as http:
        halo = Halo(sandbox, http)
        await halo.sign_in()
        times[0] += timedelta(hours=1)
        assert (await http.get("/api/Client")).status_code == 401


# Bodies


async def test_a_bare_object_is_refused(halo: Halo) -> None:
    answer = await halo.http.post("/api/Client", json={"name": "Acme"})
    assert answer.status_code == 400
    assert "requires a JSON array" in answer.json()


@pytest.mark.parametrize("body", [b"{", b"[1]", b"[]", b'[{"id":null}]', b'[{"name":"A","paymentterms":"soon"}]'])
async def test_unreadable_bodies_are_refused(halo: Halo, body: bytes) -> None:
    assert (await halo.http.post("/api/Client", content=body)).status_code == 400


async def test_a_float_is_no_integer(halo: Halo) -> None:
    assert "Input string '95.0' is not a valid integer" in await halo.post(
        "Tickets", {"summary": "x", "client_id": 95.0}, status=400
    )


async def test_unknown_names_are_dropped_without_a_word(halo: Halo) -> None:
    client = await halo.post("Client", {"name": "Acme", "emailaddress": "a@acme.example", "accountmanager_id": 3})
    assert not client.keys() & {"emailaddress", "accountmanager_id"}


async def test_an_update_changes_only_what_was_sent(halo: Halo) -> None:
    client = await halo.post("Client", {"name": "Acme", "website": "https://acme.example"})
    await halo.post("Client", {"id": client["id"], "inactive": True})
    assert await halo.get(f"Client/{client['id']}") == client | {"inactive": True}


async def test_an_unknown_id_is_not_found(halo: Halo) -> None:
    assert await halo.post("Client", {"id": 4711, "name": "Acme"}, status=400) == "Record not found"
    answer = await halo.http.get("/api/Client/4711")
    assert (answer.status_code, answer.text) == (404, "")


async def test_a_post_without_id_always_creates(halo: Halo) -> None:
    first, second = [await halo.post("Client", {"name": "Acme", "ref": "C-77"}) for _ in range(2)]
    assert first["id"] != second["id"]


async def test_a_post_answers_the_last_object_only(halo: Halo) -> None:
    assert (await halo.post("Client", {"name": "One"}, {"name": "Two"}))["name"] == "Two"
    both = await halo.post("Client", {"name": "Three"}, {"name": "Four"}, query="?returnall=true")
    assert [client["name"] for client in both] == ["Three", "Four"]


async def test_what_stood_before_a_refused_element_stays(halo: Halo) -> None:
    await halo.post("Client", {"name": "One"}, {"website": "x"}, status=400)
    assert (await halo.get("Client", search="One"))["record_count"] == 1


async def test_custom_fields_are_kept_by_their_set_up_names_only(halo: Halo) -> None:
    sent = [{"name": "CFCrmId", "value": "C-77"}, {"name": "CFUnknown", "value": "1"}]
    client = await halo.post("Client", {"name": "Acme", "customfields": sent})
    assert client["customfields"] == [{"id": 201, "name": "CFCrmId", "value": "C-77"}]
    assert (await halo.get("Client", search="Acme"))["clients"][0]["customfields"] == []
    with_ids = await halo.get("Client", search="Acme", include_custom_fields="201,202")
    assert with_ids["clients"][0]["customfields"] == client["customfields"]


# Clients, sites, users


async def test_a_client_comes_with_its_main_site_and_general_user(halo: Halo, acme: int) -> None:
    [site] = (await halo.get("Site", client_id=acme))["sites"]
    [user] = (await halo.get("Users", client_id=acme))["users"]
    assert (site["name"], user["name"], user["site_id_int"]) == ("Main", "General User", site["id"])
    assert (await halo.get(f"Client/{acme}"))["main_site_id"] == site["id"]
    assert (await halo.get("Users", client_id=acme, exclude_generaluser="true"))["users"] == []


async def test_the_first_site_and_contact_take_what_the_client_brings(halo: Halo) -> None:
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
async def test_records_without_what_they_need_are_refused(halo: Halo, entity: str, record: dict[str, Any]) -> None:
    assert isinstance(await halo.post(entity, record, status=400), str)


async def test_some_ids_come_as_floats(halo: Halo, acme: int) -> None:
    assert f'"client_id":{acme}.0' in (await halo.http.get(f"/api/Site?client_id={acme}")).text
    halo.sandbox.faults.float_ids = False
    assert f'"client_id":{acme},' in (await halo.http.get(f"/api/Site?client_id={acme}")).text


async def test_a_second_site_is_not_the_main_one_but_has_its_general_user(halo: Halo, acme: int) -> None:
    site = await halo.post("Site", {"name": "Depot", "client_id": float(acme)})
    assert (await halo.get(f"Client/{acme}"))["main_site_id"] != site["id"]
    assert len((await halo.get("Users", site_id=site["id"]))["users"]) == 1


async def test_a_sent_address_replaces_the_old_one(halo: Halo, acme: int) -> None:
    site_id = (await halo.get(f"Client/{acme}"))["main_site_id"]
    await halo.post("Site", {"id": site_id, "delivery_address": {"line1": "1 High St", "line2": "Suite 5"}})
    site = await halo.post("Site", {"id": site_id, "delivery_address": {"line1": "2 Low St"}})
    assert site["delivery_address"] == {"line1": "2 Low St", "line2": "", "line3": "", "line4": "", "postcode": ""}


async def test_nothing_else_becomes_inactive_with_a_client_and_it_still_takes_writes(halo: Halo, acme: int) -> None:
    await halo.post("Client", {"id": acme, "inactive": True})
    [site] = (await halo.get("Site", client_id=acme))["sites"]
    assert not site["inactive"]
    await halo.post("Site", {"id": site["id"], "phonenumber": "555-1"})


async def test_the_msp_itself_and_the_unknown_client_exist_from_the_start(halo: Halo) -> None:
    assert [client["name"] for client in (await halo.get("Client"))["clients"]] == ["Example MSP", "Unknown"]


# Lists


async def test_inactive_records_hide_until_asked_for(halo: Halo, acme: int) -> None:
    await halo.post("Client", {"id": acme, "inactive": True})
    assert (await halo.get("Client", search="acme"))["record_count"] == 0
    assert (await halo.get("Client", search="acme", includeinactive="true"))["record_count"] == 1
    assert (await halo.get("Client", activeinactive="false,true"))["record_count"] == 1


async def test_unknown_filters_are_ignored(halo: Halo, acme: int) -> None:
    await halo.post("Client", {"id": acme, "inactive": True})
    everyone = await halo.get("Client", inactive="true", accountmanager_id=3, hasusers="false")
    assert everyone["record_count"] == 2


async def test_pages_need_pageinate_and_are_capped(halo: Halo, acme: int) -> None:
    for n in range(130):
        halo.sandbox.plant("Tickets", {"summary": f"{n}", "client_id": acme})
    assert len((await halo.get("Tickets", page_no=2, page_size=30))["tickets"]) == 50
    assert len((await halo.get("Tickets", count=500))["tickets"]) == 100
    second = await halo.get("Tickets", pageinate="true", page_no=2, page_size=500, order="id")
    assert (second["page_size"], second["record_count"], len(second["tickets"])) == (100, 130, 30)
    assert second["tickets"][0]["summary"] == "100"


async def test_lists_are_ordered_as_asked(halo: Halo, acme: int) -> None:
    for status, summary in ((2, "b"), (1, "a"), (2, "a")):
        halo.sandbox.plant("Tickets", {"summary": summary, "client_id": acme, "status_id": status})
    rows = await halo.get("Tickets", order="status_id", orderdesc="true", order2="summary")
    assert [(row["status_id"], row["summary"]) for row in rows["tickets"]] == [(2, "a"), (2, "b"), (1, "a")]


async def test_filters_narrow_down_together(halo: Halo, acme: int) -> None:
    for client, status in ((acme, 1), (acme, 2), (12, 2)):
        halo.sandbox.plant("Tickets", {"summary": "x", "client_id": client, "status_id": status})
    assert (await halo.get("Tickets", client_id=acme, status="2,3"))["record_count"] == 1
    assert (await halo.get("Tickets", client_ids=f"{acme},12", status_id=2))["record_count"] == 2


@pytest.mark.parametrize("query", ["client_id=x", "pageinate=true&page_no=x", "client_id=1,"])
async def test_numbers_that_are_none_are_refused(halo: Halo, query: str) -> None:
    assert (await halo.http.get(f"/api/Tickets?{query}")).status_code == 400


async def test_search_finds_parts_of_names_in_any_case(halo: Halo, acme: int) -> None:
    assert [client["id"] for client in (await halo.get("Client", search="CM"))["clients"]] == [acme]


async def test_advanced_search_allows_few_fields(halo: Halo, acme: int) -> None:
    exactly = '[{"filter_name":"name","filter_type":2,"filter_value":"ACME"}]'
    assert [client["id"] for client in (await halo.get("Client", advanced_search=exactly))["clients"]] == [acme]
    for refused in ('[{"filter_name":"ref","filter_type":2,"filter_value":"x"}]', "[1]", "{"):
        answer = await halo.http.get("/api/Client", params={"advanced_search": refused})
        assert (answer.status_code, answer.json()) == (400, "Invalid advanced search parameter(s)")


async def test_set_up_lists_are_bare_arrays(halo: Halo) -> None:
    for name in ("Status", "TicketType", "Team", "Agent", "Lookup", "Outcome"):
        assert isinstance(await halo.get(name), list)
    assert {row["name"] for row in await halo.get("Lookup", lookupid=74)} >= {"United States"}
    assert (await halo.get("Agent/me"))["name"] == "API Agent"
    assert (await halo.get("TopLevel"))["toplevels"][0] == {"id": 1, "name": "Customers"}


async def test_paths_in_any_case_are_found_and_wrong_ones_not(halo: Halo) -> None:
    assert (await halo.http.get("/api/clientcontract")).status_code == 200
    for path in ("Clients", "Contract", "Client/x", "Client/1/2", "", "Status/4711"):
        assert (await halo.http.get(f"/api/{path}")).status_code == 404
    assert (await halo.http.put("/api/Client", json=[])).status_code == 404


async def test_answers_hold_only_names_that_halopsa_knows(halo: Halo, acme: int) -> None:
    ticket = await halo.post("Tickets", {"summary": "x", "client_id": acme})
    records = {
        "Client": await halo.get(f"Client/{acme}"),
        "Site": (await halo.get("Site", client_id=acme))["sites"][0],
        "Users": (await halo.get("Users", client_id=acme))["users"][0],
        "Tickets": ticket,
        "Actions": await halo.post("Actions", {"ticket_id": ticket["id"], "outcome_id": 7}),
        "ClientContract": await halo.post("ClientContract", {"client_id": acme}),
        "RecurringInvoice": await halo.post("RecurringInvoice", {"client_id": acme}),
        "Asset": await halo.post("Asset", {"client_id": acme, "assettype_id": 131}),
        "CRMNote": await halo.post("CRMNote", {"client_id": acme, "note": "x"}),
    }
    assert {entity: record.keys() - FIELDS[entity].keys() for entity, record in records.items()} == {
        entity: set() for entity in records
    }


# Tickets and actions


@pytest.mark.parametrize(
    "wrong", [{}, {"client_id": "12"}, {"client_id": 4711}, {"client_id": 12, "user_id": 1}, {"client_id": None}]
)
async def test_a_ticket_needs_a_client_that_fits(halo: Halo, wrong: dict[str, Any]) -> None:
    refusal = await halo.post("Tickets", {"summary": "x"} | wrong, status=400)
    assert refusal == "Please select a valid Client/Site/User"


async def test_a_ticket_hangs_on_the_main_sites_general_user_and_nobody(halo: Halo, acme: int) -> None:
    ticket = await halo.post("Tickets", {"summary": "x", "client_id": acme, "site_id": None})
    assert (ticket["user_name"], ticket["agent_id"], ticket["status_id"]) == ("General User", 1, 1)


async def test_closing_needs_type_client_and_an_agent(halo: Halo, acme: int) -> None:
    ticket = await halo.post("Tickets", {"summary": "x", "client_id": acme})
    close = {"id": ticket["id"], "status_id": 9}
    assert await halo.post("Tickets", close, status=400) == "Record not found"
    close |= {"client_id": acme, "tickettype_id": ticket["tickettype_id"]}
    unassigned = await halo.post("Tickets", close, status=400)
    assert unassigned == "Please assign this Ticket these before closing it."
    closed = await halo.post("Tickets", close | {"agent_id": 4})
    assert (closed["hasbeenclosed"], closed["dateclosed"]) == (True, "2026-11-23T09:00:00.000")
    assert (await halo.get("Tickets", client_id=acme, open_only="true"))["record_count"] == 0
    assert (await halo.get("Tickets", client_id=acme, closed_only="true"))["record_count"] == 1


async def test_a_ticket_with_open_children_does_not_close(halo: Halo, acme: int) -> None:
    parent = halo.sandbox.plant("Tickets", {"summary": "p", "client_id": acme, "agent_id": 4})
    child = halo.sandbox.plant("Tickets", {"summary": "c", "client_id": acme, "agent_id": 4, "parent_id": parent})
    close = {"status_id": 9, "client_id": acme, "tickettype_id": 1}
    assert "child" in await halo.post("Tickets", close | {"id": parent}, status=400)
    await halo.post("Tickets", close | {"id": child})
    await halo.post("Tickets", close | {"id": parent})


async def test_an_open_status_reopens(halo: Halo, acme: int) -> None:
    ticket = halo.sandbox.plant("Tickets", {"summary": "x", "client_id": acme, "status_id": 9})
    reopened = await halo.post("Tickets", {"id": ticket, "status_id": 2, "client_id": acme, "tickettype_id": 1})
    assert not reopened["hasbeenclosed"]


async def test_a_note_is_no_field_of_a_ticket(halo: Halo, acme: int) -> None:
    assert "note" not in await halo.post("Tickets", {"summary": "x", "client_id": acme, "note": "why"})


async def test_actions_need_ticket_and_outcome(halo: Halo, acme: int) -> None:
    ticket = halo.sandbox.plant("Tickets", {"summary": "x", "client_id": acme})
    assert "ticket_id must be specified" in await halo.post("Actions", {"outcome_id": 7}, status=400)
    no_outcome = await halo.post("Actions", {"ticket_id": ticket, "note": "x"}, status=400)
    assert no_outcome == "An Outcome must be entered for this Action"
    assert await halo.post("Actions", {"ticket_id": 4711, "outcome_id": 7}, status=400) == "Record not found"
    assert (await halo.http.get("/api/Actions")).status_code == 400
    await halo.post("Actions", {"ticket_id": str(ticket), "outcome": "Internal Note", "note": "why"})
    [action] = (await halo.get("Actions", ticket_id=ticket))["actions"]
    assert (action["outcome_id"], action["note"]) == (7, "why")


async def test_an_actions_new_status_follows_the_rules_of_closing(halo: Halo, acme: int) -> None:
    ticket = halo.sandbox.plant("Tickets", {"summary": "x", "client_id": acme})
    close = {"ticket_id": ticket, "outcome_id": 15, "new_status": 9}
    assert "assign" in await halo.post("Actions", close, status=400)
    await halo.post("Tickets", {"id": ticket, "agent_id": 4})
    await halo.post("Actions", close)
    assert (await halo.get(f"Tickets/{ticket}"))["hasbeenclosed"]


# Contracts and the rest


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
    halo: Halo, contract: dict[str, Any], *, started: bool, expired: bool
) -> None:
    shown = await halo.post("ClientContract", {"client_id": 12, "expired": True} | contract)
    assert (shown["started"], shown["expired"]) == (started, expired)


async def test_recurring_invoices_have_ids_below_zero(halo: Halo) -> None:
    invoice = await halo.post("RecurringInvoice", {"client_id": 12})
    assert (await halo.post("RecurringInvoice", {"id": invoice["id"], "disabled": True}))["id"] == invoice["id"] == -1
    assert (await halo.get("RecurringInvoice", client_id=12))["invoices"][0]["disabled"]


async def test_a_record_can_be_deleted(halo: Halo) -> None:
    note = await halo.post("CRMNote", {"client_id": 12, "note": "x"})
    assert (await halo.http.delete(f"/api/CRMNote/{note['id']}")).status_code == 200
    assert (await halo.get("CRMNote", client_id=12))["record_count"] == 0


async def test_faults_are_off_by_default() -> None:
    assert Sandbox().faults == Faults()
