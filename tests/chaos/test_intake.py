"""Many senders at once who repeat themselves: each event is kept once, and each delivery is answered for itself."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.bench.intake import CONNECTIONS, shuffled
from tests.bench.intake_sender import HUBSPOT_SECRET, SOURCES, send_load
from tests.bench.world import World, open_world
from tests.chaos.scale import SEED
from tests.integration.processes import free_port
from worker.assemble.store import Store, open_store
from worker.errors import StoreUnavailable
from worker.events import Event
from worker.journal import Receipt
from worker.journal.gathering import MOST, Gathering

EVENTS = 300
NOW = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        world.env["PARHELION_WEBHOOK_SECRET_HUBSPOT"] = HUBSPOT_SECRET
        await world.start_web()
        yield world


async def test_what_fifty_senders_bring_three_times_in_any_order_is_kept_once(web: World) -> None:
    numbers = range(1, EVENTS + 1)
    for source, request in SOURCES.items():
        tally = await send_load(web.web, (request(web.web, one) for one in shuffled(numbers, SEED)), CONNECTIONS)
        assert tally.statuses == {202: 3 * EVENTS}, f"seed {SEED}"
        assert set(tally.accepted.values()) == {1}, f"seed {SEED}"
        assert (len(tally.accepted), tally.duplicates) == (EVENTS, 2 * EVENTS), f"seed {SEED}"
        stored = await web.store.scripts.hashes("ph:event:", [*tally.accepted])
        assert Counter(event["source"] for _, event in stored) == {source: EVENTS}


@pytest.fixture
async def store(redis: Redis, valkey: str) -> AsyncIterator[Store]:
    async with open_store(valkey) as store:
        await redis.flushall()
        await store.journal.ingest([event("first")])  # from now on Valkey knows the script
        yield store


async def test_deliveries_that_come_meanwhile_share_a_call_and_get_receipts_of_their_own(
    store: Store, redis: Redis
) -> None:
    gathering = Gathering(store.journal)
    deliveries = [[event(f"{number}-{part}") for part in range(number % 3)] for number in range(30)]
    before = await calls(redis)

    receipts = await asyncio.gather(*(gathering.ingest(delivery) for delivery in [*deliveries, *deliveries]))

    assert receipts == [Receipt(ids(delivery), []) for delivery in deliveries] + [
        Receipt([], ids(delivery)) for delivery in deliveries
    ]
    assert await calls(redis) == before + 1


async def test_a_call_stores_so_much_at_most(store: Store, redis: Redis) -> None:
    gathering = Gathering(store.journal)
    delivery = [event(str(number)) for number in range(MOST // 2)]
    before = await calls(redis)

    await asyncio.gather(*(gathering.ingest(delivery) for _ in range(4)))

    assert await calls(redis) == before + 2


async def test_a_sender_who_gives_up_takes_nobody_along(store: Store) -> None:
    gathering = Gathering(store.journal)
    gone, stays = (asyncio.create_task(gathering.ingest([event(name)])) for name in ("gone", "stays"))
    await asyncio.sleep(0)  # both have handed theirs in
    gone.cancel()

    assert await stays == Receipt(["test:stays"], [])
    assert gone.cancelled()


async def test_everybody_is_told_when_nothing_could_be_stored() -> None:
    async with open_store(f"redis://127.0.0.1:{free_port()}/0") as store:
        gathering = Gathering(store.journal)
        answers = await asyncio.gather(*(gathering.ingest([event(name)]) for name in "abc"), return_exceptions=True)
        again = await asyncio.gather(gathering.ingest([event("d")]), return_exceptions=True)

    assert [type(answer) for answer in [*answers, *again]] == [StoreUnavailable] * 4


async def calls(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


def event(name: str) -> Event:
    return Event(f"test:{name}", "test", "toy.event", NOW, {"type": "toy.event", "data": {"name": name}})


def ids(events: Sequence[Event]) -> list[str]:
    return [each.id for each in events]
