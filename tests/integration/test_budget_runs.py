"""Runs that need the request budget: they reserve, are parked, and go on."""

import asyncio
from datetime import timedelta
from typing import Any

import time_machine

from tests.integration.budgets import START, budget_of, limited, no_room, reserved, spend, waiting
from tests.integration.processes import until
from tests.integration.world import NOON, Services, World, write
from worker.events import Event
from worker.jobs import encode_doorbell
from worker.journal.reading import Reader
from worker.journal.scripts import Scripts


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


async def test_a_run_that_sends_a_lot_becomes_bulk_work(world: World) -> None:
    budget = budget_of(world.redis, 210)
    world.plan = sends(60, 100)
    run = await world.receive("a")
    await limited(world, 210, budget=budget).advance(run)

    assert await hash_field(world, run, "requests") == "160"
    assert "147 requests in 10 s for bulk work" in (await no_room(budget, 48, bulk=True)).text
    await reserved(budget, 48)


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


async def has_a_lease_for_long(world: World, run: str) -> bool:
    """Whether the lease was renewed at the present time of the server's clock, or the run is over."""
    now, lease = await world.redis.get("test:now"), await hash_field(world, run, "lease")
    return lease is None or int(lease) >= int(str(now)) + 8000


async def hash_field(world: World, run: str, name: str) -> str | None:
    return (await Reader(Scripts(world.redis, encode_doorbell())).whole_runs([run]))[0].fields.get(name)
