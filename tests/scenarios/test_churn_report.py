"""A churn says what it did, what it left and to whom: in notes, in its report and in tickets."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from tests.memory_run import STARTED, Notebook, restored
from tests.tenant import Tenant, event
from worker.errors import NeedsOperator
from workflows.policy import Policy
from workflows.report import DRAFT, Report, digest_in

SAID = {"reason": "moved", "requested_by": "jane@msp.example", "handover_to": "Other IT Ltd"}
LEAVES = event("client.churned", {"client": {"id": "C-77"}, "last_service_day": "2026-12-31", **SAID})
AFTERWARDS = datetime(2027, 1, 2, tzinfo=UTC)
FINANCE = {"client": "Example MSP", "ticket_type": "Service Request", "summary": "Final bill of {client.id}"}


@pytest.fixture(autouse=True)
def time_stands_still() -> Iterator[None]:
    """Reports bear the time."""
    with time_machine.travel(STARTED, tick=False):
        yield


@pytest.fixture
def client_id(tenant: Tenant) -> int:
    """A client with two tickets, a contract, a recurring invoice, an asset and a contact who uses the portal."""
    plant = tenant.sandbox.plant
    client_id: int = plant("Client", tenant.keyed("C-77", name="Acme"))
    site = plant("Site", {"client_id": client_id, "name": "HQ"})
    plant("Users", {"name": "Ada", "client_id": client_id, "site_id": site, "web_access_level": 2})
    for kind in (1, 25):
        plant("Tickets", {"client_id": client_id, "summary": f"type {kind}", "tickettype_id": kind})
    terms = {"ref": "D-1", "end_date": "2027-06-30T00:00:00", "rollingcontract": True, "contract_prepaybalance": 12.5}
    plant("ClientContract", {"client_id": client_id, **terms})
    plant("RecurringInvoice", {"client_id": client_id, "nextcreationdate": "2027-01-01T00:00:00"})
    plant("Asset", {"client_id": client_id, "inventory_number": "PC-1", "assettype_id": 131})
    return client_id


async def churn(tenant: Tenant, notebook: Notebook | None = None, **policy: Any) -> Report:
    """Let the client leave by a policy; returns the report."""
    notebook = notebook or Notebook()
    notebook.clock = AFTERWARDS
    tenant.policy = Policy.model_validate(policy)
    await tenant.finish(LEAVES, notebook)
    return Report.model_validate(restored(notebook, DRAFT))


def told(report: Report, what: str) -> list[tuple[str, dict[str, tuple[Any, Any]], str]]:
    return [(line.done, line.changes, line.why) for line in report.lines if line.what == what]


async def test_the_report_names_each_change_with_before_and_after(tenant: Tenant, client_id: int) -> None:
    rules = {"recurring_invoices": "end", "assets": "retire", "keep_types": ["Onboarding"]}
    report = await churn(tenant, churn_client=rules)

    assert (report.client_id, report.title) == (client_id, "Wound down; last service day: 2026-12-31")
    assert told(report, "client") == [("changed", {"inactive": (False, True)}, "")]
    ended = {"end": ("2027-06-30", "2026-12-31"), "rolling": (True, False)}
    assert told(report, "contract") == [("ended", ended, "")]
    assert told(report, "recurring invoice") == [
        ("ended", {"end": (None, "2026-12-31"), "disabled": (False, True)}, "")
    ]
    assert told(report, "asset") == [("changed", {"inactive": (False, True)}, "")]
    assert [(done, why) for done, _, why in told(report, "ticket")] == [
        ("closed", ""),
        ("left", "of a type that is handed over"),
    ]
    access = [] if tenant.dialect == "guide" else [("changed", {"portal_access": (2, 0)}, "")]
    assert told(report, "contact") == [*access, ("left", {}, "contacts stay")]


async def test_the_note_bears_the_reports_digest(tenant: Tenant, client_id: int) -> None:
    report = await churn(tenant)

    note = tenant.rows("CRMNote", client_id=client_id)[-1]["note"]
    assert note.startswith(report.title)
    assert digest_in(note) == report.digest


async def test_who_asked_for_it_and_who_takes_over_stands_in_every_text(tenant: Tenant, client_id: int) -> None:
    await churn(tenant, churn_client={"final_billing": FINANCE})

    notes = [row["note"] for row in tenant.rows("CRMNote", client_id=client_id)]
    (ticket,) = tenant.rows("Tickets", client_id=1)
    for text in (notes[0], notes[-1], ticket["details"]):
        assert "Requested by jane@msp.example" in text
        assert "Handed over to Other IT Ltd" in text


@pytest.mark.usefixtures("client_id")
async def test_finance_is_told_what_is_prepaid_what_comes_next_and_what_to_look_at(tenant: Tenant) -> None:
    report = await churn(tenant, churn_client={"final_billing": FINANCE})

    (ticket,) = tenant.rows("Tickets", client_id=1)
    assert (
        "D-1: from 2026-11-23 to 2027-06-30, 6 months of its term left, prepaid and not used: 12.5" in ticket["details"]
    )
    assert "contract -, next on 2027-01-01" in ticket["details"]
    assert "not billed yet: look yourself" in ticket["details"]
    assert ("made", [ticket["id"]]) in [(line.done, line.ids) for line in report.lines]


@pytest.mark.parametrize(
    ("start", "end", "rolling", "said"),
    [
        ("2027-01-01", "2027-12-31", False, "12 months of its term left"),
        ("2027-02-01", "2028-01-31", False, "12 months of its term left"),
        ("2026-01-15", "2027-01-14", False, "1 month of its term left"),
        ("2026-01-01", "2027-02-01", True, "2 months of its term left"),
        ("2026-01-01", "2099-01-01", False, "rolls, no fixed term"),
        ("2026-01-01", "1899-12-30", True, "rolls, no fixed term"),
        ("2026-01-01", "2026-06-30", True, "rolls, no fixed term"),
    ],
)
async def test_finance_is_told_what_is_left_of_a_term(
    tenant: Tenant, client_id: int, start: str, end: str, *, rolling: bool, said: str
) -> None:
    dates = {"start_date": f"{start}T00:00:00", "end_date": f"{end}T00:00:00"}
    tenant.sandbox.plant("ClientContract", {"client_id": client_id, "ref": "D-9", "rollingcontract": rolling, **dates})
    report = await churn(tenant)

    (told_of,) = [remark for remark in report.remarks if "D-9" in remark]
    assert told_of.split(", ", 1)[1] == said


async def test_a_contract_that_has_not_begun_never_begins_and_comes_back(tenant: Tenant, client_id: int) -> None:
    dates = {"start_date": "2027-03-01T00:00:00", "end_date": "2028-02-29T00:00:00"}
    contract = tenant.sandbox.plant("ClientContract", {"client_id": client_id, "rollingcontract": True, **dates})
    report = await churn(tenant)

    changes = {"end": ("2028-02-29", "2027-03-01"), "active": (True, False), "rolling": (True, False)}
    assert told(report, "contract")[1] == ("ended", changes, "it was to begin after the last service day")
    (row,) = tenant.rows("ClientContract", id=contract)
    assert (row["end_date"], row["active"]) == ("2027-03-01T00:00:00", False)

    await tenant.finish(event("client.reactivated", {"client": {"id": "C-77"}}), Notebook(run="r-2"))
    (row,) = tenant.rows("ClientContract", id=contract)
    assert (row["end_date"], row["active"], row["rollingcontract"]) == ("2028-02-29T00:00:00", True, True)


@pytest.mark.usefixtures("client_id")
async def test_without_a_ticket_finance_finds_it_in_the_report(tenant: Tenant) -> None:
    report = await churn(tenant)

    assert "prepaid and not used: 12.5" in report.text()
    assert "not billed yet: look yourself" in report.text()


async def test_what_an_operator_left_out_is_named_and_not_called_done(tenant: Tenant, client_id: int) -> None:
    notebook = Notebook()
    (contract,) = tenant.rows("ClientContract", client_id=client_id)
    (ticket,) = tenant.rows("Tickets", summary="type 1")
    # A child at another client keeps the ticket open.
    tenant.sandbox.plant("Tickets", {"client_id": 12, "summary": "child", "parent_id": ticket["id"]})
    notebook.steps[f"contract:{contract['id']}"] = b"null"
    notebook.steps["final-billing"] = b"null"
    rules = {"final_billing": FINANCE}
    with pytest.raises(NeedsOperator, match=f"Ticket {ticket['id']}"):
        await churn(tenant, notebook, churn_client=rules)
    notebook.steps["refused-tickets"] = b"null"
    report = await churn(tenant, notebook, churn_client=rules)

    assert told(report, "contract") == told(report, "step") == [("skipped", {}, "left out by an operator")]
    ((done, _, why),) = [line for line in told(report, "ticket") if line[0] != "closed"]
    assert (done, "Please close all child Tickets" in why) == ("refused", True)
    assert tenant.rows("ClientContract", client_id=client_id)[0]["end_date"] == "2027-06-30T00:00:00"


async def test_fields_by_halopsas_own_names_are_set_when_tickets_are_opened_and_closed(
    tenant: Tenant, client_id: int
) -> None:
    types = {
        "Service Request": {"open_fields": {"impact": 3, "urgency": 1, "CFResolution": "{client.id}"}},
        "Incident": {"close_fields": {"category_1": "Left: {reason}", "CFResolution": "{handover_to}"}},
    }
    ticket = FINANCE | {"fields": {"urgency": 2}}
    await churn(tenant, ticket_types=types, churn_client={"final_billing": ticket})

    (opened,) = tenant.rows("Tickets", client_id=1)
    assert (opened["impact"], opened["urgency"]) == (3, 2)
    assert [(field["name"], field["value"]) for field in opened["customfields"]] == [("CFResolution", "C-77")]
    closed, other = tenant.rows("Tickets", client_id=client_id)
    assert closed["category_1"] == "Left: moved"
    assert [field["value"] for field in closed["customfields"]] == ["Other IT Ltd"]
    assert "category_1" not in other


@pytest.mark.usefixtures("client_id")
@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("Client.inactive", r"client \d+ is active"),
        ("ClientContract.end_date", r"contract \d+ runs on"),
        ("ClientContract.active", r"contract \d+ runs on"),
        ("Asset.inactive", r"asset \d+ is as it was"),
    ],
)
async def test_what_halopsa_lost_without_a_word_is_read_back_and_named(
    tenant: Tenant, client_id: int, lost: str, named: str
) -> None:
    tenant.sandbox.faults.drop_fields = frozenset({lost})
    later = {"start_date": "2027-03-01T00:00:00", "end_date": "2028-02-29T00:00:00"}
    tenant.sandbox.plant("ClientContract", {"client_id": client_id, **later})

    with pytest.raises(NeedsOperator, match=named):
        await churn(tenant, churn_client={"assets": "retire"})


async def test_what_the_policy_only_reports_is_named_as_left(tenant: Tenant, client_id: int) -> None:
    tenant.change("Client", client_id, inactive=True)
    report = await churn(tenant, churn_client={"contracts": "report"})

    assert told(report, "client") == [("left", {}, "inactive before")]
    assert told(report, "contract") == [("left", {}, "runs on")]
    assert told(report, "recurring invoice") == [("left", {}, "contract -, next on 2027-01-01")]
    assert told(report, "asset") == [("left", {}, "to be dealt with by a person")]


async def test_a_reassigned_asset_stands_at_its_new_clients_main_site(tenant: Tenant, client_id: int) -> None:
    heir = tenant.sandbox.plant("Client", {"name": "Heir"})
    site = tenant.rows("Client", id=heir)[0]["main_site_id"]
    report = await churn(tenant, churn_client={"assets": "reassign", "reassign_assets_to": "Heir"})

    (asset,) = tenant.rows("Asset")
    assert (asset["client_id"], asset["site_id"]) == (heir, site)
    ((done, changes, _),) = told(report, "asset")
    assert (done, changes["client_id"]) == ("changed", (client_id, heir))
