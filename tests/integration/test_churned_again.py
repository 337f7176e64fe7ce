"""A churned record that is edited again starts nothing, and a reopened deal that was missed is found once."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.crm_world import CLIENT_IDS, CrmWorld, told
from tests.integration.world import World
from tests.memory_run import STARTED
from worker.backfill import Backfill
from worker.events import Event
from worker.inbox import Inbox
from worker.jobs import encode_doorbell
from worker.journal.backfills import Backfills
from worker.journal.scripts import Scripts
from workflows.policy.sources import RecordRule, Source
from workflows.registry import WORKFLOWS

LEFT = Source(churned=(RecordRule(object="account", field="Type", values=("Left",)),))


def edited(days: int) -> Event:
    """What Salesforce tells of any edit of the account, so many days after the first one."""
    event = told("salesforce", "account", CLIENT_IDS["salesforce"])
    return replace(event, id=f"salesforce:{days}", occurred_at=STARTED + timedelta(days=days))


async def started(inbox: Inbox, event: Event) -> list[str]:
    await inbox.accept([event])
    return await inbox.route(event.id)


@pytest.mark.parametrize("tracked", [True, False])
async def test_three_edits_of_a_churned_account_are_one_churn(world: World, *, tracked: bool) -> None:
    crms, account = CrmWorld(), CLIENT_IDS["salesforce"]
    crms.change("salesforce.Account", account, Type="Left")
    if tracked:
        changed = {"AccountId": account, "Field": "Type", "CreatedDate": STARTED.isoformat()}
        crms.crms.plant("salesforce.AccountHistory", changed)
    inbox = Inbox(world.journal, world.reader, WORKFLOWS, crms.hydration(salesforce=LEFT).hydrate)

    runs = [await started(inbox, edited(days)) for days in (0, 3, 30)]

    assert [len(one) for one in runs] == [1, 0, 0]


async def test_an_account_that_is_no_churned_one_says_so(world: World) -> None:
    inbox = Inbox(world.journal, world.reader, WORKFLOWS, CrmWorld().hydration(salesforce=LEFT).hydrate)
    (run,) = await started(inbox, edited(0))

    told_of = await world.reader.event("salesforce:0")
    assert told_of
    assert json.loads(told_of["body"])["data"]["stays"] is True
    assert run


async def test_a_reopening_that_did_not_arrive_is_found_once(world: World) -> None:
    crms = CrmWorld()
    crms.change("pipedrive.deals", 8, status="open", won_time=None)
    reopened = {"record": "deals/8", "field_key": "status", "old_value": "won", "new_value": "open"}
    crms.crms.plant("pipedrive.changelog", reopened | {"time": "2026-11-23 09:00:00"})
    systems = crms.hydration()
    inbox = Inbox(world.journal, world.reader, WORKFLOWS, systems.hydrate)
    scripts = Scripts(world.redis, encode_doorbell())
    backfill = Backfill(systems, inbox, world.reader, Backfills(scripts, "worker-1"), WORKFLOWS)

    (missed,) = (await backfill.make("pipedrive", STARTED, tell=print)).missed
    assert (missed.type, len(await inbox.route(missed.id))) == ("deal.reopened", 1)

    crms.change("pipedrive.deals", 8, update_time="2026-11-24T09:00:00Z")
    outcome = await backfill.make("pipedrive", STARTED, tell=print)
    assert (outcome.changed, outcome.known, outcome.missed) == (1, 1, [])
    late = told("pipedrive", previous={"status": "won"})
    late.payload["source"] = {"system": "pipedrive"}
    assert await started(inbox, late) == []
