"""What people do to runs: retry, skip, put results in, cancel, pause; each leaves who and why in the history."""

from dataclasses import replace
from typing import Any

import pytest

from tests.integration.world import NOON, Services, World, two_writes, write
from worker.errors import NeedsOperator
from worker.events import Event
from worker.journal.verbs import NoSuchRun, NotPossible


async def refused(services: Services) -> int:
    services.outside.written.append("refused once more")
    raise NeedsOperator("HaloPSA refused it: no such type.", mend="choose another one.")


async def optional(_services: Services) -> None:
    raise NeedsOperator("HaloPSA refused it: no such type.")


async def stuck(services: Services, event: Event) -> Any:
    await services.run.step("first", write, services, f"{event.id} first")
    number = await services.run.step("number", refused, services)
    return number + 1


async def failed_run(world: World) -> str:
    world.plan = stuck
    run = await world.receive("a")
    await world.engine.advance(run)
    assert (await world.show(run))["state"] == "failed"
    return run


async def test_a_mended_run_is_retried_where_it_failed(world: World) -> None:
    run = await failed_run(world)
    world.plan = two_writes
    await world.verbs.retry(run, world.by)
    await world.engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["error"]) == ("succeeded", None)
    assert world.outside.written == ["test:a first", "refused once more", "test:a second"]
    assert [(entry["actor"], entry["action"], entry["reason"]) for entry in shown["history"]] == [
        ("jane", "retry", "mended in HaloPSA")
    ]


async def test_a_retry_from_a_step_does_it_and_the_later_ones_again_looking_first(world: World) -> None:
    seen: list[bool] = []

    async def watch(services: Services, _event: Event) -> None:
        await services.run.step("first", write, services, "first")
        await services.run.step("second", write, services, "second")
        seen.append(await services.run.step("third", _doubt, services))

    world.plan = watch
    run = await world.receive("a")
    await world.engine.advance(run)
    with pytest.raises(NotPossible, match="it is succeeded"):
        await world.verbs.retry(run, world.by, forget=["second", "third"])

    async def watch_then_fail(services: Services, event: Event) -> None:
        await watch(services, event)
        await services.run.step("number", refused, services)

    world.plan = watch_then_fail
    run = await world.receive("b")
    await world.engine.advance(run)
    await world.verbs.retry(run, world.by, forget=["second", "third", "number"])
    world.plan = watch
    await world.engine.advance(run)

    assert seen == [False, False, True]
    assert [what for what in world.outside.written if what != "refused once more"][2:] == ["first", "second", "second"]


async def _doubt(services: Services) -> bool:
    return services.run.in_doubt


async def test_a_result_put_in_by_hand_lets_the_run_succeed(world: World) -> None:
    run = await failed_run(world)
    await world.later(seconds=1)
    await world.verbs.mark_done(run, world.by, "number", 41)
    await world.engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["result"]) == ("succeeded", 42)
    assert [step["state"] for step in shown["steps"]] == ["succeeded", "marked_done"]


async def test_a_result_that_does_not_fit_the_steps_type_parks_the_run_again(world: World) -> None:
    run = await failed_run(world)
    await world.verbs.mark_done(run, world.by, "number", "forty-one")
    await world.engine.advance(run)

    shown = await world.show(run)
    assert shown["state"] == "failed"
    assert "'number', which was marked done, does not fit" in shown["error"]


async def test_a_skipped_step_shows_in_the_end(world: World) -> None:
    async def with_an_optional_step(services: Services, _event: Event) -> str:
        await services.run.step("optional", optional, services)
        return await services.run.step("last", write, services, "last")

    world.plan = with_an_optional_step
    run = await world.receive("a")
    await world.engine.advance(run)
    await world.verbs.skip(run, world.by, "optional")
    await world.later(seconds=1)
    await world.engine.advance(run)

    shown = await world.show(run)
    assert shown["state"] == "succeeded_with_skips"
    assert [step["state"] for step in shown["steps"]] == ["skipped", "succeeded"]


async def test_a_step_whose_result_is_needed_cannot_be_skipped(world: World) -> None:
    run = await failed_run(world)
    await world.verbs.skip(run, world.by, "number")
    await world.engine.advance(run)

    shown = await world.show(run)
    assert shown["state"] == "failed"
    assert "which was skipped, does not fit" in shown["error"]


async def test_only_a_step_that_the_run_stands_at_can_be_marked(world: World) -> None:
    run = await failed_run(world)

    with pytest.raises(NotPossible, match="has not been tried"):
        await world.verbs.mark_done(run, world.by, "nubmer", 41)
    with pytest.raises(NotPossible, match="done already"):
        await world.verbs.skip(run, world.by, "first")
    with pytest.raises(NoSuchRun):
        await world.verbs.skip("nobody", world.by, "first")


async def test_a_cancelled_failure_frees_its_client(world: World) -> None:
    run = await failed_run(world)
    world.plan = two_writes
    behind = await world.receive("b")
    await world.engine.advance(behind)
    assert (await world.show(behind))["state"] == "waiting"

    assert await world.verbs.cancel(run, world.by) is True
    await world.engine.advance(behind)

    shown = await world.show(run)
    assert (shown["state"], shown["error"]) == ("cancelled", "cancelled by jane: mended in HaloPSA")
    assert (await world.show(behind))["state"] == "succeeded"


async def test_a_run_that_is_cancelled_at_work_writes_nothing_more(world: World) -> None:
    async def cancelled_inside(services: Services, _event: Event) -> Any:
        await services.run.step("first", write, services, "first")
        assert await world.verbs.cancel(run, world.by) is False
        return await services.run.step("second", write, services, "second")

    world.plan = cancelled_inside
    run = await world.receive("a")
    await world.engine.advance(run)
    await world.later(seconds=9)
    await world.engine.advance(run)

    assert world.outside.written == ["first"]
    assert (await world.show(run))["state"] == "cancelled"


@pytest.mark.parametrize("scope", ["run", "workflow:toy", "all"])
async def test_what_is_paused_stands_still_until_it_is_resumed(world: World, scope: str) -> None:
    run = await world.receive("a")
    scope = f"run:{run}" if scope == "run" else scope
    await world.verbs.pause(scope, world.by)
    await world.engine.advance(run)
    assert "jane has paused" in (await world.show(run))["waiting_for"]
    await world.redis.delete("arq:queue")

    await world.verbs.resume(scope, world.by)
    assert await world.redis.exists("arq:queue")
    await world.engine.advance(run)

    assert (await world.show(run))["state"] == "succeeded"
    with pytest.raises(NotPossible, match=r"not paused|it is succeeded"):
        await world.verbs.resume(scope, world.by)


async def test_a_pause_holds_a_run_at_work_before_its_next_write(world: World) -> None:
    async def paused_inside(services: Services, _event: Event) -> Any:
        await services.run.step("first", write, services, "first")
        await world.verbs.pause("all", world.by)
        return await services.run.step("second", write, services, "second")

    world.plan = paused_inside
    run = await world.receive("a")
    await world.engine.advance(run)

    assert world.outside.written == ["first"]
    assert "paused" in (await world.show(run))["waiting_for"]


async def test_a_retry_after_a_failed_validation_completes_the_event_again(world: World) -> None:
    async def validate(_services: Services, event: Event) -> str:
        if "name" not in event.data:
            raise NeedsOperator("Client name is required")
        return str(event.data["name"])

    world.plan = validate
    run = await world.receive("a")
    await world.engine.advance(run)
    event = (await world.reader.runs())[0]
    stored = await world.reader.run(event.id)
    assert stored is not None
    assert (await world.show(run))["error"] == "Client name is required"
    payload = {"type": "toy.event", "data": {"client": "acme", "fact": "a", "name": "Acme"}}
    world.completed["test:a"] = replace(Event("test:a", "test", "toy.event", NOON, {}), payload=payload)

    await world.verbs.retry(run, world.by)
    await world.engine.advance(run)

    shown = await world.show(run)
    assert (shown["state"], shown["result"], shown["input"]) == ("succeeded", "Acme", payload)


async def test_a_repeat_that_took_the_facts_place_bars_a_retry(world: World) -> None:
    world.plan = stuck
    run = await world.receive("a", fact="deal-1", client="acme")
    await world.engine.advance(run)
    repeat = await world.receive("b", fact="deal-1", client="else")
    world.plan = two_writes
    await world.engine.advance(repeat)

    with pytest.raises(NotPossible, match=repeat):
        await world.verbs.retry(run, world.by)


async def test_a_failed_run_and_the_client_it_blocks_are_told_once_each(world: World) -> None:
    await failed_run(world)
    for name in ("b", "c"):
        behind = await world.receive(name)
        await world.engine.advance(behind)
        await world.engine.advance(behind)

    assert await world.alerts() == ["run failed", "blocked client"]
