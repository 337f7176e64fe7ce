"""What the request budget gives out in a window, to whom, and when it is free again."""

import asyncio
import random

import pytest
from redis.asyncio import Redis

from tests.integration.budgets import HELD_CLOCK, START, budget_of, no_room, reserved, spend, waiting
from tests.integration.processes import until
from tests.integration.world import World
from worker.budget import Hold
from worker.jobs import encode_doorbell
from worker.journal.scripts import Scripts


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


@pytest.mark.usefixtures("world")
async def test_bulk_work_gets_seven_tenths_of_a_window_and_urgent_work_the_rest(redis: Redis) -> None:
    budget = budget_of(redis, 10)
    await spend(budget, 7, bulk=True)

    assert "for bulk work" in (await no_room(budget, 1, bulk=True)).text
    await spend(budget, 3, waiter="urgent")
    await no_room(budget, 1, waiter="urgent")


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
