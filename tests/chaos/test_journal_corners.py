"""Corners of the journal that the machine's walks and reading have found."""

from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from tests.chaos.laboratory import HELD_CLOCK
from worker.assemble.store import DOORBELL
from worker.events import Event
from worker.journal import Journal, NewRun, Release
from worker.journal.scripts import Scripts
from worker.journal.verbs import Operator, Verbs

NOW = 1_795_424_400_000
JANE = Operator("jane", "because")


class Corner:
    """A journal at a time that the test holds."""

    def __init__(self, redis: Redis) -> None:
        scripts = Scripts(redis, DOORBELL, clock=HELD_CLOCK)
        self.journal, self.verbs = Journal(scripts), Verbs(scripts)
        self.read = scripts.read

    async def receive(self, name: str, *, minutes_ago: int = 0) -> str:
        """Take in an event of the one client, which starts a run named like it."""
        occurred = NOW - minutes_ago * 60_000
        event = Event(f"test:{name}", "test", "toy", datetime.fromtimestamp(occurred / 1000, UTC), {})
        await self.journal.ingest([event])
        run = NewRun(name, "toy", 1, name, ["crm:a"], "A", occurred)
        await self.journal.route(event.id, [run], names=["toy crm:a"])
        return name

    async def looked_at(self) -> list[str]:
        """What the sweep will look at."""
        return list(await self.read("ZRANGE", "ph:open", 0, -1))

    async def fields(self, run: str) -> dict[str, str]:
        return dict(await self.read("HGETALL", f"ph:run:{run}"))


@pytest.fixture
async def corner(redis: Redis) -> Corner:
    await redis.set("test:now", NOW)
    return Corner(redis)


async def test_two_earlier_events_do_not_get_past_a_later_one_that_is_at_work(corner: Corner) -> None:
    at_work = await corner.journal.claim(await corner.receive("third"), "c1", "w")
    await corner.receive("second", minutes_ago=1)
    first = await corner.receive("first", minutes_ago=2)

    assert at_work
    assert await corner.journal.claim(first, "c2", "w") is None
    await corner.journal.release(at_work, Release("waiting", "its turn"))
    assert await corner.journal.claim(first, "c3", "w")


@pytest.mark.parametrize(
    "release",
    [
        Release("waiting", "a client", due=NOW + 9000, away=True, expects=True),
        Release("waiting", "?", awaits="toy crm:a"),
    ],
    ids=["expects", "awaits"],
)
async def test_a_run_that_was_cancelled_while_it_waited_is_not_woken(corner: Corner, release: Release) -> None:
    waiting = await corner.journal.claim(await corner.receive("waiting"), "c1", "w")
    assert waiting
    await corner.journal.release(waiting, release)
    await corner.verbs.cancel("waiting", JANE)

    other = await corner.journal.claim(await corner.receive("other"), "c2", "w")
    assert other
    await corner.journal.finish(other, "succeeded")

    assert await corner.looked_at() == []


async def test_a_run_that_was_cancelled_while_it_was_paused_is_not_woken(corner: Corner) -> None:
    await corner.verbs.pause("all", JANE)
    assert await corner.journal.claim(await corner.receive("parked"), "c1", "w") is None
    await corner.verbs.cancel("parked", JANE)
    await corner.verbs.resume("all", JANE)

    assert await corner.looked_at() == []


async def test_a_run_that_ends_before_its_cancelling_takes_hold_shows_no_error(corner: Corner) -> None:
    claim = await corner.journal.claim(await corner.receive("quick"), "c1", "w")
    assert claim
    assert not await corner.verbs.cancel("quick", JANE)
    await corner.journal.finish(claim, "succeeded")

    assert "error" not in await corner.fields("quick")


async def test_the_doorbells_of_a_dead_worker_do_not_keep_the_others_busy(corner: Corner) -> None:
    held = await corner.journal.claim(await corner.receive("held"), "c1", "w")
    assert held
    await corner.journal.release(held, Release("waiting", "the next try", due=NOW + 50_000))
    await corner.read("SET", "test:now", NOW + 20_000)

    await corner.journal.sweep("w")

    assert [job.partition("#")[0] for job in await corner.read("ZRANGE", "arq:queue", 0, -1)] == ["run/held"]
    assert len(await corner.read("KEYS", "arq:job:*")) == 1


async def test_a_run_behind_one_whose_worker_died_moves_within_15_seconds(corner: Corner) -> None:
    assert await corner.journal.claim(await corner.receive("later"), "c1", "w")
    await corner.receive("earlier", minutes_ago=1)
    assert await corner.journal.claim("earlier", "c2", "w") is None

    assert int(await corner.read("ZSCORE", "ph:open", "run/earlier")) <= NOW + 15_000
    await corner.read("SET", "test:now", NOW + 9_000)
    assert await corner.journal.claim("later", "c3", "w") is None
    assert await corner.journal.claim("earlier", "c4", "w")
