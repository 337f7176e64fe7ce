"""What the policy says of a client that leaves: who decides, what is handed over, and what ends."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from tests.memory_run import STARTED, Asleep, MemoryRun, Notebook
from tests.tenant import AFTER, BEFORE, DAYS, Crash, Tenant, event
from worker.budget import WaitingGuard
from worker.errors import NeedsOperator, RetryLater
from worker.planned_run import Plan, PlannedRun, draw_up
from workflows.churn_client import Churned, churn_client
from workflows.msp import Msp, msp_for_plan
from workflows.policy import Policy
from workflows.sandbox import Faults
from workflows.sandbox.halopsa.dialects import DialectName

LEAVES = {"client": {"id": "C-77"}, "last_service_day": "2026-12-31", "reason": "moved to another provider"}
AFTERWARDS = datetime(2027, 1, 2, tzinfo=UTC)
FINANCE = {"client": "Example MSP", "ticket_type": "Service Request", "summary": "Final bill of {client.id}"}


@pytest.fixture(params=[Faults, Faults.unpleasant], ids=list(DAYS))
def faults(request: pytest.FixtureRequest) -> Faults:
    day: Faults = request.param()
    return day


@pytest.fixture(autouse=True)
def time_stands_still() -> Iterator[None]:
    """Reports bear the time."""
    with time_machine.travel(STARTED, tick=False):
        yield


def policy(**churn: Any) -> Policy:
    return Policy.model_validate({"churn_client": churn})


EVERYTHING = policy(
    keep_types=["Onboarding"],
    hand_over={"team": "Finance"},
    final_billing=FINANCE,
    recurring_invoices="end",
    assets="retire",
    rmm="task",
    rmm_task=FINANCE | {"summary": "Remove the agents"},
)


async def churn(tenant: Tenant, rules: Policy, notebook: Notebook | None = None, **data: Any) -> Churned:
    """Let the client leave by a policy; trouble and crashes are gone on from, waits end the claim."""
    notebook = notebook or Notebook(clock=AFTERWARDS)
    while True:
        run = MemoryRun(notebook)
        try:
            return await churn_client(
                run, Msp(tenant.connection.for_run(run), rules), event("client.churned", LEAVES | data)
            )
        except RetryLater:
            pass
        except Crash:
            tenant.restart()


@pytest.fixture
def client_id(tenant: Tenant) -> int:
    """A client with a contact who uses the portal, and another who does not."""
    client_id: int = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme"))
    site = tenant.sandbox.plant("Site", {"client_id": client_id, "name": "HQ"})
    for name, level in (("Ada", 2), ("Ben", 0)):
        user = {"name": name, "client_id": client_id, "site_id": site, "web_access_level": level}
        tenant.sandbox.plant("Users", user)
    return client_id


def plant_many(tenant: Tenant, client_id: int) -> None:
    """Give the client tickets of several types, a contract, recurring invoices and assets."""
    plant = tenant.sandbox.plant
    for kind in (1, 1, 3, 25):
        plant("Tickets", {"client_id": client_id, "summary": f"type {kind}", "tickettype_id": kind})
    contract = plant("ClientContract", {"client_id": client_id, "ref": "D-1", "end_date": "2027-06-30T00:00:00"})
    plant("RecurringInvoice", {"client_id": client_id, "contract_id": contract})
    plant("RecurringInvoice", {"client_id": client_id, "disabled": True})
    for tag in ("PC-1", "PC-2"):
        plant("Asset", {"client_id": client_id, "inventory_number": tag, "assettype_id": 131})


async def question(tenant: Tenant, rules: Policy, notebook: Notebook | None = None, **data: Any) -> str:
    """What a person is asked before anything but the note is written."""
    before = len(tenant.wire.calls)
    with pytest.raises(Asleep) as asked:
        await churn(tenant, rules, notebook, **data)
    writes = [call for call in tenant.wire.calls[before:] if call.startswith("POST")]
    assert set(writes) <= {"POST /api/CRMNote"}
    return str(asked.value)


@pytest.mark.usefixtures("client_id")
async def test_a_client_found_by_its_name_alone_is_asked_about(tenant: Tenant) -> None:
    assert "found by its name alone" in await question(tenant, Policy(), client={"name": "ACME"})


async def test_many_tickets_are_asked_about(tenant: Tenant, client_id: int) -> None:
    plant_many(tenant, client_id)

    assert "more than 3 open tickets" in await question(tenant, policy(max_open_tickets=3))


async def test_clients_that_belong_to_it_are_asked_about(tenant: Tenant, client_id: int) -> None:
    parent = {"toplevel_id": client_id} if tenant.dialect == "guide" else {"client_to_invoice": client_id}
    child = tenant.sandbox.plant("Client", {"name": "Acme North", **parent})

    assert f"other clients belong to it ({child})" in await question(tenant, Policy())
    assert (await churn(tenant, policy(ask_about_children=False))).client_id == client_id


async def test_a_term_that_is_not_over_is_asked_about_where_no_day_is_given(tenant: Tenant, client_id: int) -> None:
    plant_many(tenant, client_id)

    assert "names no last day" in await question(tenant, Policy(), last_service_day=None)


async def test_the_msp_itself_and_halopsas_catch_all_client_are_asked_about(tenant: Tenant, client_id: int) -> None:
    assert "the MSP's own" in await question(tenant, policy(final_billing=FINANCE | {"client": "ACME"}))
    assert "the MSP's own" in await question(tenant, policy(final_billing=FINANCE | {"client": client_id}))
    tenant.change("Client", client_id, name="Unknown")
    assert "what belongs to no client" in await question(tenant, Policy())


async def test_what_has_changed_while_waiting_is_asked_about(tenant: Tenant, client_id: int) -> None:
    notebook = Notebook()
    rules = policy(max_open_tickets=3)
    with pytest.raises(Asleep, match="last service day"):
        await churn(tenant, rules, notebook)
    plant_many(tenant, client_id)
    notebook.clock = AFTERWARDS

    assert "more than 3 open tickets" in await question(tenant, rules, notebook)


@pytest.mark.usefixtures("client_id")
async def test_the_last_day_ends_in_the_policys_time_zone(tenant: Tenant) -> None:
    notebook = Notebook()
    with pytest.raises(Asleep):
        await churn(tenant, Policy(time_zone="America/New_York"), notebook)

    ((when, _),) = notebook.waits.values()
    assert when == datetime(2027, 1, 1, 5, tzinfo=UTC)


async def test_a_type_with_a_mandatory_field_is_closed_with_what_the_policy_gives_it(
    tenant: Tenant, client_id: int
) -> None:
    kind = next(row for row in tenant.sandbox.state()["TicketType"] if row["name"] == "Complaint")
    field = kind["fields"][0]["fieldname"]
    for number in range(2):
        ticket = {"client_id": client_id, "summary": f"complaint {number}", "tickettype_id": kind["id"]}
        tenant.sandbox.plant("Tickets", ticket)

    with pytest.raises(NeedsOperator, match=r"Ticket \d+: .*Please enter"):
        await churn(tenant, Policy(), Notebook(clock=AFTERWARDS))
    rules = Policy.model_validate({"ticket_types": {"Complaint": {"close_fields": {field: "client left"}}}})
    await churn(tenant, rules)
    assert all(row["hasbeenclosed"] for row in tenant.rows("Tickets", client_id=client_id))


async def test_kept_types_are_handed_over_and_listed(tenant: Tenant, client_id: int) -> None:
    plant_many(tenant, client_id)
    rules = policy(keep_types=["Onboarding", 3], hand_over={"team": "Finance", "agent": "omar@msp.example"})
    result = await churn(tenant, rules)

    kept = [row for row in tenant.rows("Tickets", client_id=client_id) if row["tickettype_id"] in {3, 25}]
    assert [(row["hasbeenclosed"], row["team"], row["agent_id"]) for row in kept] == [(False, "Finance", 5)] * 2
    assert sorted(result.kept_ticket_ids) == [row["id"] for row in kept]
    assert len(result.closed_ticket_ids) == 2
    assert all(row["hasbeenclosed"] for row in tenant.rows("Tickets", tickettype_id=1))


async def test_finance_gets_a_ticket_under_the_msps_own_client(tenant: Tenant, client_id: int) -> None:
    plant_many(tenant, client_id)
    await churn(tenant, policy(final_billing=FINANCE))

    (ticket,) = tenant.rows("Tickets", client_id=1)
    assert ticket["summary"].startswith("Final bill of C-77")
    assert "6 months of its term left" in ticket["details"]
    assert "Recurring invoice" in ticket["details"]
    assert not ticket["hasbeenclosed"]


async def test_invoices_end_only_where_the_policy_says_so(tenant: Tenant, client_id: int) -> None:
    plant_many(tenant, client_id)
    result = await churn(tenant, policy(recurring_invoices="end"))

    invoices = tenant.rows("RecurringInvoice", client_id=client_id)
    assert [row["disabled"] for row in invoices] == [True, True]
    assert invoices[0]["enddate"] == "2026-12-31T00:00:00"
    assert (result.ended_invoice_ids, result.recurring_invoice_ids) == ([invoices[0]["id"]], [])


async def test_contracts_are_only_reported_where_the_policy_says_so(tenant: Tenant, client_id: int) -> None:
    plant_many(tenant, client_id)
    result = await churn(tenant, policy(contracts="report"))

    assert tenant.rows("ClientContract", client_id=client_id)[0]["end_date"] == "2027-06-30T00:00:00"
    assert result.ended_contract_ids == []


async def test_contacts_lose_the_portal_and_nothing_else(tenant: Tenant, client_id: int) -> None:
    before = tenant.rows("Users", client_id=client_id)
    result = await churn(tenant, Policy())

    after = tenant.rows("Users", client_id=client_id)
    if tenant.dialect == "guide":
        # The guide knows no access to a portal.
        assert after == before
        return
    assert after == [row | {"web_access_level": 0} if row["name"] == "Ada" else row for row in before]
    assert list(result.portal_access.values()) == [2]


@pytest.mark.parametrize(
    ("churn_policy", "changed"),
    [
        ({"assets": "retire"}, {"inactive": True}),
        ({"assets": "return", "asset_status_id": 7}, {"status_id": 7}),
        ({"assets": "reassign", "reassign_assets_to": "Example MSP"}, {"client_id": 1}),
    ],
)
async def test_assets_go_where_the_policy_says(
    tenant: Tenant, client_id: int, churn_policy: dict[str, Any], changed: dict[str, Any]
) -> None:
    plant_many(tenant, client_id)
    await churn(tenant, policy(**churn_policy))

    assert all(asset | changed == asset for asset in tenant.rows("Asset"))


async def test_what_is_refused_of_the_hand_over_is_named_and_holds_up_nothing(tenant: Tenant, client_id: int) -> None:
    plant_many(tenant, client_id)
    tenant.sandbox.faults.refuse = {"POST /api/Asset": "It is on loan"}

    with pytest.raises(NeedsOperator, match=r"Assets: asset \d+: .*It is on loan"):
        await churn(tenant, policy(assets="retire"))
    assert not tenant.rows("Tickets", client_id=client_id, hasbeenclosed=False)
    assert tenant.rows("ClientContract", client_id=client_id)[0]["end_date"] == "2026-12-31T00:00:00"


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
async def test_nothing_that_goes_wrong_changes_what_the_policy_wants(kind: str) -> None:
    clean = ready()
    await churn(clean, EVERYTHING)
    for number in range(1, len(clean.wire.calls) + 1):
        tenant = ready()
        tenant.wire.mishaps = {number: kind}
        await churn(tenant, EVERYTHING)

        assert tenant.picture() == clean.picture(), f"{kind} at request {number}, {clean.wire.calls[number - 1]}"


def ready() -> Tenant:
    tenant = Tenant()
    client_id = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme"))
    plant_many(tenant, client_id)
    return tenant


async def test_a_plan_shows_each_write_that_the_run_then_makes(dialect: DialectName) -> None:
    tenant = Tenant(dialect=dialect)
    plant_many(tenant, tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme")))
    before, picture = len(tenant.wire.requests), tenant.picture()
    plan, guard = Plan("churn_client", "Acme"), WaitingGuard(None, bulk=False)
    run = PlannedRun(plan, guard, id="r-1", now=STARTED)
    msp = msp_for_plan(tenant.connection, EVERYTHING, run, run.note)
    await draw_up(plan, churn_client, run, msp, event("client.churned", LEAVES))

    assert plan.problem is None
    assert tenant.picture() == picture
    await churn(tenant, EVERYTHING)
    made = [request for request in tenant.wire.requests[before:] if request.method == "POST"]
    assert [write["path"] for write in plan.writes] == [one.url.path.removeprefix("/api") for one in made]
    assert [write["body"] for write in plan.writes[:-1]] == [json.loads(one.content) for one in made[:-1]]
