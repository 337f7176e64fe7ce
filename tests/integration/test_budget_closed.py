"""A 429 closes the request budget for all, for as long as it says or as was learnt."""

from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from tests.integration.budgets import START, budget_of, limited, no_room, reserved, spend
from tests.integration.world import Services, World
from worker.budget import Budget
from worker.errors import RetryLater
from worker.events import Event


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
