"""A client that leaves is wound down in HaloPSA."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from tests.memory_run import STARTED, Asleep, Notebook
from tests.tenant import DAYS, Tenant, event
from worker.errors import NeedsOperator, NotYet
from workflows.canonical import InvalidEvent
from workflows.policy import ChurnClient, Policy
from workflows.restore import HEAD
from workflows.sandbox import Faults

LEAVES = {"client": {"id": "C-77"}, "last_service_day": "2026-12-31", "reason": "moved to another provider"}


@pytest.fixture(params=[Faults, Faults.unpleasant], ids=list(DAYS))
def faults(request: pytest.FixtureRequest) -> Faults:
    day: Faults = request.param()
    return day


@pytest.fixture(autouse=True)
def time_stands_still() -> Iterator[None]:
    """Reports bear the time."""
    with time_machine.travel(STARTED, tick=False):
        yield


@pytest.fixture
async def client_id(tenant: Tenant, deal: dict[str, Any]) -> int:
    """An onboarded client with tickets, a recurring invoice and an asset; beside it another client with a ticket."""
    client_id: int = (await tenant.finish(event("deal.won", deal), Notebook(run="r-0"))).client_id
    plant = tenant.sandbox.plant
    parent = plant("Tickets", {"client_id": client_id, "summary": "parent", "agent_id": 3})
    plant("Tickets", {"client_id": client_id, "summary": "child", "agent_id": 3, "parent_id": parent})
    plant("Tickets", {"client_id": client_id, "summary": "unassigned"})
    plant("Tickets", {"client_id": client_id, "summary": "done", "status_id": 9, "hasbeenclosed": True})
    plant("Tickets", {"client_id": 12, "summary": "somebody else's"})
    plant("RecurringInvoice", {"client_id": client_id, "nextcreationdate": "2027-01-01T00:00:00"})
    plant("Asset", {"client_id": client_id, "inventory_number": "PC-1", "assettype_id": 131})
    return client_id


async def test_a_churn_winds_everything_down(tenant: Tenant, client_id: int) -> None:
    notebook = Notebook()
    result = await tenant.finish(event("client.churned", LEAVES), notebook)

    assert tenant.rows("Client", id=client_id)[0]["inactive"]
    tickets = {ticket["summary"]: ticket for ticket in tenant.rows("Tickets", client_id=client_id)}
    assert all(ticket["status_id"] == 9 and ticket["hasbeenclosed"] for ticket in tickets.values())
    assert (tickets["unassigned"]["agent_id"], tickets["parent"]["agent_id"]) == (4, 3)
    assert not tenant.rows("Tickets", client_id=12)[0]["hasbeenclosed"]
    actions = {action["ticket_id"]: action for action in tenant.rows("Actions")}
    assert set(actions) == {tickets[name]["id"] for name in ("parent", "child", "unassigned")}
    assert len(tenant.rows("Actions")) == 3
    for action in actions.values():
        assert "moved to another provider" in action["note"]
        assert (action["hiddenfromuser"], action["sendemail"], action["outcome_id"]) == (True, False, 7)
    (contract,) = tenant.rows("ClientContract", client_id=client_id)
    assert (contract["end_date"], contract["rollingcontract"]) == ("2026-12-31T00:00:00", False)
    (invoice,) = tenant.rows("RecurringInvoice", client_id=client_id)
    assert not invoice.get("disabled")
    assert result.recurring_invoice_ids == [invoice["id"]]
    assert sorted(result.closed_ticket_ids) == sorted(actions)
    assert len(result.asset_ids) == 1
    notes = [note["note"] for note in tenant.rows("CRMNote", client_id=client_id)]
    assert [note.splitlines()[0] for note in notes[1:]] == [
        "Leaving; last service day: 2026-12-31. moved to another provider",
        HEAD,
        "Wound down; last service day: 2026-12-31",
    ]
    assert f"recurring invoice {invoice['id']}: left: contract -, next on 2027-01-01" in notes[3]
    assert notebook.keys == {f"halo:{client_id}"}


@pytest.mark.usefixtures("client_id")
async def test_what_is_only_reported_may_be_out_of_the_agents_sight(tenant: Tenant) -> None:
    notebook = Notebook()
    tenant.sandbox.faults.forbid = frozenset(
        {"GET /api/RecurringInvoice", "GET /api/Asset", "GET /api/Users", "POST /api/CRMNote", "GET /api/Agent/me"}
    )
    tenant.settings["closer_agent_id"] = 5
    tenant.restart()

    result = await tenant.finish(event("client.churned", LEAVES), notebook)

    (ticket,) = tenant.rows("Tickets", summary="unassigned")
    assert (ticket["hasbeenclosed"], ticket["agent_id"]) == (True, 5)
    assert (result.recurring_invoice_ids, result.asset_ids) == ([], [])
    assert set(notebook.remarks) == {"leaving:remark", "changes:1:remark", "report:remark"}
    assert "not noted on the client" in notebook.remarks["report:remark"]


@pytest.mark.usefixtures("client_id")
async def test_before_the_last_day_is_over_only_the_note_is_written(tenant: Tenant) -> None:
    notebook = Notebook()
    before = len(tenant.wire.calls)

    with pytest.raises(Asleep):
        await tenant.claim(event("client.churned", LEAVES), notebook)
    assert {call for call in tenant.wire.calls[before:] if call.startswith("POST")} == {"POST /api/CRMNote"}
    assert len([row for row in tenant.rows("CRMNote") if row["note"].startswith("Leaving")]) == 1
    ((when, what),) = notebook.waits.values()
    assert when == datetime(2027, 1, 1, tzinfo=UTC)
    assert what == "2026-12-31, the last service day of Acme Corporation, to end"


async def test_what_came_while_waiting_is_wound_down_too(tenant: Tenant, client_id: int) -> None:
    notebook = Notebook()
    with pytest.raises(Asleep):
        await tenant.claim(event("client.churned", LEAVES), notebook)
    tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "new", "agent_id": 3})
    await tenant.finish(event("client.churned", LEAVES), notebook)

    assert all(ticket["hasbeenclosed"] for ticket in tenant.rows("Tickets", client_id=client_id))


async def test_without_a_date_it_happens_now(tenant: Tenant, client_id: int) -> None:
    notebook = Notebook()
    tenant.policy = Policy(churn_client=ChurnClient(ask_before_term=False))
    result = await tenant.claim(event("client.churned", {"client": {"id": "C-77"}}), notebook)

    assert result.client_id == client_id
    assert notebook.waits == {}
    # The contract was to start on a later day.
    (contract,) = tenant.rows("ClientContract", client_id=client_id)
    assert (contract["end_date"], contract["active"]) == ("2026-12-01T00:00:00", False)


@pytest.mark.parametrize(
    ("given", "ended"),
    [
        ({"end_date": "2026-06-30T00:00:00", "rollingcontract": False}, "2026-06-30T00:00:00"),
        ({"end_date": "2026-06-30T00:00:00", "rollingcontract": True}, "2026-12-31T00:00:00"),
        ({"end_date": "2028-06-30T00:00:00", "rollingcontract": False}, "2026-12-31T00:00:00"),
        ({"rollingcontract": True}, "2026-12-31T00:00:00"),
        ({"end_date": "1899-12-30T00:00:00", "rollingcontract": False}, "2026-12-31T00:00:00"),
    ],
)
async def test_contracts_end_on_the_day_and_not_before_their_own(
    tenant: Tenant, client_id: int, given: dict[str, Any], ended: str
) -> None:
    fields = {"client_id": client_id, "ref": "OLD", "start_date": "2025-01-01T00:00:00", **given}
    contract = tenant.sandbox.plant("ClientContract", fields)
    await tenant.finish(event("client.churned", LEAVES))

    (row,) = tenant.rows("ClientContract", id=contract)
    assert (row["end_date"], row["rollingcontract"]) == (ended, False)


async def test_a_refused_ticket_is_named_holds_up_nothing_and_is_closed_after_mending(
    tenant: Tenant, client_id: int
) -> None:
    notebook = Notebook()
    hidden = tenant.sandbox.plant("Tickets", {"client_id": 12, "summary": "project task", "agent_id": 3})
    (parent,) = tenant.rows("Tickets", summary="parent")
    # A child at another client keeps the parent open.
    tenant.change("Tickets", hidden, parent_id=parent["id"])

    with pytest.raises(NeedsOperator, match=rf"Ticket {parent['id']}: .*Please close all child Tickets") as refused:
        await tenant.finish(event("client.churned", LEAVES), notebook)
    assert "What comes last waits for them: the reading back, the report" in str(refused.value)
    assert not any(note["note"].startswith("Wound down") for note in tenant.rows("CRMNote", client_id=client_id))
    open_ones = [ticket["id"] for ticket in tenant.rows("Tickets", client_id=client_id, hasbeenclosed=False)]
    assert open_ones == [parent["id"]]
    assert tenant.rows("ClientContract", client_id=client_id)[0]["end_date"] == "2026-12-31T00:00:00"
    assert tenant.rows("Client", id=client_id)[0]["inactive"]

    tenant.change("Tickets", hidden, hasbeenclosed=True, status_id=9)
    await tenant.finish(event("client.churned", LEAVES), notebook)
    assert tenant.rows("Tickets", id=parent["id"])[0]["hasbeenclosed"]
    assert len(tenant.rows("Actions", ticket_id=parent["id"])) == 1


async def test_a_client_that_is_not_there_may_still_come(tenant: Tenant) -> None:
    with pytest.raises(NotYet, match="C-77"):
        await tenant.finish(event("client.churned", LEAVES))


@pytest.mark.usefixtures("client_id")
async def test_a_churn_that_comes_late_asks_first(tenant: Tenant) -> None:
    notebook = Notebook(newer="r-2")
    before = tenant.picture()

    with pytest.raises(Asleep, match="r-2"):
        await tenant.claim(event("client.churned", LEAVES), notebook)
    assert tenant.picture() == before


@pytest.mark.usefixtures("client_id")
async def test_inactive_last_sets_the_client_inactive_after_everything_else(tenant: Tenant) -> None:
    before = len(tenant.wire.calls)
    tenant.policy = Policy(churn_client=ChurnClient(order="inactive-last"))
    await tenant.finish(event("client.churned", LEAVES))

    writes = [call for call in tenant.wire.calls[before:] if call.startswith("POST")]
    # Backwards and each once, since on a bad day some are sent again.
    last_ones = list(dict.fromkeys(reversed(writes)))[:3]
    assert last_ones == ["POST /api/Client", "POST /api/CRMNote", "POST /api/ClientContract"]


async def test_inactive_last_is_for_a_halopsa_whose_inactive_clients_take_no_writes(
    tenant: Tenant, client_id: int
) -> None:
    tenant.sandbox.faults.refuse_inactive_writes = True
    tenant.policy = Policy(churn_client=ChurnClient(order="inactive-last"))
    await tenant.finish(event("client.churned", LEAVES))

    assert tenant.rows("Client", id=client_id)[0]["inactive"]
    report = tenant.rows("CRMNote", client_id=client_id)[-1]["note"]
    assert f"client {client_id}: changed: last of all, when this report is written: inactive: False → True" in report


@pytest.mark.usefixtures("client_id")
async def test_inactive_last_is_read_back_too(tenant: Tenant) -> None:
    tenant.sandbox.faults.drop_fields = frozenset({"Client.inactive"})
    tenant.policy = Policy(churn_client=ChurnClient(order="inactive-last"))

    with pytest.raises(NeedsOperator, match="is active"):
        await tenant.finish(event("client.churned", LEAVES))


@pytest.mark.usefixtures("client_id")
async def test_a_status_that_halopsa_does_not_have_needs_a_person(tenant: Tenant) -> None:
    tenant.policy = Policy(churn_client=ChurnClient(closed_status="Gone"))
    with pytest.raises(NeedsOperator, match="no ticket status 'Gone'"):
        await tenant.finish(event("client.churned", LEAVES))


async def test_an_event_that_is_not_valid_asks_nothing_of_halopsa(tenant: Tenant) -> None:
    with pytest.raises(InvalidEvent, match="Client id or name is required"):
        await tenant.finish(event("client.churned", {"last_service_day": "2026-12-31"}))
    assert tenant.wire.calls == []
