"""The report of an onboarding: on the client, and in the CRM."""

import pytest

from tests.memory_run import MemoryRun, Notebook
from tests.scenarios.won_deals import Fields, further, onboarded, policy
from tests.tenant import DAYS, Tenant, event
from worker.events import Event
from worker.run import Guard
from workflows.msp import Msp
from workflows.onboard_client import Onboarded, onboard_client
from workflows.sandbox import Faults


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


async def test_the_report_says_what_was_done(tenant: Tenant, deal: Fields) -> None:
    deal["contacts"].append({"name": "Bad", "email": "bad@"})
    first = await onboarded(tenant, deal)
    tenant.change("Users", first.contact_ids[0], inactive=True)
    deal["deal"]["id"], deal["client"]["name"] = "D-1002", "ACME Corporation"
    deal["sites"][0]["phone"] = "555-000"
    await further(tenant, deal)

    made, again = (note["note"] for note in tenant.rows("CRMNote", client_id=first.client_id))
    assert made.startswith("Onboarded from won deal D-1001 Acme, managed services\n")
    assert f"- client {first.client_id} (Acme Corporation): made" in made
    assert f"- contact {first.contact_ids[0]} (John Smith): made" in made
    assert f"- contract {first.contract_id} (D-1001): made" in made
    assert "Note: contact left out: Invalid email format" in made
    assert f"- client {first.client_id} (Acme Corporation): found" in again
    assert f"- contact {first.contact_ids[0]} (John Smith): changed: inactive: True → False" in again
    assert "Note: main site differs: phone 555-123-4567 here, 555-000 there; left" in again


async def test_the_report_may_be_left_out(tenant: Tenant, deal: Fields) -> None:
    tenant.policy = policy(onboard_client={"report_note": False})
    await onboarded(tenant, deal)

    assert tenant.rows("CRMNote") == []


async def test_the_crm_is_told_if_the_policy_says_so(deal: Fields) -> None:
    tenant = Tenant(dialect="v2")
    told: list[str] = []

    class Hubspot:
        async def note_on_deal(self, event: Event, text: str, guard: Guard) -> bool:
            told.append(f"{event.id}, run {guard.id}: {text}" if isinstance(guard, MemoryRun) else "")
            return True

    deal["deal"]["kind"] = "new"

    async def onboard(*, write_back: bool) -> Onboarded:
        run = MemoryRun(Notebook())
        rules = policy(onboard_client={"crm_write_back": write_back})
        return await onboard_client(run, Msp(tenant.connection.for_run(run), rules, Hubspot()), event("deal.won", deal))

    await onboard(write_back=False)
    result = await onboard(write_back=True)

    (text,) = told
    assert text.startswith("standard:msg-1, run r-1: Onboarded from won deal D-1001 Acme, managed services")
    assert f"contract {result.contract_id} (D-1001)" in text
