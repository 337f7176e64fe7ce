"""What did not arrive is found by asking, and runs once."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.crm_world import DEAL_IDS, CrmWorld, told
from tests.integration.world import NOON, World
from tests.memory_run import STARTED
from worker.backfill import OVERLAP, Backfill, ScheduledBackfill
from worker.errors import NeedsOperator
from worker.events import Event
from worker.inbox import Inbox
from worker.jobs import encode_doorbell
from worker.journal.backfills import GAP_MS, Backfills
from worker.journal.scripts import Scripts
from worker.journal.troubles import Troubles
from workflows.registry import WORKFLOWS
from workflows.sandbox.crm.crms import CrmFaults, SwitchedFaults


class Office:
    """CRMs, an inbox, and workers that may ask, by the clock of `world`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.crms = CrmWorld()
        self.systems = self.crms.hydration()
        self.inbox = Inbox(world.journal, world.reader, WORKFLOWS, self.systems.hydrate)
        clock = "return tonumber(redis.call('GET', 'test:now'))"
        self.scripts = Scripts(world.redis, encode_doorbell(), clock=clock)
        self.backfills = Backfills(self.scripts, "worker-1")
        self.slept: list[float] = []
        self.backfill = Backfill(self.systems, self.inbox, world.reader, self.backfills, WORKFLOWS, sleep=self.sleep)
        self.said: list[str] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def find(self, *, plan: bool = False) -> dict[str, Any]:
        outcome = await self.backfill.make("hubspot", STARTED, tell=self.said.append, plan=plan)
        missed = [(missed.type, missed.client, missed.trouble) for missed in outcome.missed]
        counts = (outcome.changed, outcome.known, outcome.meaningless)
        return {"counts": counts, "missed": missed, "ids": [missed.id for missed in outcome.missed]}

    def scheduled(self, every_hours: float | None = None, worker: str = "worker-1") -> ScheduledBackfill:
        every_hours_of = {"hubspot": every_hours}
        backfills, troubles = Backfills(self.scripts, worker), Troubles(self.scripts)
        return ScheduledBackfill(self.backfill, backfills, every_hours_of, troubles, keep_every_s=0.01)


@pytest.fixture
async def office(world: World) -> Office:
    return Office(world)


async def test_what_was_missed_is_handed_in_once(office: Office) -> None:
    first = await office.find()
    assert first["missed"] == [("deal.won", "Acme Corporation", "")]
    (run,) = await office.inbox.route(first["ids"][0])

    again = await office.find()

    assert again == {"counts": (1, 1, 0), "missed": [], "ids": []}
    assert [record.id for record in await office.world.reader.runs()] == [run]


async def test_a_plan_hands_nothing_in(office: Office) -> None:
    assert len((await office.find(plan=True))["missed"]) == 1
    assert await office.world.reader.events() == []
    assert len((await office.find())["missed"]) == 1


async def test_what_arrived_as_a_delivery_was_not_missed(office: Office) -> None:
    delivered = told("hubspot")
    await office.inbox.accept([delivered])
    assert len(await office.inbox.route(delivered.id)) == 1

    assert (await office.find())["counts"] == (1, 1, 0)


async def test_a_delivery_that_comes_after_the_backfill_starts_nothing_again(office: Office) -> None:
    (found,) = (await office.find())["ids"]
    assert len(await office.inbox.route(found)) == 1
    late = told("hubspot")
    await office.inbox.accept([late])

    assert await office.inbox.route(late.id) == []


async def test_a_run_that_a_person_cancelled_is_not_started_again(office: Office) -> None:
    (found,) = (await office.find())["ids"]
    (run,) = await office.inbox.route(found)
    await office.world.verbs.cancel(run, office.world.by)
    office.crms.change("hubspot.deals", DEAL_IDS["hubspot"], hs_lastmodifieddate="2026-11-23T10:00:00.000Z")

    assert (await office.find())["counts"] == (1, 1, 0)


async def test_deals_that_are_not_won_mean_nothing(office: Office) -> None:
    office.crms.change("hubspot.deals", DEAL_IDS["hubspot"], dealstage="contractsent", hs_is_closed_won="false")
    office.crms.crms.tables["hubspot.deals"][DEAL_IDS["hubspot"]]["history"] = {"dealstage": ["contractsent"]}

    assert (await office.find())["counts"] == (1, 0, 1)


async def test_a_deal_that_cannot_be_read_now_is_handed_in_with_what_is_wrong(office: Office) -> None:
    office.crms.crms.tables["hubspot.deals"][DEAL_IDS["hubspot"]]["associations"]["companies"] = []

    ((kind, client, trouble),) = (await office.find())["missed"]

    assert (kind, client) == ("hubspot.deal", "")
    assert "belongs to no company" in trouble
    assert len(await office.world.reader.events()) == 1


async def test_a_system_that_takes_no_more_for_the_moment_is_waited_for(office: Office) -> None:
    # The second request searches; those after it read the deal.
    office.crms.crms.faults = SwitchedFaults(hubspot=CrmFaults(limit_nth=frozenset({3, 4, 6}), retry_after=7))

    (missed,) = (await office.find())["missed"]

    assert missed == ("deal.won", "Acme Corporation", "")
    assert office.slept == [7, 7, 7]


async def test_many_records_leave_room_for_deliveries(office: Office) -> None:
    for number in range(70):
        office.crms.crms.plant(
            "hubspot.deals",
            {"id": f"9{number}", "properties": {"dealstage": "contractsent", "hs_lastmodifieddate": f"{NOON:%FT%TZ}"}},
        )

    assert (await office.find())["counts"] == (71, 0, 70)
    assert office.slept == [0.2] * 21


async def test_a_system_that_takes_no_more_today_is_not_waited_for(office: Office) -> None:
    office.crms.crms.faults = SwitchedFaults(hubspot=CrmFaults(limit_nth=frozenset(range(3, 99)), retry_after=3600))

    ((kind, _, trouble),) = (await office.find())["missed"]

    assert (kind, office.slept) == ("hubspot.deal", [])
    assert "429" in trouble


async def test_a_record_that_a_search_gives_twice_is_looked_at_once(office: Office) -> None:
    async def twice(system: str, moment: datetime) -> AsyncIterator[Event]:
        for _ in range(2):
            async for event in found(system, moment):
                yield event

    found, office.systems.changed_since = office.systems.changed_since, twice  # type: ignore[method-assign]  # the search of the CRM is at fault

    assert (await office.find(plan=True))["counts"] == (1, 0, 0)


async def test_nothing_is_due_where_nothing_was_missed(office: Office) -> None:
    await office.backfills.beat(starting=True)
    assert await office.scheduled().make_if_due("hubspot") is None
    await office.world.later(seconds=GAP_MS / 1000 - 1)
    await office.backfills.beat(starting=False)

    assert await office.scheduled().make_if_due("hubspot") is None


@pytest.mark.parametrize(("starting", "seconds"), [(True, 3), (False, GAP_MS / 1000 + 1)])
async def test_an_outage_is_made_up_for_once(office: Office, starting: bool, seconds: float) -> None:
    await office.scheduled().make_if_due("hubspot")
    await office.backfills.beat(starting=True)
    await office.world.later(seconds=seconds)
    await office.backfills.beat(starting=starting)

    outcome = await office.scheduled().make_if_due("hubspot")

    assert outcome is not None
    assert outcome.since == NOON - OVERLAP
    await office.world.later(seconds=1)
    assert await office.scheduled().make_if_due("hubspot") is None


async def test_all_outages_since_the_last_backfill_are_made_up_for(office: Office) -> None:
    await office.scheduled().make_if_due("hubspot")
    for _ in range(3):
        await office.backfills.beat(starting=True)
        await office.world.later(hours=1)

    due = await office.backfills.take("hubspot", None)

    assert due is not None
    assert (due.since, due.now) == (NOON, NOON + timedelta(hours=3))


async def test_a_system_that_was_only_just_connected_has_nothing_to_make_up_for(office: Office) -> None:
    await office.backfills.beat(starting=True)
    await office.world.later(days=30)
    await office.backfills.beat(starting=True)

    assert await office.scheduled().make_if_due("hubspot") is None


async def test_the_policy_says_how_often_a_system_is_asked(office: Office) -> None:
    assert await office.scheduled(6).make_if_due("hubspot") is None
    await office.world.later(hours=5)
    assert await office.scheduled(6).make_if_due("hubspot") is None
    await office.world.later(hours=2)

    outcome = await office.scheduled(6).make_if_due("hubspot")

    assert outcome is not None
    assert outcome.since == NOON - OVERLAP
    assert await office.scheduled(6).make_if_due("hubspot") is None


async def test_a_long_backfill_stays_its_worker_s(office: Office) -> None:
    async def long(system: str, moment: datetime) -> AsyncIterator[Event]:
        redis = office.world.redis
        await redis.pexpire("ph:hold:backfill:hubspot", 5_000)
        async with asyncio.timeout(5):
            while await redis.pttl("ph:hold:backfill:hubspot") <= 5_000:  # noqa: ASYNC110 - another task moves it
                await asyncio.sleep(0.005)
        async for event in found(system, moment):
            yield event

    found, office.systems.changed_since = office.systems.changed_since, long  # type: ignore[method-assign]  # the search of the CRM is slow
    await office.scheduled().make_if_due("hubspot")
    await office.backfills.beat(starting=True)
    await office.world.later(seconds=1)
    await office.backfills.beat(starting=True)

    assert await office.scheduled().make_if_due("hubspot") is not None


async def test_one_worker_asks_at_a_time_and_a_dead_one_is_followed(office: Office) -> None:
    await office.backfills.take("hubspot", 1)
    await office.world.later(hours=2)
    assert await office.backfills.take("hubspot", 1) is not None

    other = Backfills(office.scripts, "worker-2")
    assert await other.take("hubspot", 1) is None
    await office.world.redis.delete("ph:hold:backfill:hubspot")  # its time runs by the server's clock
    assert await other.take("hubspot", 1) is not None


async def test_a_backfill_that_could_not_be_made_stays_due(office: Office) -> None:
    await office.scheduled().make_if_due("hubspot")
    await office.backfills.beat(starting=True)
    await office.world.later(hours=1)
    await office.backfills.beat(starting=True)
    office.crms.crms.faults.hubspot.refuse_token = True
    for _ in range(2):
        with pytest.raises(NeedsOperator):
            await office.scheduled().make_if_due("hubspot")
    (alert,) = [json.loads(text) for text in await office.world.redis.lrange("ph:alerts", 0, -1)]  # type: ignore[misc]  # redis 5 types both clients as one
    assert (alert["kind"], alert["source"]) == ("backfill not made", "hubspot")
    office.crms.crms.faults.hubspot.refuse_token = False

    outcome = await office.scheduled().make_if_due("hubspot")

    assert outcome is not None
    assert outcome.since == NOON - OVERLAP
