"""What runs wait for: people, events, dates, what is not there yet; and what interrupts them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.world import NOON, Services, World, two_writes, write
from worker.errors import NotYet, RetryLater
from worker.events import Event
from worker.jobs import DoorbellWorker
from worker.journal.verbs import NotPossible


async def ask(services: Services, _event: Event) -> str:
    approval = await services.run.approval("close many", "close 1,200 tickets?", within=timedelta(days=2))
    await services.run.step("first", write, services, "first")
    return f"{approval.by}: {approval.reason} ({approval.answer})"


async def test_a_run_waits_for_a_persons_yes(world: World) -> None:
    world.plan = ask
    run = await world.receive("a")
    await world.engine.advance(run)
    assert "a person: close 1,200 tickets?" in (await world.show(run))["waiting_for"]

    await world.verbs.decide(run, world.by, approved=True, answer={"use": 123})
    await world.engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["result"]) == ("succeeded", "jane: mended in HaloPSA ({'use': 123})")
    assert [entry["action"] for entry in shown["history"]] == ["approved"]
    with pytest.raises(NotPossible, match="asks nothing"):
        await world.verbs.decide(run, world.by, approved=True)


async def test_a_persons_no_ends_the_run_as_cancelled(world: World) -> None:
    world.plan = ask
    run = await world.receive("a")
    await world.engine.advance(run)
    await world.verbs.decide(run, world.by, approved=False)
    await world.engine.advance(run)

    assert (await world.show(run))["state"] == "cancelled"
    assert world.outside.written == []


async def test_an_overdue_approval_tells_people_once_and_never_approves(world: World) -> None:
    world.plan = ask
    run = await world.receive("a")
    await world.engine.advance(run)
    await world.later(days=3)
    await world.engine.advance(run)
    await world.later(days=30)
    await world.engine.advance(run)

    assert "overdue since" in (await world.show(run))["waiting_for"]
    assert await world.alerts() == ["approval overdue"]
    assert world.outside.written == []
    await world.verbs.decide(run, world.by, approved=True)
    await world.engine.advance(run)
    assert (await world.show(run))["state"] == "succeeded"


async def test_a_decision_is_not_got_by_a_retry(world: World) -> None:
    world.plan = ask
    run = await world.receive("a")
    await world.engine.advance(run)

    with pytest.raises(NotPossible, match="approve or reject"):
        await world.verbs.retry(run, world.by)


async def test_a_run_goes_on_when_the_event_it_awaits_comes(world: World) -> None:
    async def await_another(services: Services, event: Event) -> str | None:
        if event.id != "test:a":
            return None
        return await services.run.event(
            "moved", "toy.event name:acme", until=NOON + timedelta(days=1), what="a moved date"
        )

    world.plan = await_another
    run = await world.receive("a")
    await world.engine.advance(run)
    assert (await world.show(run))["waiting_for"] == "a moved date"
    other = await world.receive("b")
    await world.engine.advance(other)
    await world.engine.advance(run)

    assert (await world.show(run))["result"] == "test:b"


async def test_a_thousand_waiting_runs_hold_no_slot(world: World, valkey: str) -> None:
    async def sleep_or_write(services: Services, event: Event) -> None:
        if event.id != "test:last":
            await services.run.sleep_until("the day", NOON + timedelta(days=3), "the day")
        await services.run.step("write", write, services, event.id)

    world.plan = sleep_or_write

    async def answer(subject: str) -> None:
        kind, _, identity = subject.partition("/")
        for run in await world.inbox.route(identity) if kind == "event" else [identity]:
            await world.engine.advance(run)

    payload = {"type": "toy.event", "data": {}}
    events = [
        Event(f"test:{n}", "test", "toy.event", NOON, payload | {"data": {"client": f"c-{n}", "fact": f"f-{n}"}})
        for n in range(1000)
    ]
    await world.inbox.accept(events)
    for event in events:
        await answer(f"event/{event.id}")
    await world.redis.delete("arq:queue")  # all doorbells are answered
    worker = DoorbellWorker(valkey, answer, slots=1)
    answering = asyncio.create_task(worker.run())
    await world.inbox.accept(
        [Event("test:last", "test", "toy.event", NOON, payload | {"data": {"client": "c-1", "fact": "last"}})]
    )
    await until_count(world, "succeeded", 1)
    await worker.drain(5)
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    await worker.close()

    assert world.outside.written == ["test:last"]
    assert (await world.reader.counts())["waiting"] == 1000


async def until_count(world: World, state: str, number: int) -> None:
    async with asyncio.timeout(40):
        while (await world.reader.counts())[state] < number:  # noqa: ASYNC110 - the worker does not tell
            await asyncio.sleep(0.05)


async def test_an_event_that_does_not_come_is_not_waited_for_for_ever(world: World) -> None:
    async def await_another(services: Services, _event: Event) -> str | None:
        return await services.run.event(
            "moved", "toy.event name:else", until=NOON + timedelta(days=1), what="a moved date"
        )

    world.plan = await_another
    run = await world.receive("a")
    await world.engine.advance(run)
    await world.later(days=2)
    await world.engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["result"]) == ("succeeded", None)


async def test_what_is_not_there_yet_is_looked_for_again_when_the_client_changes(world: World) -> None:
    async def find_or_make(services: Services, event: Event) -> None:
        if event.id == "test:churn":
            await services.run.step("find", find, services)
        await services.run.step("write", write, services, event.id)

    world.plan = find_or_make
    churn = await world.receive("churn")
    await world.engine.advance(churn)
    assert (await world.show(churn))["waiting_for"] == "no client Acme in HaloPSA"
    onboarding = await world.receive("onboard", occurred=NOON + timedelta(seconds=1))
    await world.engine.advance(onboarding)
    await world.engine.advance(churn)

    assert world.outside.written == ["test:onboard", "test:churn"]
    assert (await world.show(churn))["history"][-1]["action"] == "late"


async def test_what_came_while_a_worker_stood_still_is_not_waited_for(world: World) -> None:
    async def stand_still_then_miss(services: Services, event: Event) -> None:
        if event.id == "test:churn" and not services.outside.written:
            await services.run.step("find", find_too_late, services)
        await services.run.step("write", write, services, event.id)

    world.plan = stand_still_then_miss
    churn = await world.receive("churn")
    world.meanwhile = onboard_past_the_lease
    await world.engine.advance(churn)
    await world.worker("worker-3").advance(churn)

    assert world.outside.written == ["test:onboard", "test:churn"]


async def onboard_past_the_lease(world: World) -> None:
    await world.later(seconds=9)
    onboarding = await world.receive("onboard", occurred=NOON - timedelta(seconds=1))
    await world.worker("worker-2").advance(onboarding)


async def find_too_late(services: Services) -> int:
    found = bool(services.outside.written)
    await services.stand_still()
    if not found:
        raise NotYet("no client Acme in HaloPSA", mend="onboard it.")
    return 29


async def find(services: Services) -> int:
    if not services.outside.written:
        raise NotYet("no client Acme in HaloPSA", mend="onboard it.")
    return 29


async def test_what_never_comes_fails_after_a_day_with_what_to_do(world: World) -> None:
    async def never(services: Services, _event: Event) -> None:
        await services.run.step("find", missing, services)

    world.plan = never
    run = await world.receive("a")
    await world.engine.advance(run)
    for _ in range(2):
        await world.later(hours=13)
        await world.engine.advance(run)

    shown = await world.show(run)
    assert shown["state"] == "failed"
    assert "did not come within a day" in shown["error"]
    assert "onboard it" in shown["error"]


async def missing(_services: Services) -> None:
    raise NotYet("no client Acme in HaloPSA.", mend="onboard it.")


async def test_interruptions_do_not_count_as_attempts(world: World) -> None:
    async def stopped(services: Services, event: Event) -> Any:
        engine.stop()
        return await two_writes(services, event)

    run = await world.receive("a")
    for number in range(30):
        engine = world.worker(f"worker-{number}")
        world.plan = stopped
        await engine.advance(run)
    world.plan = two_writes
    await world.engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["attempt"]) == ("succeeded", 1)


async def test_a_run_can_be_cut_after_every_step(world: World) -> None:
    engine = world.worker("suspending", suspend_always=True)
    run = await world.receive("a")
    claims = 0
    while (await world.show(run))["state"] != "succeeded":
        await engine.advance(run)
        claims += 1

    assert claims == 3
    assert world.outside.written == ["test:a first", "test:a second"]


async def test_trouble_outside_is_given_up_after_a_day(world: World) -> None:
    run = await world.receive("a")
    for _ in range(3):
        world.outside.trouble = [RetryLater("HaloPSA answered 503")]
        await world.engine.advance(run)
        await world.later(hours=13)

    shown = await world.show(run)
    assert shown["state"] == "failed"
    assert "Given up after a day" in shown["error"]


async def test_a_remark_stands_in_the_history_once(world: World) -> None:
    async def say_it(services: Services, _event: Event) -> None:
        await services.run.remark("retired", "set inactive: contact 7")
        await services.run.step("last", write, services, "last")

    world.plan = say_it
    engine = world.worker("suspending", suspend_always=True)
    run = await world.receive("a")
    for _ in range(3):
        await engine.advance(run)

    assert [entry["action"] for entry in (await world.show(run))["history"]] == ["set inactive: contact 7"]


async def test_a_run_that_waits_for_another_client_goes_on_when_that_one_is_there(world: World) -> None:
    async def needs_parent(services: Services, event: Event) -> str:
        if event.data["client"] == "child" and not world.outside.written:
            raise NotYet("the parent is not there yet", of=["name:parent"])
        return await services.run.step("first", write, services, event.id)

    world.plan = needs_parent
    child = await world.receive("child", client="child")
    await world.engine.advance(child)
    assert (await world.show(child))["state"] == "waiting"

    await world.engine.advance(await world.receive("parent", client="parent"))
    await world.engine.advance(child)

    assert (await world.show(child))["state"] == "succeeded"
