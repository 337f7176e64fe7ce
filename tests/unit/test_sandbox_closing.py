"""What a tenant's ticket types and settings want before a ticket closes, and whom it mails then."""

from typing import Any

import pytest

from tests.unit.halo_caller import HaloCaller

RESOLVED = {"customfields": [{"name": "CFResolution", "value": "moved away"}]}


def plant(halo: HaloCaller, **more: Any) -> int:
    return int(halo.sandbox.plant("Tickets", {"summary": "x", "client_id": 12, "agent_id": 4} | more))


def closing(ticket: int, type_id: int = 1) -> dict[str, Any]:
    return {"id": ticket, "status_id": 9, "client_id": 12, "tickettype_id": type_id}


async def test_a_types_mandatory_field_is_wanted(halo: HaloCaller) -> None:
    close = closing(plant(halo, tickettype_id=28), 28)
    assert await halo.post("Tickets", close, status=400) == "Please enter Resolution"
    assert (await halo.post("Tickets", close | RESOLVED))["hasbeenclosed"]


async def test_a_pending_approval_holds_a_ticket_open(halo: HaloCaller) -> None:
    ticket = plant(halo, tickettype_id=27)
    assert "CODE:APP03/2" in await halo.post("Tickets", closing(ticket, 27) | {"approval_process_id": 0}, status=400)
    table = halo.sandbox.store["Tickets"]
    table.change(table.rows[ticket], {"approval_process_id": 0})
    await halo.post("Tickets", closing(ticket, 27))


async def test_a_type_may_not_know_a_status(halo: HaloCaller) -> None:
    close = closing(plant(halo, tickettype_id=30), 30)
    assert await halo.post("Tickets", close, status=400) == "Please select a valid Status"
    assert (await halo.post("Tickets", close | {"status_id": 8}))["hasbeenclosed"]


async def test_a_type_may_not_mind_open_children(halo: HaloCaller) -> None:
    parent = plant(halo, tickettype_id=29)
    plant(halo, parent_id=parent)
    assert (await halo.post("Tickets", closing(parent, 29)))["hasbeenclosed"]


async def test_a_tenant_may_be_laxer(halo: HaloCaller) -> None:
    faults = halo.sandbox.faults
    faults.strict_close = faults.refuse_unassigned = faults.refuse_open_children = False
    parent = plant(halo, agent_id=1)
    plant(halo, parent_id=parent)
    assert (await halo.post("Tickets", {"id": parent, "status_id": 9}))["hasbeenclosed"]


async def test_what_a_type_wants_is_read_one_by_one(halo: HaloCaller) -> None:
    [row] = [row for row in await halo.get("TicketType") if row["id"] == 28]
    assert (row["hasmandatorytechfields"], "fields" in row, "allowed_status" in row) == (True, False, False)
    [field] = (await halo.get("TicketType/28"))["fields"]
    assert (field["fieldname"], field["fieldinfo"]["mandatory"]) == ("CFResolution", True)
    assert [row["status_id"] for row in (await halo.get("TicketType/30"))["allowed_status"]] == [1, 2, 8]


@pytest.mark.parametrize(("sent", "mails"), [({}, ["closed"]), ({"dont_do_rules": True}, [])])
async def test_closing_mails_the_user_unless_rules_are_left_out(
    halo: HaloCaller, sent: dict[str, Any], mails: list[str]
) -> None:
    site_id = (await halo.get("Client/12"))["main_site_id"]
    user = await halo.post("Users", {"name": "Ada", "emailaddress": "ada@acme.example", "site_id": site_id})
    ticket = plant(halo, site_id=site_id, user_id=user["id"])
    await halo.post("Tickets", closing(ticket) | sent)
    other = plant(halo, site_id=site_id, user_id=user["id"])
    await halo.post("Actions", {"ticket_id": other, "outcome_id": 15, "new_status": 9} | sent)
    sent_mails = halo.sandbox.state()["mails"]
    assert [mail["reason"] for mail in sent_mails] == mails * 2
    assert {mail["to"] for mail in sent_mails} <= {"ada@acme.example"}


async def test_a_refused_close_mails_nobody(halo: HaloCaller) -> None:
    first, second = plant(halo), plant(halo, agent_id=1)
    await halo.post("Tickets", closing(first), closing(second), status=400)
    assert halo.sandbox.state()["mails"] == []


async def test_a_tenant_may_send_no_closing_mails(halo: HaloCaller) -> None:
    halo.sandbox.faults.closing_mails = False
    await halo.post("Tickets", closing(plant(halo)))
    assert halo.sandbox.state()["mails"] == []


async def test_actions_and_welcomes_mail_when_told_to(halo: HaloCaller) -> None:
    ticket = plant(halo)
    action = {"ticket_id": ticket, "outcome_id": 7, "sendemail": True}
    await halo.post("Actions", action | {"hiddenfromuser": True})
    await halo.post("Actions", action)
    contact = {"newclient_contactname": "Ada", "newclient_contactemail": "ada@acme.example"}
    await halo.post("Client", {"name": "Acme", "newclient_sendwelcomeemail": True} | contact)
    assert [(mail["reason"], mail["to"]) for mail in halo.sandbox.state()["mails"]] == [
        ("action", ""),
        ("welcome", "ada@acme.example"),
    ]
