"""Reopened deals: the CRM's own history tells that a deal was won before, and since when it is not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.crm_world import DEAL_IDS, CrmWorld, told
from tests.memory_run import STARTED
from worker.errors import Ignored

LEFT = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)


@pytest.fixture
def world() -> CrmWorld:
    return CrmWorld()


def reopen_in_pipedrive(world: CrmWorld) -> None:
    world.change("pipedrive.deals", 8, status="open", won_time=None)
    for old, new, moment in [
        ("open", "won", LEFT - timedelta(days=9)),
        ("won", "open", LEFT),
        ("open", "lost", LEFT + timedelta(days=1)),
        ("lost", "open", LEFT + timedelta(days=2)),
    ]:
        changed = {"record": "deals/8", "field_key": "status", "old_value": old, "new_value": new}
        world.crms.plant("pipedrive.changelog", changed | {"time": f"{moment:%Y-%m-%d %H:%M:%S}"})


def reopen_in_dynamics(world: CrmWorld) -> None:
    world.change("dynamics.opportunities", DEAL_IDS["dynamics"], statecode=0)
    for state, closed, cancelled in [(1, LEFT - timedelta(days=9), LEFT), (2, LEFT + timedelta(days=1), STARTED)]:
        times = {"createdon": closed.isoformat(), "modifiedon": cancelled.isoformat()}
        closing = {"_opportunityid_value": DEAL_IDS["dynamics"], "opportunitystatecode": state}
        world.crms.plant("dynamics.opportunitycloses", closing | times)


REOPEN = {"pipedrive": reopen_in_pipedrive, "dynamics": reopen_in_dynamics}


@pytest.mark.parametrize("system", REOPEN)
async def test_a_reopened_deal_is_found_by_its_history_and_is_one_reopening(world: CrmWorld, system: str) -> None:
    REOPEN[system](world)
    hydration = world.hydration()

    (found,) = [event async for event in hydration.changed_since(system, STARTED)]
    later = replace(told(system), occurred_at=STARTED + timedelta(days=5))
    events = [await hydration.hydrate(event) for event in (found, later)]

    assert [(event.type, event.occurred_at) for event in events] == [("deal.reopened", LEFT)] * 2


async def test_a_closing_that_does_not_say_how_it_closed_leaves_it_to_the_event(world: CrmWorld) -> None:
    world.change("dynamics.opportunities", DEAL_IDS["dynamics"], statecode=0)
    closing = {"_opportunityid_value": DEAL_IDS["dynamics"], "opportunitystatecode": None, "createdon": "2026-11-20"}
    world.crms.plant("dynamics.opportunitycloses", closing)

    assert (await world.hydrate(told("dynamics", values={"statecode": 0}))).type == "deal.reopened"
    with pytest.raises(Ignored, match="not won"):
        await world.hydrate(told("dynamics", values={"name": "Acme"}))


@pytest.mark.parametrize("system", REOPEN)
async def test_a_deal_that_was_only_lost_before_is_not_reopened(world: CrmWorld, system: str) -> None:
    REOPEN[system](world)
    del world.crms.tables["pipedrive.changelog" if system == "pipedrive" else "dynamics.opportunitycloses"]
    lost = {"record": "deals/8", "field_key": "status", "old_value": "lost", "new_value": "open"}
    world.crms.plant("pipedrive.changelog", lost | {"time": "2026-11-20 09:00:00"})
    closing = {"_opportunityid_value": DEAL_IDS["dynamics"], "opportunitystatecode": 2}
    world.crms.plant("dynamics.opportunitycloses", closing | {"createdon": "2026-11-20", "modifiedon": "2026-11-21"})

    with pytest.raises(Ignored, match="not won"):
        await world.hydrate(told(system, values={"statecode": 0}))


@pytest.mark.parametrize(
    ("system", "table", "values", "request_"),
    [
        ("pipedrive", "pipedrive.deals", {"status": "lost"}, "GET /pipedrive/v1/deals/8/changelog"),
        (
            "dynamics",
            "dynamics.opportunities",
            {"statecode": 2},
            "GET /dynamics/api/data/v9.2/opportunitycloses",
        ),
        (
            "zoho",
            "zoho.Deals",
            {"Stage": "Closed Lost"},
            f"GET /zoho/crm/v7/Deals/{DEAL_IDS['zoho']}/Stage_History",
        ),
    ],
)
async def test_a_deal_whose_history_may_not_be_read_was_not_won_before(
    world: CrmWorld, system: str, table: str, values: dict[str, Any], request_: str
) -> None:
    world.change(table, DEAL_IDS[system], **values)
    getattr(world.crms.faults, system).forbid = frozenset({request_})

    with pytest.raises(Ignored, match="not won"):
        await world.hydrate(told(system))
