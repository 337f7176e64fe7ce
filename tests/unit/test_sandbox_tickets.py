"""Tickets of the look-alike close, or do not, as HaloPSA's."""

from typing import Any

import pytest

from tests.unit.halo_caller import HaloCaller


@pytest.mark.parametrize(
    "wrong", [{}, {"client_id": "12"}, {"client_id": 4711}, {"client_id": 12, "user_id": 1}, {"client_id": None}]
)
async def test_a_ticket_needs_a_client_that_fits(halo: HaloCaller, wrong: dict[str, Any]) -> None:
    refusal = await halo.post("Tickets", {"summary": "x"} | wrong, status=400)
    assert refusal == "Please select a valid Client/Site/User"


async def test_a_named_user_needs_the_site(halo: HaloCaller, acme: int) -> None:
    [user] = (await halo.get("Users", client_id=acme))["users"]
    named = {"summary": "x", "client_id": acme, "user_id": user["id"]}
    await halo.post("Tickets", named, status=400)
    await halo.post("Tickets", named | {"site_id": user["site_id_int"]})


async def test_a_ticket_that_moves_hangs_on_the_new_client(halo: HaloCaller, acme: int) -> None:
    ticket = await halo.post("Tickets", {"summary": "x", "client_id": acme})
    moved = await halo.post("Tickets", {"id": ticket["id"], "client_id": 12})
    assert moved["site_id"] == (await halo.get("Client/12"))["main_site_id"]
    assert (await halo.get("Tickets", client_id=acme))["record_count"] == 0


async def test_a_ticket_hangs_on_the_main_sites_general_user_and_nobody(halo: HaloCaller, acme: int) -> None:
    ticket = await halo.post("Tickets", {"summary": "x", "client_id": acme, "site_id": None})
    assert (ticket["user_name"], ticket["agent_id"], ticket["status_id"]) == ("General User", 1, 1)


async def test_closing_needs_type_client_and_an_agent(halo: HaloCaller, acme: int) -> None:
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


async def test_a_ticket_with_open_children_does_not_close(halo: HaloCaller, acme: int) -> None:
    parent = halo.sandbox.plant("Tickets", {"summary": "p", "client_id": acme, "agent_id": 4})
    child = halo.sandbox.plant("Tickets", {"summary": "c", "client_id": acme, "agent_id": 4, "parent_id": parent})
    close = {"status_id": 9, "client_id": acme, "tickettype_id": 1}
    assert "child" in await halo.post("Tickets", close | {"id": parent}, status=400)
    await halo.post("Tickets", close | {"id": child})
    await halo.post("Tickets", close | {"id": parent})


async def test_a_child_that_left_its_parent_holds_nothing_up(halo: HaloCaller, acme: int) -> None:
    parent = halo.sandbox.plant("Tickets", {"summary": "p", "client_id": acme, "agent_id": 4})
    child = halo.sandbox.plant("Tickets", {"summary": "c", "client_id": acme, "parent_id": parent})
    await halo.post("Tickets", {"id": child, "parent_id": 0})
    closed = await halo.post("Tickets", {"id": parent, "status_id": 9, "client_id": acme, "tickettype_id": 1})
    assert closed["child_count"] == 0


async def test_an_open_status_reopens(halo: HaloCaller, acme: int) -> None:
    ticket = halo.sandbox.plant("Tickets", {"summary": "x", "client_id": acme, "status_id": 9})
    reopened = await halo.post("Tickets", {"id": ticket, "status_id": 2, "client_id": acme, "tickettype_id": 1})
    assert not reopened["hasbeenclosed"]


async def test_a_note_is_no_field_of_a_ticket(halo: HaloCaller, acme: int) -> None:
    assert "note" not in await halo.post("Tickets", {"summary": "x", "client_id": acme, "note": "why"})


async def test_actions_need_ticket_and_outcome(halo: HaloCaller, acme: int) -> None:
    ticket = halo.sandbox.plant("Tickets", {"summary": "x", "client_id": acme})
    assert "ticket_id must be specified" in await halo.post("Actions", {"outcome_id": 7}, status=400)
    no_outcome = await halo.post("Actions", {"ticket_id": ticket, "note": "x"}, status=400)
    assert no_outcome == "An Outcome must be entered for this Action"
    assert await halo.post("Actions", {"ticket_id": 4711, "outcome_id": 7}, status=400) == "Record not found"
    assert (await halo.http.get("/api/Actions")).status_code == 400
    await halo.post("Actions", {"ticket_id": str(ticket), "outcome": "Internal Note", "note": "why"})
    [action] = (await halo.get("Actions", ticket_id=ticket))["actions"]
    assert (action["outcome_id"], action["note"]) == (7, "why")


async def test_an_actions_new_status_follows_the_rules_of_closing(halo: HaloCaller, acme: int) -> None:
    ticket = halo.sandbox.plant("Tickets", {"summary": "x", "client_id": acme})
    close = {"ticket_id": ticket, "outcome_id": 15, "new_status": 9}
    assert "assign" in await halo.post("Actions", close, status=400)
    await halo.post("Tickets", {"id": ticket, "agent_id": 4})
    await halo.post("Actions", close)
    assert (await halo.get(f"Tickets/{ticket}"))["hasbeenclosed"]
