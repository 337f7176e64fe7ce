"""How runs begin: at once, after a person's yes, or not at all; and how one event's run ends another's."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.integration.world import NOON, Services, World, read, two_writes, write
from worker.engine import Engine
from worker.events import Event
from worker.planned_run import Plan
from worker.run import Guard, Mode, Start, Workflow


def engine(world: World, mode: Mode) -> Engine[Services]:
    async def planner(workflow: Workflow[Any], guard: Guard, event: Event, rules: str) -> Plan:
        async with guard.call("GET what is there", write=False) as call:
            call.settled()
        many = [{"step": "first", "method": "POST", "path": "/x", "body": [{"n": n} for n in range(9)]}]
        return Plan(workflow.name, f"{event.data['client']} by {rules}", writes=many, requests=10)

    return Engine(
        world.journal,
        [replace(world.workflows[0], start=lambda _: Start(mode, timedelta(days=2)))],
        world._services,
        worker="worker-1",
        hydrate=world._hydrate,
        rules="the rules",
        planner=planner,
    )


async def test_a_run_that_must_be_approved_writes_nothing_before(world: World) -> None:
    run = await world.receive("a")
    await engine(world, "approve").advance(run)

    shown = await world.show(run)
    assert shown["state"] == "waiting"
    assert f"a person: toy is to begin for acme; `runs plan {run}` shows what" in shown["waiting_for"]
    assert world.outside.written == []

    await world.verbs.decide(run, world.by, approved=True)
    await engine(world, "approve").advance(run)
    assert (await world.show(run))["state"] == "succeeded"
    assert len(world.outside.written) == 2


async def test_a_run_that_is_only_planned_writes_nothing_and_shows_its_plan(world: World) -> None:
    run = await world.receive("a")
    await engine(world, "plan").advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["result"]["client"]) == ("succeeded", "acme by the rules")
    assert shown["result"]["writes"][0]["body"] == [{"n": 0}, {"n": 1}, {"n": 2}, "and 6 more"]
    assert world.outside.written == []


async def test_a_planned_fact_may_still_be_done(world: World) -> None:
    await engine(world, "plan").advance(await world.receive("a", fact="deal 1 won"))

    again = await world.receive("b", fact="deal 1 won")

    await engine(world, "auto").advance(again)
    assert (await world.show(again))["state"] == "succeeded"
    assert len(world.outside.written) == 2


async def test_who_hands_an_event_in_is_not_asked_once_more(world: World) -> None:
    payload = {"type": "toy.event", "data": {"client": "acme", "fact": "x"}}
    await world.inbox.accept([Event("trigger:1", "trigger", "toy.event", NOON, payload)])
    (run,) = await world.inbox.route("trigger:1")

    await engine(world, "approve").advance(run)

    assert (await world.show(run))["state"] == "succeeded"


async def stop_deal_1(services: Services, _event: Event) -> str:
    halted = await services.run.halt("stop", "toy", "deal 1 won", "it is open again")
    await services.run.step("after", read, services)
    return halted


async def stopped(world: World, *, hours: float = 1) -> dict[str, Any]:
    world.plan = stop_deal_1
    reopened = await world.receive("reopened", client="deal 1", occurred=NOON + timedelta(hours=hours))
    await world.engine.advance(reopened)
    return await world.show(reopened)


async def test_a_run_that_has_not_written_is_cancelled(world: World) -> None:
    won = await world.receive("won", fact="deal 1 won")

    assert (await stopped(world))["result"] == "cancelled"

    shown = await world.show(won)
    assert shown["state"] == "cancelled"
    assert "it is open again" in shown["error"]


async def test_a_run_that_has_written_is_paused_before_its_next_write(world: World) -> None:
    async def stop_in_between(services: Services, event: Event) -> None:
        await services.run.step("first", write, services, "first")
        await services.run.sleep_until("later", NOON + timedelta(hours=2), "later")
        await services.run.step("second", write, services, event.id)

    world.plan = stop_in_between
    won = await world.receive("won", fact="deal 1 won")
    await world.engine.advance(won)

    assert (await stopped(world))["result"] == "paused"

    world.plan = stop_in_between
    await world.later(hours=3)
    await world.engine.advance(won)
    shown = await world.show(won)
    assert "has paused the run: it is open again" in shown["waiting_for"]
    assert world.outside.written == ["first"]


async def test_a_finished_run_stays_and_its_fact_may_be_new(world: World) -> None:
    world.plan = two_writes
    won = await world.receive("won", fact="deal 1 won")
    await world.engine.advance(won)
    assert await world.receive("won again", fact="deal 1 won") == ""

    assert (await stopped(world))["result"] == "finished"

    assert (await world.show(won))["state"] == "succeeded"
    assert await world.receive("won at last", fact="deal 1 won") != ""


async def test_a_later_win_is_left_alone(world: World) -> None:
    won = await world.receive("won", fact="deal 1 won", occurred=NOON + timedelta(hours=5))

    assert (await stopped(world))["result"] == "newer"

    assert (await world.show(won))["state"] == "queued"
    assert await world.receive("won again", fact="deal 1 won") == ""


async def test_nothing_is_stopped_twice(world: World) -> None:
    await world.receive("won", fact="deal 1 won")
    world.plan = stop_deal_1
    reopened = await world.receive("reopened", client="deal 1", occurred=NOON + timedelta(hours=1))
    claim = await world.journal.claim(reopened, "c-1", "worker-1")
    assert claim is not None
    assert await world.journal.halt(claim, "stop", "toy", "deal 1 won", "again open") == "cancelled"
    later_win = await world.receive("won later", fact="deal 1 won")

    assert await world.journal.halt(claim, "stop", "toy", "deal 1 won", "again open") == "cancelled"

    assert (await world.show(later_win))["state"] == "queued"


async def test_a_retry_begins_under_the_rules_of_now(world: World) -> None:
    async def fail(_services: Services, _event: Event) -> None:
        raise AssertionError

    world.plan = fail
    run = await world.receive("a")
    old = world.worker("old", rules="old rules")
    for _ in range(3):
        await old.advance(run)
        await world.later(minutes=10)
    await world.verbs.retry(run, world.by)

    claim = await world.journal.claim(run, "c-9", "new", rules="new rules")

    assert claim is not None
    assert claim.rules == "new rules"


async def wait_for_my_day(services: Services, event: Event) -> list[str]:
    ended = await services.run.supersede("moved", "its day moved")
    await services.run.step("note", write, services, f"{event.id} note")
    await services.run.sleep_until("day", NOON + timedelta(days=30), "the day")
    return ended


async def test_a_later_event_ends_the_run_that_waits_for_another_day(world: World) -> None:
    world.plan = wait_for_my_day
    first = await world.receive("a", fact="leaves on A")
    await world.engine.advance(first)
    second = await world.receive("b", fact="leaves on B", occurred=NOON + timedelta(hours=1))
    await world.engine.advance(second)

    shown = await world.show(first)
    assert (shown["state"], shown["error"]) == ("cancelled", f"superseded by run {second}: its day moved")
    back = await world.receive("a again", fact="leaves on A", occurred=NOON + timedelta(hours=2))
    await world.engine.advance(back)
    assert (await world.show(second))["state"] == "cancelled"
    await world.later(days=31)
    await world.engine.advance(back)
    assert (await world.show(back))["result"] == [second]


async def test_others_are_not_superseded(world: World) -> None:
    world.plan = wait_for_my_day
    later = await world.receive("later", fact="B", occurred=NOON + timedelta(hours=1))
    other_client = await world.receive("other", fact="C", client="beta")
    for run in (later, other_client):
        await world.engine.advance(run)

    early = await world.receive("early", fact="A")
    await world.engine.advance(early)

    assert [(await world.show(run))["state"] for run in (later, other_client)] == ["waiting", "waiting"]
