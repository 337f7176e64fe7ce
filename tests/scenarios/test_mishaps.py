"""One effect: whatever goes wrong with whichever request, HaloPSA ends as if every step had run once."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from tests.memory_run import STARTED, Notebook
from tests.tenant import AFTER, BEFORE, Tenant, event
from workflows.policy import Policy
from workflows.sandbox import Faults
from workflows.sandbox.halopsa.dialects import DialectName

KINDS = (*BEFORE, *AFTER)
LEAVES = {"client": {"id": "C-77"}, "last_service_day": "2026-12-31", "reason": "moved"}


FIRST_WRITE = {"v2": 3, "guide": 2}
"""By dialect: the number of the request that makes the client."""


@pytest.fixture(autouse=True)
def time_stands_still() -> Iterator[None]:
    """Reports bear the time."""
    with time_machine.travel(STARTED, tick=False):
        yield


@pytest.fixture
def deal(deal: dict[str, Any]) -> dict[str, Any]:
    """The won deal with a second site, a second contact and an asset."""
    deal["sites"].append({"key": "depot", "name": "Depot", "city": "Chicago", "country": "United States"})
    deal["contacts"].append({"name": "No Mail", "site": "depot"})
    deal["assets"] = [{"tag": "LT-0042", "type": "Laptop", "site": "depot"}]
    del deal["client"]["account_manager_email"]
    deal["deal"]["kind"] = "new"
    return deal


async def onboarding(deal: dict[str, Any], dialect: DialectName) -> tuple[Tenant, Any]:
    return Tenant(dialect=dialect), event("deal.won", deal)


async def churn(deal: dict[str, Any], dialect: DialectName) -> tuple[Tenant, Any]:
    tenant = Tenant(dialect=dialect)
    client_id = (await tenant.finish(event("deal.won", deal), Notebook(run="r-0"))).client_id
    parent = tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "parent"})
    tenant.sandbox.plant("Tickets", {"client_id": client_id, "summary": "child", "parent_id": parent, "agent_id": 3})
    tenant.wire.requests.clear()
    tenant.restart()
    return tenant, event("client.churned", LEAVES)


async def adoption(deal: dict[str, Any], dialect: DialectName) -> tuple[Tenant, Any]:
    """A client that stands there by its name alone, with a site of the main site's name and an inactive contact."""
    tenant = Tenant(dialect=dialect)
    client_id = tenant.sandbox.plant("Client", {"name": "ACME Corporation"})
    site_id = tenant.sandbox.plant("Site", {"client_id": client_id, "name": "Acme HQ"})
    john = {
        "name": "John",
        "client_id": client_id,
        "site_id": site_id,
        "emailaddress": "john.smith@acme.example.com",
        "inactive": True,
    }
    tenant.sandbox.plant("Users", john)
    return tenant, event("deal.won", deal)


async def renewal(deal: dict[str, Any], dialect: DialectName) -> tuple[Tenant, Any]:
    """A known client whose running contract is extended, with a kick-off ticket."""
    tenant = Tenant(dialect=dialect)
    # The tests' runs share one id, by which a report is found again.
    tenant.policy = Policy.model_validate({"onboard_client": {"report_note": False}})
    await tenant.finish(event("deal.won", deal))
    kickoff = {"ticket_type": "Incident", "summary": "Renewed: {client.name}"}
    tenant.policy = Policy.model_validate({"deals": {"renewal": {"contract": "extend", "kickoff": kickoff}}})
    tenant.wire.requests.clear()
    tenant.restart()
    renewed = {"id": "D-1002", "kind": "renewal", "contract": {"term_months": 12}}
    return tenant, event("deal.won", deal | {"deal": renewed})


async def prospect(deal: dict[str, Any], dialect: DialectName) -> tuple[Tenant, Any]:
    """An inactive prospect of the key that lacks nearly everything, and comes under a parent."""
    tenant = Tenant(dialect=dialect)
    tenant.policy = Policy.model_validate({"onboard_client": {"inactive_client": "reactivate"}})
    tenant.sandbox.plant("Client", tenant.keyed(key="C-1", name="Umbrella"))
    own = {"customertype": 2} if dialect == "v2" else {}
    tenant.sandbox.plant("Client", tenant.keyed(key="C-77", name="Acme", inactive=True, **own))
    deal["client"]["parent_id"] = "C-1"
    return tenant, event("deal.won", deal)


PLANS = {"onboarding": onboarding, "churn": churn, "adoption": adoption, "renewal": renewal, "prospect": prospect}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("plan", PLANS)
async def test_no_mishap_with_any_request_changes_the_outcome(
    plan: str, kind: str, deal: dict[str, Any], dialect: DialectName
) -> None:
    clean, wish = await PLANS[plan](deal, dialect)
    await clean.finish(wish)

    for number in range(1, len(clean.wire.calls) + 1):
        tenant, wish = await PLANS[plan](deal, dialect)
        tenant.wire.mishaps = {number: kind}
        await tenant.finish(wish)

        assert tenant.picture() == clean.picture(), f"{kind} at request {number}, {clean.wire.calls[number - 1]}"


@pytest.mark.parametrize("plan", PLANS)
async def test_a_mishap_with_every_write_changes_nothing(plan: str, deal: dict[str, Any], dialect: DialectName) -> None:
    clean, wish = await PLANS[plan](deal, dialect)
    await clean.finish(wish)
    tenant, wish = await PLANS[plan](deal, dialect)
    tenant.wire.lose_every_write = True
    await tenant.finish(wish)

    assert tenant.picture() == clean.picture()


async def test_a_client_that_became_inactive_without_an_answer_is_not_written_to_again(
    deal: dict[str, Any], dialect: DialectName
) -> None:
    tenant, wish = await churn(deal, dialect)
    tenant.wire.lose_every_write = True
    await tenant.finish(wish)

    assert tenant.wire.calls.count("POST /api/Client") == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("plan", PLANS)
async def test_a_day_on_which_everything_is_unpleasant_changes_nothing(
    plan: str, seed: int, deal: dict[str, Any], dialect: DialectName
) -> None:
    clean, wish = await PLANS[plan](deal, dialect)
    await clean.finish(wish)
    tenant, wish = await PLANS[plan](deal, dialect)
    tenant.sandbox.faults = Faults.unpleasant(seed=seed)
    await tenant.finish(wish)

    assert tenant.picture() == clean.picture()


def in_use(tenant: Tenant, entity: str, **same: Any) -> list[dict[str, Any]]:
    """Records that count: not inactive, and no site's General User."""
    rows = tenant.rows(entity, **same)
    kept = [row for row in rows if not row.get("inactive", False) and row.get("active", True)]
    return [row for row in kept if row.get("name") != "General User"]


async def test_a_write_that_lands_late_leaves_one_record_in_use(deal: dict[str, Any], dialect: DialectName) -> None:
    """The request of a step that was given up lands after the next claim has looked, so that two records are made."""
    clean, wish = await onboarding(deal, dialect)
    result = await clean.finish(wish)
    creates = [
        number
        for number, request in enumerate(clean.wire.requests, 1)
        if request.method == "POST" and b'"id"' not in request.content and not request.url.path.endswith("CRMNote")
    ]
    # Of the guide's sites none comes with the client.
    assert len(creates) == {"v2": 6, "guide": 7}[dialect]

    for number in creates:
        tenant, wish = await onboarding(deal, dialect)
        tenant.wire.mishaps = {number: "lands late"}
        late = await tenant.finish(wish)

        path = clean.wire.calls[number - 1]
        # The guide's HaloPSA refuses a second contact of one address.
        refused = dialect == "guide" and b'"emailaddress":"john' in clean.wire.requests[number - 1].content
        assert ["a double of" in remark for remark in late.remarks] == [True] * (not refused), path
        assert [row["id"] for row in in_use(tenant, "Client", name="Acme Corporation")] == [late.client_id], path
        for entity in ("Site", "Users", "ClientContract", "Asset"):
            there = in_use(tenant, entity, client_id=late.client_id)
            assert len(there) == len(in_use(clean, entity, client_id=result.client_id)), (path, entity)
        # The retired double does not stand in the way of the client's next deal, nor of its churn.
        again = await tenant.finish(event("deal.won", deal | {"deal": {"id": "D-2", "kind": "new"}}), Notebook())
        assert again.client_id == late.client_id
        await tenant.finish(event("client.churned", LEAVES), Notebook())


async def test_two_clients_of_this_run_are_no_riddle(deal: dict[str, Any], dialect: DialectName) -> None:
    """The first request lands when the second is sent, whose answer is lost: the third look finds both."""
    tenant, wish = await onboarding(deal, dialect)
    first = FIRST_WRITE[dialect]
    tenant.wire.mishaps = {first: "lands late", first + 2: "answer lost"}
    result = await tenant.finish(wish)

    asked = [call for call in tenant.wire.calls if call.endswith("/Client")]
    assert asked[:5] == ["GET /api/Client", "POST /api/Client"] * 2 + ["GET /api/Client"]
    assert [row["id"] for row in in_use(tenant, "Client", name="Acme Corporation")] == [result.client_id]


async def test_two_main_sites_of_this_run_become_one(deal: dict[str, Any]) -> None:
    tenant, wish = await onboarding(deal, "guide")
    first = 4
    tenant.wire.mishaps = {first: "lands late", first + 2: "answer lost"}
    result = await tenant.finish(wish)

    assert tenant.wire.calls[2:7] == ["GET /api/Site", "POST /api/Site"] * 2 + ["GET /api/Site"]
    assert [row["name"] for row in in_use(tenant, "Site", client_id=result.client_id)] == ["Acme HQ", "Depot"]
    assert result.site_ids[0] == tenant.rows("Client", id=result.client_id)[0]["main_site_id"]


async def test_under_a_disputed_client_every_step_looks_first(deal: dict[str, Any], dialect: DialectName) -> None:
    tenant, wish = await onboarding(deal, dialect)
    tenant.wire.mishaps = {FIRST_WRITE[dialect]: "never connected"}
    await tenant.finish(wish)

    for path in ("Site", "Users", "ClientContract", "Asset"):
        assert tenant.wire.calls.index(f"GET /api/{path}") < tenant.wire.calls.index(f"POST /api/{path}")
