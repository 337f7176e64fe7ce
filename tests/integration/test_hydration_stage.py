"""What becomes of an event whose record is read first."""

import json
import time
from dataclasses import replace

import pytest

from tests.crm_world import DEAL_IDS, CrmWorld, told
from tests.integration.world import NOON, World
from tests.memory_run import STARTED
from worker.errors import Ignored, NeedsOperator, RetryLater
from worker.events import Event
from worker.inbox import Inbox
from worker.jobs import encode_doorbell
from worker.journal.records import event_details
from worker.journal.scripts import Scripts
from worker.journal.upkeep import Aged, Upkeep
from worker.journal.verbs import NoSuchEvent, NotPossible
from workflows.registry import WORKFLOWS


async def routed(world: World, trouble: Exception) -> dict[str, object]:
    async def hydrate(_: Event) -> Event:
        raise trouble

    inbox = Inbox(world.journal, world.reader, world.workflows, hydrate)
    event = Event("hubspot:1", "hubspot", "hubspot.deal", NOON, {"type": "hubspot.deal", "data": {"id": "1"}})
    await inbox.accept([event])
    assert await inbox.route(event.id) == []
    assert await inbox.route(event.id) == []
    stored = await world.reader.event(event.id)
    assert stored is not None
    return event_details(event.id, stored)


async def test_an_event_that_means_nothing_is_ignored_with_the_reason(world: World) -> None:
    shown = await routed(world, Ignored("the deal is not won"))

    assert (shown["state"], shown["reason"]) == ("ignored", "the deal is not won")
    assert shown["payload"] == {"type": "hubspot.deal", "data": {"id": "1"}}


async def test_an_event_that_needs_a_person_fails_and_says_what(world: World) -> None:
    shown = await routed(world, NeedsOperator("the deal has no company"))

    assert (shown["state"], shown["reason"]) == ("failed", "the deal has no company")
    (alert,) = [json.loads(text) for text in await world.redis.lrange("ph:alerts", 0, -1)]  # type: ignore[misc]  # redis 5 types both clients as one
    assert (alert["kind"], alert["source"], alert["text"]) == ("event failed", "hubspot", "the deal has no company")


async def test_what_fails_many_events_of_a_source_is_told_once(world: World) -> None:
    async def hydrate(_: Event) -> Event:
        raise NeedsOperator("the token has ended")

    inbox = Inbox(world.journal, world.reader, world.workflows, hydrate)
    events = [
        Event(f"{source}:{number}", source, f"{source}.deal", NOON, {"data": {"id": "1"}})
        for source in ("hubspot", "zoho")
        for number in range(3)
    ]
    await inbox.accept(events)
    for event in events:
        await inbox.route(event.id)

    alerts = [json.loads(text) for text in await world.redis.lrange("ph:alerts", 0, -1)]  # type: ignore[misc]  # redis 5 types both clients as one
    assert [alert["source"] for alert in alerts] == ["hubspot", "zoho"]
    assert len(await world.reader.events(failed=True)) == await world.reader.failed_events() == 6


async def test_what_fails_after_a_replay_is_told_anew(world: World) -> None:
    await routed(world, NeedsOperator("the token has ended"))
    await world.verbs.replay("hubspot:1", world.by)
    await routed(world, NeedsOperator("the deal has no company"))

    alerts = [json.loads(text) for text in await world.redis.lrange("ph:alerts", 0, -1)]  # type: ignore[misc]  # redis 5 types both clients as one
    assert [alert["text"] for alert in alerts] == ["the token has ended", "the deal has no company"]


async def test_an_event_whose_run_has_succeeded_is_not_replayed(world: World) -> None:
    run = await world.receive("a")
    await world.engine.advance(run)
    ((event, _),) = await world.reader.events()

    with pytest.raises(NotPossible, match="is succeeded"):
        await world.verbs.replay(event, world.by)


async def test_trouble_that_has_passed_is_not_shown_any_more(world: World) -> None:
    trouble: list[Exception] = [RetryLater("HubSpot is away")]

    async def hydrate(event: Event) -> Event:
        if trouble:
            raise trouble.pop()
        return replace(event, type="toy.event")

    inbox = Inbox(world.journal, world.reader, world.workflows, hydrate)
    data = {"id": "1", "fact": "deal 1", "client": "acme"}
    event = Event("hubspot:1", "hubspot", "hubspot.deal", NOON, {"type": "hubspot.deal", "data": data})
    await inbox.accept([event])
    await inbox.route(event.id)
    assert len(await inbox.route(event.id)) == 1

    stored = await world.reader.event(event.id)
    assert stored is not None
    assert event_details(event.id, stored)["reason"] is None


@pytest.mark.parametrize("deleted_by_hand", [True, False])
async def test_no_list_of_failed_events_outlives_them(world: World, deleted_by_hand: bool) -> None:
    await routed(world, NeedsOperator("the deal has no company"))
    upkeep = Upkeep(Scripts(world.redis, encode_doorbell()))
    assert await world.reader.failed_events() == 1
    if deleted_by_hand:
        await world.redis.delete("ph:event:hubspot:1")
        await upkeep.trim("events", 0, count=100)
    else:
        await upkeep.expire(Aged(2**53, ["event/hubspot:1"]))

    assert await world.reader.failed_events() == 0
    assert await world.reader.events() == []


async def test_a_failed_event_is_completed_after_its_replay_which_says_who_and_why(world: World) -> None:
    trouble: list[Exception] = [NeedsOperator("the token has ended")]

    async def hydrate(event: Event) -> Event:
        if trouble:
            raise trouble.pop()
        return event

    inbox = Inbox(world.journal, world.reader, world.workflows, hydrate)
    event = Event("hubspot:1", "hubspot", "hubspot.deal", NOON, {"type": "hubspot.deal", "data": {"id": "1"}})
    await inbox.accept([event])
    await inbox.route(event.id)
    for _ in range(2):  # the client repeats a command whose answer was lost
        await world.verbs.replay(event.id, world.by)
    await inbox.route(event.id)

    stored = await world.reader.event(event.id)
    assert stored is not None
    shown = event_details(event.id, stored)
    assert shown["state"] == "ignored"
    assert [(entry["actor"], entry["action"], entry["reason"]) for entry in shown["history"]] == [
        ("jane", "replayed", "mended in HaloPSA")
    ]
    assert await world.reader.failed_events() == 0
    with pytest.raises(NoSuchEvent):
        await world.verbs.replay("hubspot:2", world.by)


@pytest.mark.parametrize(("after", "least_s"), [(600.0, 600), (None, 1)])
async def test_an_event_waits_as_long_as_the_sender_asks(world: World, after: float | None, least_s: int) -> None:
    before = time.time()

    shown = await routed(world, RetryLater("too many requests", after=after))

    assert (shown["state"], shown["reason"]) == ("received", "too many requests")
    attended = await world.redis.zscore("ph:open", "event/hubspot:1")
    assert attended is not None
    assert attended / 1000 - 5 >= before + least_s - 0.1


async def test_a_won_deal_starts_one_run_however_it_is_told(world: World) -> None:
    crms = CrmWorld()
    hydration = crms.hydration()
    inbox = Inbox(world.journal, world.reader, WORKFLOWS, hydration.hydrate)
    delivered = told("hubspot")
    await inbox.accept([delivered])
    (run,) = await inbox.route(delivered.id)

    found = [event async for event in hydration.changed_since("hubspot", STARTED)]
    await inbox.accept(found)

    assert [await inbox.route(event.id) for event in found] == [[]]
    again = await world.reader.event(found[0].id)
    assert again is not None
    assert event_details(found[0].id, again)["repeats"] == run
    stored = await world.reader.event(delivered.id)
    assert stored is not None
    payload = event_details(delivered.id, stored)["payload"]
    assert (payload["type"], payload["data"]["client"]["name"]) == ("deal.won", "Acme Corporation")
    assert payload["told"]["type"] == "hubspot.deal"


async def test_a_reopened_deal_starts_one_run_however_it_is_told(world: World) -> None:
    crms = CrmWorld()
    crms.change("hubspot.deals", DEAL_IDS["hubspot"], dealstage="contractsent")
    past = [{"value": value, "timestamp": "2026-11-22T00:00:00Z"} for value in ("contractsent", "closedwon")]
    crms.crms.tables["hubspot.deals"][DEAL_IDS["hubspot"]]["history"] = {"dealstage": past}
    hydration = crms.hydration()
    inbox = Inbox(world.journal, world.reader, WORKFLOWS, hydration.hydrate)
    found = [event async for event in hydration.changed_since("hubspot", STARTED)]
    events = [told("hubspot"), *found]
    await inbox.accept(events)

    runs = [await inbox.route(event.id) for event in events]

    assert [len(started) for started in runs] == [1, 0]
