"""What a token may do: its scopes, and the role of the agent that the application logs in as."""

from typing import Any

import httpx
import pytest

from tests.unit.halo_caller import CREDENTIALS, HaloCaller
from workflows.sandbox import Role


async def sign_in(halo: HaloCaller, scope: str = "all") -> httpx.Response:
    granted = await halo.http.post("/auth/token", data=CREDENTIALS | {"scope": scope})
    halo.http.headers["Authorization"] = f"Bearer {granted.json().get('access_token')}"
    return granted


async def status(halo: HaloCaller, method: str, path: str, *records: dict[str, Any]) -> int:
    answer = await halo.http.request(method, f"/api/{path}", json=list(records) or None)
    assert answer.content or answer.status_code in (401, 403, 404)
    return answer.status_code


@pytest.fixture
async def contract(halo: HaloCaller) -> int:
    return int((await halo.post("ClientContract", {"client_id": 12}))["id"])


@pytest.mark.parametrize(
    ("scope", "allowed", "refused"),
    [
        ("read:customers", ["GET Client", "GET Site/51", "GET Users", "GET Status"], ["POST Client", "GET Tickets"]),
        ("read:tickets edit:tickets", ["GET Tickets", "GET Actions?ticket_id=1"], ["GET Client", "GET Asset"]),
        ("edit:customers", ["POST Client"], ["GET Client"]),
        ("all:standard", ["GET Client", "GET Tickets", "GET RecurringInvoice"], []),
        ("read:contracts", ["GET ClientContract"], ["GET RecurringInvoice", "GET Opportunities"]),
    ],
)
async def test_scopes_decide(halo: HaloCaller, scope: str, allowed: list[str], refused: list[str]) -> None:
    await sign_in(halo, scope)
    for request in allowed:
        method, path = request.split()
        assert await status(halo, method, path, {"name": "Acme"}) in (200, 201), request
    for request in refused:
        method, path = request.split()
        assert await status(halo, method, path, {"name": "Acme"}) == 403, request


async def test_one_scope_that_is_not_allowed_refuses_the_token(halo: HaloCaller) -> None:
    halo.sandbox.faults.allowed_scopes = frozenset({"read:customers", "read:tickets"})
    assert (await sign_in(halo, "read:customers read:tickets")).status_code == 200
    assert (await sign_in(halo, "read:customers edit:customers")).json()["error"] == "invalid_scope"
    assert (await sign_in(halo, "all")).status_code == 400


async def test_a_role_without_a_module_is_refused_without_a_word(halo: HaloCaller) -> None:
    halo.sandbox.faults.role = Role(customers="read", users="none", assets="none")
    await sign_in(halo)
    assert await status(halo, "GET", "Client") == 200
    assert await status(halo, "POST", "Client", {"name": "Acme"}) == 403
    assert await status(halo, "GET", "Users") == 403
    assert await status(halo, "GET", "Asset") == 403
    assert await status(halo, "DELETE", "Client/12") == 403


async def test_contracts_are_listed_without_the_right_to_read_one(halo: HaloCaller, contract: int) -> None:
    halo.sandbox.faults.role = Role(contracts="none")
    await sign_in(halo)
    assert await status(halo, "GET", "ClientContract") == 200
    assert await status(halo, "GET", f"ClientContract/{contract}") == 401
    assert await status(halo, "POST", "ClientContract", {"client_id": 12}) == 403


async def test_a_token_keeps_the_role_that_it_was_granted_under(halo: HaloCaller) -> None:
    halo.sandbox.faults.role = Role(customers="none")
    assert await status(halo, "GET", "Client") == 200
    await sign_in(halo)
    halo.sandbox.faults.role = Role()
    assert await status(halo, "GET", "Client") == 403
    await sign_in(halo)
    assert await status(halo, "GET", "Client") == 200


async def test_without_an_agent_to_log_in_as_there_is_little_to_see(halo: HaloCaller) -> None:
    halo.sandbox.faults.login_type = "none"
    await sign_in(halo)
    assert await status(halo, "GET", "Client") == 200
    for path in ("Tickets", "Status", "Agent", "Agent/me", "Lookup?lookupid=33", "Users"):
        assert await status(halo, "GET", path) == 403, path


@pytest.mark.parametrize(
    ("role", "visible"),
    [(Role(), 3), (Role(sees_unassigned=False), 2), (Role(sees_others=False), 2)],
)
async def test_some_tickets_are_not_there_for_the_agent(halo: HaloCaller, role: Role, visible: int) -> None:
    tickets = [halo.sandbox.plant("Tickets", {"summary": "x", "client_id": 12, "agent_id": n}) for n in (1, 3, 4)]
    halo.sandbox.faults.role = role
    await sign_in(halo)
    found = {ticket["id"] for ticket in (await halo.get("Tickets", client_id=12))["tickets"]}
    assert len(found) == visible
    for ticket in set(tickets) - found:
        assert (await halo.http.get(f"/api/Tickets/{ticket}")).json() == "Record not found"
        assert await halo.post("Tickets", {"id": ticket, "summary": "y"}, status=400) == "Record not found"
        action = {"ticket_id": ticket, "outcome_id": 7}
        assert "do not have access" in await halo.post("Actions", action, status=400)


async def test_rights_over_tickets_are_apart_from_each_other(halo: HaloCaller) -> None:
    ticket = halo.sandbox.plant("Tickets", {"summary": "x", "client_id": 12, "agent_id": 3})
    close = {"id": ticket, "status_id": 9, "client_id": 12, "tickettype_id": 1}
    halo.sandbox.faults.role = Role(may_reassign=False, may_close=False, may_edit_closed=False)
    await sign_in(halo)
    assert await status(halo, "POST", "Tickets", {"id": ticket, "agent_id": 4}) == 403
    assert await status(halo, "POST", "Tickets", close) == 403
    assert await status(halo, "POST", "Actions", {"ticket_id": ticket, "outcome_id": 15, "new_status": 9}) == 403
    assert await status(halo, "POST", "Tickets", {"id": ticket, "agent_id": 3, "summary": "y"}) == 201
    halo.sandbox.faults.role = Role(may_reassign=False, may_edit_closed=False)
    await sign_in(halo)
    assert await status(halo, "POST", "Tickets", close) == 201
    assert await status(halo, "POST", "Tickets", {"id": ticket, "summary": "z"}) == 403


async def test_a_request_can_be_denied_with_a_401(halo: HaloCaller, contract: int) -> None:
    halo.sandbox.faults.deny = frozenset({"GET /api/ClientContract/{id}"})
    for _ in range(2):
        assert await status(halo, "GET", f"ClientContract/{contract}") == 401
        await sign_in(halo)
    assert halo.sandbox.injector.happened == {"deny": 2}
