"""What runs do in HaloPSA comes back as its webhooks, and starts no churn."""

from typing import Any

import pytest

from tests.memory_run import STARTED, MemoryRun, Notebook
from tests.tenant import Tenant, event
from worker.errors import Ignored
from worker.events import Event
from workflows.crm import HaloHydrator
from workflows.hydration import Hydration
from workflows.policy import ChurnClient, Policy
from workflows.policy.sources import RecordRule, Source
from workflows.sandbox.halopsa.reference import API_AGENT

SET_INACTIVE = Source(churned=(RecordRule(object="client", field="inactive", values=("true",)),))
CLIENT = {"client": {"id": "C-77"}}
LEAVES = CLIENT | {"last_service_day": "2026-11-22"}


class Reading(MemoryRun):
    """Stands before reads outside a run."""

    def __init__(self, notebook: Notebook) -> None:
        super().__init__(notebook)
        self._step = "hydration"


@pytest.fixture
async def client_id(tenant: Tenant) -> int:
    """A client that was wound down; a ticket of a type that is handed over stays open."""
    client_id: int = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme"))
    tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "kept", "tickettype_id": 25})
    tenant.sandbox.plant("ClientContract", {"client_id": client_id, "end_date": "2027-06-30T00:00:00"})
    tenant.policy = Policy(churn_client=ChurnClient(keep_types=("Onboarding",)))
    await tenant.finish(event("client.churned", LEAVES))
    return client_id


async def told(tenant: Tenant, client_id: int, agent: str) -> Event:
    """Hear from HaloPSA that the client has changed."""
    given = {"id": str(client_id), "change": "changed", "values": {}, "previous": {}, "event": "", "agent_id": agent}
    payload: dict[str, Any] = {"type": "halopsa.client", "source": {"system": "halopsa"}, "data": given}
    hydrator = HaloHydrator(tenant.connection.for_run(Reading(Notebook())), SET_INACTIVE)
    return await Hydration({"halopsa": hydrator}).hydrate(
        Event("halopsa:1", "halopsa", "halopsa.client", STARTED, payload)
    )


async def ignored(tenant: Tenant, client_id: int) -> bool:
    """Whether it means nothing, whether or not HaloPSA says which agent did it."""
    seen = []
    for agent in ("", "0", str(API_AGENT)):
        try:
            await told(tenant, client_id, agent)
        except Ignored:
            seen.append(agent)
    assert len(seen) in {1, 3}
    return len(seen) == 3


async def test_a_finished_churn_starts_no_second_one(tenant: Tenant, client_id: int) -> None:
    assert tenant.rows("Client", id=client_id)[0]["inactive"]
    assert await ignored(tenant, client_id)


async def test_a_churn_under_way_starts_no_second_one(tenant: Tenant, client_id: int) -> None:
    notes = tenant.sandbox.store["CRMNote"].rows
    del notes[max(notes)]

    assert list(notes.values())[-1]["note"].splitlines()[-1].endswith("changes 1 of 1")
    assert await ignored(tenant, client_id)


async def test_nor_does_what_another_run_changes_afterwards(tenant: Tenant, client_id: int) -> None:
    changed = {"client": {"id": "C-77", "website": "https://new.example.com"}}
    await tenant.finish(event("client.updated", changed), Notebook(run="r-2"))

    assert tenant.rows("CRMNote", client_id=client_id)[-1]["note"].endswith("r-2: report")
    assert await ignored(tenant, client_id)


async def test_a_client_that_came_back_starts_none_and_may_leave_again(tenant: Tenant, client_id: int) -> None:
    await tenant.finish(event("client.reactivated", CLIENT), Notebook(run="r-2"))
    assert await ignored(tenant, client_id)

    tenant.change("Client", client_id, inactive=True)
    assert not await ignored(tenant, client_id)
