"""Runs through a real journal in a real Valkey: only the outside world and the server's clock are played."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.world import NOON, Services, World, two_writes, write
from worker.errors import NeedsOperator, RetryLater
from worker.events import Event


async def test_a_run_ends_with_its_steps_and_result(world: World) -> None:
    run = await world.receive("a")

    await world.engine.advance(run)

    shown = await world.show(run)
    assert shown["state"] == "succeeded"
    assert [(step["id"], step["state"]) for step in shown["steps"]] == [("first", "succeeded"), ("second", "succeeded")]
    assert shown["result"] == ["test:a first", "test:a second"]
    assert shown["input"]["data"]["client"] == "acme"


async def test_the_same_event_twice_is_one_event_and_one_run(world: World) -> None:
    first = await world.receive("a")
    again = await world.receive("a")

    assert (bool(first), again) == (True, "")
    assert len(await world.reader.runs()) == 1


async def test_the_same_fact_under_another_delivery_starts_nothing_and_says_why(world: World) -> None:
    first = await world.receive("a", fact="deal-1")
    await world.engine.advance(first)

    assert await world.receive("b", fact="deal-1") == ""
    event = await world.reader.event("test:b")
    assert event is not None
    assert event["state"] == "ignored"
    assert first in event["reason"]


async def test_one_id_with_another_body_is_kept_as_an_event_of_its_own(world: World) -> None:
    await world.receive("a", fact="wrong")
    mended = await world.receive("a", fact="mended")

    assert mended
    assert len(await world.reader.events()) == 2


async def test_a_failed_run_names_the_step_and_does_not_block_a_repeat_of_the_fact(world: World) -> None:
    world.plan = refuse
    failed = await world.receive("a", fact="deal-1")
    await world.engine.advance(failed)
    world.plan = two_writes
    mended = await world.receive("b", fact="deal-1")
    await world.engine.advance(mended)

    shown = await world.show(failed)
    assert (shown["state"], shown["steps"][0]["state"]) == ("failed", "failed")
    assert "no such type" in shown["error"]
    assert "choose another" in shown["error"]
    assert (await world.show(mended))["state"] == "succeeded"


async def refuse(services: Services, _event: Event) -> None:
    await services.run.step("read", refused, services)


async def refused(_services: Services) -> None:
    raise NeedsOperator("HaloPSA refused it: no such type.", mend="choose another one.")


async def test_an_answered_error_is_tried_again_without_waiting_for_a_call_that_may_land(world: World) -> None:
    world.outside.trouble = [RetryLater("502 from the proxy", after=0)]
    run = await world.receive("a")
    await world.engine.advance(run)
    assert (await world.show(run))["state"] == "waiting"

    await world.later(seconds=1)
    await world.engine.advance(run)

    assert (await world.show(run))["state"] == "succeeded"
    assert (await world.show(run))["attempt"] == 2


async def test_a_lost_answer_is_waited_out_before_the_step_is_done_again(world: World) -> None:
    world.plan = doubtful
    world.outside.trouble = [ConnectionResetError("lost")]
    run = await world.receive("a")
    await world.engine.advance(run)
    await world.later(seconds=5)
    await world.engine.advance(run)
    shown = await world.show(run)
    assert "earlier call" in shown["waiting_for"]
    assert world.outside.written == []

    await world.later(seconds=11)
    await world.engine.advance(run)

    assert (await world.show(run))["state"] == "succeeded"
    assert world.outside.written == ["looked first"]


async def doubtful(services: Services, _event: Event) -> None:
    await services.run.step("write", look_if_in_doubt, services)


async def look_if_in_doubt(services: Services) -> None:
    await services.outside.write(services.run, "looked first" if services.run.in_doubt else "blind")


async def test_a_worker_past_its_lease_writes_no_checkpoint_and_sends_nothing_more(world: World) -> None:
    async def pause_in_the_first(services: Services, event: Event) -> Any:
        await services.run.step("first", write, services, f"{event.id} first")
        await world.later(seconds=30)  # as if the process had been stopped here
        return await services.run.step("second", write, services, f"{event.id} second")

    world.plan = pause_in_the_first
    run = await world.receive("a")
    await world.engine.advance(run)
    assert world.outside.written == ["test:a first"]
    assert (await world.show(run))["state"] == "running"

    world.plan = two_writes
    await world.worker("worker-2").advance(run)

    shown = await world.show(run)
    assert shown["state"] == "succeeded"
    assert world.outside.written == ["test:a first", "test:a second"]
    assert shown["interruptions"] == 1


async def test_a_bug_is_tried_a_few_times_and_then_fails_the_run(world: World) -> None:
    async def broken(services: Services, _event: Event) -> None:
        await services.run.step("broken", fall_over, services)

    world.plan = broken
    run = await world.receive("a")
    for _ in range(3):
        await world.later(minutes=10)
        await world.engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["steps"][0]["attempts"]) == ("failed", 3)
    assert "ZeroDivisionError" in shown["error"]


async def fall_over(_services: Services) -> float:
    return 1 / 0


async def test_what_is_due_and_quiet_is_rung_again(world: World) -> None:
    await world.receive("a")
    await world.redis.delete("arq:queue")  # every doorbell is lost
    assert await world.journal.sweep("worker-1") == 0

    await world.later(seconds=6)

    assert await world.journal.sweep("worker-1") == 1
    assert len(await world.redis.keys("arq:job:*")) == 2  # the lost one's payload, and the new one's


async def test_a_stopping_worker_gives_its_run_back_before_the_next_request(world: World) -> None:
    async def stop_inside(services: Services, event: Event) -> Any:
        await services.run.step("first", write, services, f"{event.id} first")
        world.engine.stop()
        return await services.run.step("second", write, services, f"{event.id} second")

    world.plan = stop_inside
    run = await world.receive("a")
    await world.engine.advance(run)
    shown = await world.show(run)
    assert (shown["state"], shown["waiting_for"], shown["attempt"]) == ("queued", "a free worker", 1)

    world.plan = two_writes
    await world.worker("worker-2").advance(run)

    assert world.outside.written == ["test:a first", "test:a second"]


async def test_only_one_worker_gets_a_run(world: World) -> None:
    run = await world.receive("a")
    workers = [world.worker(f"worker-{n}") for n in range(5)]

    await asyncio.gather(*(worker.advance(run) for worker in workers))

    assert world.outside.written == ["test:a first", "test:a second"]


@pytest.mark.parametrize("version", [2, 0])
async def test_a_run_of_an_unknown_version_waits_for_code(world: World, version: int) -> None:
    run = await world.receive("a")
    async with world.redis.pipeline() as pipe:
        pipe.hset(f"ph:run:{run}", "version", str(version))
        await pipe.execute()

    await world.engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["attempt"]) == ("waiting", 1)
    assert "no worker here knows toy version" in shown["waiting_for"]


async def test_a_refusal_that_the_workflow_goes_on_after_still_makes_the_run_fail(world: World) -> None:
    async def go_on_after_a_refusal(services: Services, event: Event) -> str:
        with contextlib.suppress(NeedsOperator):
            await services.run.step("ticket:7", refused, services)
        return await services.run.step("second", write, services, event.id)

    world.plan = go_on_after_a_refusal
    run = await world.receive("a")
    await world.engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], world.outside.written) == ("failed", ["test:a"])
    assert "step ticket:7: HaloPSA refused it" in shown["error"]
    assert {step["id"]: step["state"] for step in shown["steps"]} == {"ticket:7": "failed", "second": "succeeded"}


async def test_an_error_between_steps_is_not_put_on_the_step_before(world: World) -> None:
    async def decide_between(services: Services, event: Event) -> None:
        await services.run.step("first", write, services, event.id)
        raise NeedsOperator("two clients match")

    world.plan = decide_between
    run = await world.receive("a")
    await world.engine.advance(run)

    steps = (await world.show(run))["steps"]
    assert [(step["id"], step["state"]) for step in steps] == [("first", "succeeded"), ("(between steps)", "failed")]


async def test_a_run_keeps_the_rules_that_it_began_with(world: World) -> None:
    seen: list[str] = []

    async def note_rules_and_sleep(services: Services, event: Event) -> None:
        seen.append(services.rules)
        await services.run.sleep_until(f"the day of {event.id}", NOON + timedelta(days=500), "the day")

    world.plan = note_rules_and_sleep
    before, after = world.worker("worker-1", rules="old rules"), world.worker("worker-2", rules="new rules")
    old = await world.receive("old")
    await before.advance(old)
    await world.later(days=500)
    await after.advance(old)
    await after.advance(await world.receive("new", client="other"))

    assert seen == ["old rules", "old rules", "new rules"]


async def test_a_run_from_before_rules_were_recorded_takes_the_present_ones(world: World) -> None:
    seen: list[str] = []

    async def note_rules_and_sleep(services: Services, _event: Event) -> None:
        seen.append(services.rules)
        await services.run.sleep_until("the day", NOON + timedelta(days=3), "the day")

    world.plan = note_rules_and_sleep
    run = await world.receive("a")
    await world.engine.advance(run)
    await world.later(days=3)
    await world.worker("worker-2", rules="rules").advance(run)
    await world.redis.delete(*await world.redis.keys("ph:rules:*"))
    await world.worker("worker-2", rules="other rules").advance(await world.receive("b"))

    assert seen == ["", "rules", "other rules"]
