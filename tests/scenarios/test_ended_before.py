"""One leaving is told in several ways, on several days; the client is wound down once."""

import pytest

from tests.memory_run import Notebook
from tests.tenant import DAYS, Tenant, event
from workflows.policy import Policy
from workflows.sandbox import Faults

ACME = {"id": "C-77", "name": "Acme Corporation"}
FINANCE = {"client": "Example MSP", "ticket_type": "Service Request", "summary": "Final bill of {client.id}"}
LOST, CHURNED = "2026-11-12T09:00:00Z", "2026-11-14T09:00:00Z"


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


@pytest.fixture
async def acme(tenant: Tenant) -> int:
    acme = int(tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation")))
    tenant.sandbox.plant("Tickets", {"client_id": acme, "summary": "printer"})
    tenant.sandbox.plant("ClientContract", {"client_id": acme, "end_date": "2026-11-30T00:00:00"})
    tenant.policy = Policy.model_validate({"churn_client": {"final_billing": FINANCE}})
    return acme


async def churned(tenant: Tenant, at: str, run: str) -> dict[str, str]:
    notebook = Notebook(run)
    await tenant.finish(event("client.churned", {"client": ACME, "effective_at": at}), notebook)
    return notebook.remarks


def bills(tenant: Tenant) -> int:
    return sum(str(ticket.get("summary", "")).startswith("Final bill") for ticket in tenant.rows("Tickets"))


@pytest.mark.parametrize("days", [(LOST, CHURNED), (CHURNED, LOST)])
async def test_what_is_told_again_for_another_day_is_neither_billed_nor_noted_again(
    tenant: Tenant, acme: int, days: tuple[str, str]
) -> None:
    await churned(tenant, days[0], "r-01")
    notes = len(tenant.rows("CRMNote", client_id=acme))
    remarks = await churned(tenant, days[1], "r-02")

    assert "is wound down already: Wound down; last service day" in remarks["ended"]
    assert bills(tenant) == 1
    assert len(tenant.rows("CRMNote", client_id=acme)) == notes


async def test_what_was_left_or_came_since_is_wound_down_after_all(tenant: Tenant, acme: int) -> None:
    await churned(tenant, LOST, "r-01")
    late = tenant.sandbox.plant("Tickets", {"client_id": acme, "summary": "one more"})
    remarks = await churned(tenant, CHURNED, "r-02")

    assert "ended" not in remarks
    assert tenant.rows("Tickets", id=late)[0]["hasbeenclosed"]


async def test_a_client_that_people_set_inactive_is_wound_down(tenant: Tenant, acme: int) -> None:
    tenant.change("Client", acme, inactive=True)
    await churned(tenant, LOST, "r-01")

    assert bills(tenant) == 1
