"""What becomes of an event whose record is read first."""

import time

import pytest

from tests.integration.world import NOON, World
from worker.errors import Ignored, NeedsOperator, RetryLater
from worker.events import Event
from worker.inbox import Inbox
from worker.journal.records import event_details


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


@pytest.mark.parametrize(("after", "least_s"), [(600.0, 600), (None, 1)])
async def test_an_event_waits_as_long_as_the_sender_asks(world: World, after: float | None, least_s: int) -> None:
    before = time.time()

    shown = await routed(world, RetryLater("too many requests", after=after))

    assert (shown["state"], shown["reason"]) == ("received", "too many requests")
    attended = await world.redis.zscore("ph:open", "event/hubspot:1")
    assert attended is not None
    assert attended / 1000 - 5 >= before + least_s - 0.1
