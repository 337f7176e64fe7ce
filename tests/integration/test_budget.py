"""The request budget in a real Valkey, with the server's clock in the test's hand."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from redis.asyncio import Redis

from tests.integration.processes import until
from tests.integration.world import NOON, Services, World, write
from worker.budget import Budget, Hold, NoRoom
from worker.engine import Engine
from worker.errors import RetryLater
from worker.events import Event
from worker.jobs import encode_doorbell
from worker.journal.reading import Reader
from worker.journal.scripts import Scripts

START = int(NOON.timestamp() * 1000)
HELD_CLOCK = "return tonumber(redis.call('GET', 'test:now'))"


def budget_of(redis: Redis, requests: int, window_s: float = 10) -> Budget:
    return Budget(Scripts(redis, encode_doorbell(), clock=HELD_CLOCK), requests=requests, window_s=window_s)


def limited(world: World, requests: int, name: str = "worker-1", budget: Budget | None = None) -> Engine[Services]:
    """A worker of this world that keeps to a budget for ten seconds."""
    return Engine(
        world.journal,
        world.workflows,
        world._services,
        worker=name,
        hydrate=world._hydrate,
        budget=budget or budget_of(world.redis, requests),
    )


async def send(services: Services, number: int) -> int:
    for one in range(number):
        async with services.run.call(f"GET {one}", write=False) as call:
            services.outside.written.append(f"{services.run.id} {one}")
            call.settled()
    return number


def sends(*numbers: int) -> Any:
    async def plan(services: Services, _event: Event) -> None:
        for place, number in enumerate(numbers):
            await services.run.step(f"send {place}", send, services, number)

    return plan


async def reserved(budget: Budget, number: int, *, waiter: str = "w", bulk: bool = False, since: int = START) -> Hold:
    answer = await budget.reserve(number, bulk=bulk, waiter=waiter, since=since)
    assert isinstance(answer, Hold), answer
    return answer


async def spend(budget: Budget, number: int, *, waiter: str = "w", bulk: bool = False) -> None:
    hold = await reserved(budget, number, waiter=waiter, bulk=bulk)
    hold.sent = number
    await budget.settle([hold])


async def no_room(budget: Budget, number: int, *, waiter: str = "w", bulk: bool = False, since: int = START) -> NoRoom:
    answer = await budget.reserve(number, bulk=bulk, waiter=waiter, since=since)
    assert isinstance(answer, NoRoom), answer
    return answer


async def test_a_run_without_room_is_parked_in_plain_words_and_goes_on_by_itself(world: World) -> None:
    engine = limited(world, 4)
    world.plan = sends(4, 1)
    run = await world.receive("a")
    await engine.advance(run)
    shown = await world.show(run)
    assert (shown["state"], shown["attempt"], shown["error"]) == ("waiting", 1, None)
    assert "request budget: 4 requests in 10 s are used up" in shown["waiting_for"]
    assert "12:00:10 UTC" in shown["waiting_for"]

    await world.later(seconds=9)
    await engine.advance(run)
    assert len(world.outside.written) == 4
    await world.later(seconds=1.2)
    await engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["attempt"], len(world.outside.written)) == ("succeeded", 1, 5)


async def test_a_parked_run_keeps_its_place_in_the_clients_queue(world: World) -> None:
    async def write_then_more(services: Services, event: Event) -> None:
        await services.run.step("write", write, services, event.id)
        await services.run.step("more", send, services, 4)

    world.plan = write_then_more
    engine = limited(world, 4)
    later = await world.receive("later")
    await engine.advance(later)
    earlier = await world.receive("earlier", occurred=NOON - timedelta(seconds=1))
    await engine.advance(earlier)

    assert "request budget" in (await world.show(later))["waiting_for"]
    assert later in (await world.show(earlier))["waiting_for"]


async def test_nothing_is_asked_of_the_store_without_a_budget(world: World) -> None:
    world.plan = sends(500)
    run = await world.receive("a")
    await world.engine.advance(run)

    assert (await world.show(run))["state"] == "succeeded"
    assert await world.redis.keys("ph:budget*") == []


async def test_what_a_step_did_not_need_is_free_again_at_its_end(world: World) -> None:
    budget = budget_of(world.redis, 10)
    world.plan = sends(1, 1, 1)
    await limited(world, 10, budget=budget).advance(await world.receive("a"))

    state = await budget.state()
    assert (state.spent, state.held, state.limit, state.window_s) == (3, 0, 10, 10)


@pytest.mark.usefixtures("world")
async def test_bulk_work_gets_seven_tenths_of_a_window_and_urgent_work_the_rest(redis: Redis) -> None:
    budget = budget_of(redis, 10)
    await spend(budget, 7, bulk=True)

    assert "for bulk work" in (await no_room(budget, 1, bulk=True)).text
    await spend(budget, 3, waiter="urgent")
    await no_room(budget, 1, waiter="urgent")


async def test_a_run_that_sends_a_lot_becomes_bulk_work(world: World) -> None:
    budget = budget_of(world.redis, 210)
    world.plan = sends(60, 100)
    run = await world.receive("a")
    await limited(world, 210, budget=budget).advance(run)

    assert await hash_field(world, run, "requests") == "160"
    assert "147 requests in 10 s for bulk work" in (await no_room(budget, 48, bulk=True)).text
    await reserved(budget, 48)


async def test_a_request_counts_for_a_whole_window_after_it_was_sent(redis: Redis, world: World) -> None:
    budget = budget_of(redis, 1)
    hold = await reserved(budget, 1)
    await world.later(seconds=5.05)
    hold.sent = 1
    await budget.settle([hold])

    await world.later(seconds=9.999)
    await no_room(budget, 1)
    await world.later(seconds=0.101)
    await reserved(budget, 1)


async def test_urgent_work_goes_first_and_then_who_began_earlier(redis: Redis, world: World) -> None:
    budget = budget_of(redis, 10)
    await spend(budget, 7, bulk=True)
    await world.later(seconds=5)
    await spend(budget, 3)
    bulk = await no_room(budget, 2, waiter="bulk", bulk=True, since=START - 1000)
    young = await no_room(budget, 3, waiter="young", since=START + 2)
    old = await no_room(budget, 3, waiter="old", since=START + 1)
    await world.later(seconds=5.1)

    assert old.at <= START + 10_100
    assert (young.at, bulk.at) == (old.at, old.at)
    assert (await no_room(budget, 2, waiter="bulk", bulk=True, since=START - 1000)).at > START + 15_000
    await reserved(budget, 3, waiter="old", since=START + 1)
    await reserved(budget, 3, waiter="young", since=START + 2)
    await no_room(budget, 2, waiter="bulk", bulk=True, since=START - 1000)


async def test_who_does_not_come_when_it_is_its_turn_is_not_waited_for(redis: Redis, world: World) -> None:
    budget = budget_of(redis, 10)
    await spend(budget, 10)
    await no_room(budget, 10, waiter="gone", since=START)
    await no_room(budget, 10, waiter="there", since=START + 1)
    await world.later(seconds=11)
    await no_room(budget, 10, waiter="there", since=START + 1)
    await world.later(seconds=5)

    await reserved(budget, 10, waiter="there", since=START + 1)


async def test_room_that_comes_early_wakes_whose_turn_it_is(world: World) -> None:
    budget = budget_of(world.redis, 10)
    hold = await reserved(budget, 10, waiter="other")
    engine = limited(world, 10, budget=budget)
    world.plan = sends(1)
    run = await world.receive("a")
    await engine.advance(run)
    assert (await world.show(run))["state"] == "waiting"
    await world.redis.delete("arq:queue")

    await budget.settle([hold])

    assert [name for name in await world.redis.zrange("arq:queue", 0, -1) if name.startswith(f"run/{run}")]
    await engine.advance(run)
    assert (await world.show(run))["state"] == "succeeded"


async def test_what_a_dead_worker_reserved_counts_as_sent_when_it_lapses(redis: Redis, world: World) -> None:
    budget = budget_of(redis, 10)
    hold = await reserved(budget, 10)
    await world.later(seconds=29)
    await no_room(budget, 1, waiter="other")
    await world.later(seconds=10)
    assert (await budget.state()).spent == 10

    hold.sent = 3
    await budget.settle([hold])  # it was not dead after all, but too late

    assert (await budget.state()).spent == 10
    await world.later(seconds=2)
    assert (await budget.state()).spent == 0


@pytest.mark.usefixtures("world")
async def test_a_settlement_or_reservation_that_is_repeated_counts_once(redis: Redis) -> None:
    scripts = Scripts(redis, encode_doorbell(), clock=HELD_CLOCK)
    limits = (10, 7, 10_000, 75_000)
    for _ in range(2):
        assert await scripts.call("reserve_requests", "name", 4, 4, 0, "run", START, *limits) == ["granted"]
    for _ in range(2):
        await scripts.call("settle_requests", "", "name 4 0", 3)

    state = await budget_of(redis, 10).state()
    assert (state.spent, state.held) == (3, 0)


async def test_what_a_fenced_worker_sent_counts_and_breaks_nothing(world: World) -> None:
    budget = budget_of(world.redis, 10)

    async def pause_inside(services: Services, _event: Event) -> None:
        world.plan = sends(2)
        await services.run.step("send 0", stand_still_and_send, services)

    async def meanwhile(_world: World) -> None:
        await world.later(seconds=9)
        await limited(world, 10, "worker-2", budget).advance(run)

    world.plan, world.meanwhile = pause_inside, meanwhile
    run = await world.receive("a")
    await limited(world, 10, "worker-1", budget).advance(run)

    assert (await world.show(run))["state"] == "succeeded"
    state = await budget.state()
    assert (state.spent, state.held) == (3, 0)


async def stand_still_and_send(services: Services) -> int:
    await send(services, 1)
    await services.stand_still()
    return 1


async def test_a_step_that_needs_more_than_foreseen_is_done_anew_with_enough(world: World) -> None:
    budget = budget_of(world.redis, 20)
    engine = limited(world, 20, budget=budget)
    await spend(budget, 13, waiter="other")
    world.plan = sends(10)
    run = await world.receive("a")
    await engine.advance(run)
    assert len(world.outside.written) == 7
    assert "request budget" in (await world.show(run))["waiting_for"]
    await world.later(seconds=10.2)
    hold = await reserved(budget, 8, waiter="other", since=START - 1)

    other_worker = limited(world, 20, "worker-2")
    await other_worker.advance(run)
    assert len(world.outside.written) == 7
    await budget.settle([hold])
    await other_worker.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["attempt"], len(world.outside.written)) == ("succeeded", 1, 17)


async def test_a_step_that_needs_more_than_a_window_waits_where_it_is_and_keeps_its_lease(world: World) -> None:
    budget = budget_of(world.redis, 5)
    world.plan = sends(8)
    run = await world.receive("a")
    with time_machine.travel(NOON) as calendar:
        going = asyncio.create_task(limited(world, 5, budget=budget).advance(run))
        await until(lambda: waiting(budget))
        for _ in range(2):
            await world.later(seconds=5.1)
            calendar.shift(5.1)
            await until(lambda: has_a_lease_for_long(world, run))
        await going

    shown = await world.show(run)
    assert (shown["state"], shown["interruptions"], len(world.outside.written)) == ("succeeded", 0, 8)


async def waiting(budget: Budget) -> bool:
    return (await budget.state()).waiting > 0


async def has_a_lease_for_long(world: World, run: str) -> bool:
    """Whether the lease was renewed at the present time of the server's clock, or the run is over."""
    now, lease = await world.redis.get("test:now"), await hash_field(world, run, "lease")
    return lease is None or int(lease) >= int(str(now)) + 8000


async def hash_field(world: World, run: str, name: str) -> str | None:
    return (await Reader(Scripts(world.redis, encode_doorbell())).whole_runs([run]))[0].fields.get(name)


@dataclass
class Flooded:
    """Answers 429 once, perhaps with a Retry-After."""

    after: float | None
    answers: list[str] = field(default_factory=list)

    async def plan(self, services: Services, _event: Event) -> None:
        await services.run.step("write", ask_flooded, services, self)


async def ask_flooded(services: Services, flooded: Flooded) -> None:
    async with services.run.call("POST", write=True) as call:
        call.settled()
        flooded.answers.append("looked" if services.run.in_doubt else "blind")
        if len(flooded.answers) == 1:
            call.refused(flooded.after)
    if len(flooded.answers) == 1:
        raise RetryLater("429")


@pytest.mark.parametrize(("after", "closed_s"), [(4.0, 4), (None, 1)])
async def test_a_429_parks_the_run_without_an_attempt_and_closes_it_for_all(
    world: World, after: float | None, closed_s: int
) -> None:
    budget = budget_of(world.redis, 100, 30)
    engine = limited(world, 100, budget=budget)
    flooded = Flooded(after)
    world.plan = flooded.plan
    run = await world.receive("a")
    await engine.advance(run)
    shown = await world.show(run)
    assert (shown["state"], shown["attempt"]) == ("waiting", 1)
    assert "429" in shown["waiting_for"]

    closed = await no_room(budget, 1, waiter="other")
    assert closed.at == START + closed_s * 1000
    await world.later(seconds=closed_s)
    await engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["attempt"]) == ("succeeded", 1)
    assert flooded.answers == ["blind", "looked"]
    assert (await budget.observed()) == 4


async def test_several_429s_at_once_close_it_once_and_later_ones_for_longer(redis: Redis, world: World) -> None:
    budget = budget_of(redis, 300, 300)
    closings = []
    for _ in range(3):
        await answered_429_thrice(budget)
        state = await budget.state()
        now = int(str(await redis.get("test:now")))
        closings.append((state.closed_until - now) // 1000)
        await world.later(seconds=closings[-1] + 1)

    assert closings == [10, 20, 40]
    assert (await budget.state()).refused == 9


async def answered_429_thrice(budget: Budget) -> None:
    await budget.settle([await reserved(budget, 1)])
    for _ in range(3):
        await budget.close(None)


async def test_without_word_from_the_other_side_it_stays_closed_until_the_oldest_has_left(
    redis: Redis, world: World
) -> None:
    budget = budget_of(redis, 300, 300)
    await spend(budget, 250)
    await world.later(seconds=100)

    closed = await budget.close(None)

    assert START + 300_000 <= closed.at <= START + 303_000


async def test_work_without_a_run_waits_in_place_and_shares_the_budget(redis: Redis, world: World) -> None:
    budget = budget_of(redis, 2)
    guard = budget.guard(bulk=False)
    sent: list[str] = []

    async def ask_thrice() -> None:
        for number in range(3):
            async with guard.call(f"GET {number}", write=False) as call:
                call.settled()
                sent.append(str(number))

    going = asyncio.create_task(ask_thrice())
    await until(lambda: waiting(budget))
    assert sent == ["0", "1"]
    await world.later(seconds=10.2)
    await going

    assert sent == ["0", "1", "2"]
    assert not guard.in_doubt


@pytest.mark.usefixtures("world")
async def test_work_without_a_run_closes_it_too(redis: Redis) -> None:
    budget = budget_of(redis, 20)
    async with budget.guard(bulk=True).call("GET", write=False) as call:
        call.settled()
        call.refused(7)

    assert (await no_room(budget, 1)).at == START + 7000


@pytest.mark.usefixtures("world")
async def test_what_is_not_limited_takes_nothing(redis: Redis) -> None:
    budget = budget_of(redis, 1)
    await spend(budget, 1)
    async with budget.guard(bulk=False).call("GET crm", write=False, limited=False) as call:
        call.refused(7)

    assert (await budget.state()).closed_until == 0


@pytest.mark.parametrize("seed", range(5))
async def test_no_window_ever_sees_more_than_the_limit_whatever_happens(redis: Redis, world: World, seed: int) -> None:
    chance = random.Random(seed)
    limit, window_s = 20, 10
    budget = budget_of(redis, limit, window_s)
    arrived: list[tuple[int, bool]] = []
    open_holds: list[tuple[Hold, int, bool]] = []
    for number in range(1000):
        now = int(str(await redis.get("test:now")))
        bulk = chance.random() < 0.4
        answer = await budget.reserve(
            chance.randint(1, 5), bulk=bulk, waiter=f"w{number % 3}", since=START + number % 3
        )
        if isinstance(answer, Hold):
            open_holds.append((answer, now, bulk))
        for hold, asked, of_bulk in list(open_holds):
            fate = chance.random()
            if fate < 0.5 and hold.left and now < asked + 20_000:
                arrived += [(now, of_bulk)] * hold.left
                hold.left, hold.sent = 0, hold.left
            elif fate < 0.8:
                await budget.settle([hold])
                open_holds.remove((hold, asked, of_bulk))
            elif fate < 0.81:  # its worker dies
                open_holds.remove((hold, asked, of_bulk))
        await world.later(seconds=chance.choice([0, 0.02, 0.05, 0.09, 0.2]))

    windows = [[bulk for moment, bulk in arrived if at - window_s * 1000 < moment <= at] for at, _ in arrived]
    assert limit * 0.8 <= max(map(len, windows)) <= limit
    assert max(map(sum, windows)) <= limit * 0.7
