"""Runs of one client wait for each other: in the order of their events, and only where it matters."""

from datetime import timedelta

from tests.integration.world import NOON, Services, World, read, two_writes, write
from worker.errors import NeedsOperator
from worker.events import Event


async def test_the_earlier_event_goes_first_until_the_later_one_has_written(world: World) -> None:
    later = await world.receive("later", occurred=NOON)
    earlier = await world.receive("earlier", occurred=NOON - timedelta(seconds=1))

    await world.engine.advance(later)
    assert earlier in (await world.show(later))["waiting_for"]
    await world.engine.advance(earlier)
    await world.engine.advance(later)

    assert world.outside.written == [
        f"test:{name}" for name in ("earlier first", "earlier second", "later first", "later second")
    ]


async def test_a_later_run_that_only_read_yields_and_reads_again(world: World) -> None:
    seen: list[int] = []

    async def read_then_write(services: Services, event: Event) -> None:
        seen.append(await services.run.step("read", read, services))
        if event.id == "test:later" and len(seen) == 1:
            await world.receive("earlier", occurred=NOON - timedelta(seconds=1))
        await services.run.step("write", write, services, event.id)

    world.plan = read_then_write
    later = await world.receive("later")
    await world.engine.advance(later)
    assert world.outside.written == []
    earlier = (await world.reader.runs())[0].id
    await world.engine.advance(earlier)
    await world.engine.advance(later)

    assert world.outside.written == ["test:earlier", "test:later"]
    assert seen == [0, 0, 1]


async def test_once_it_has_written_a_run_is_not_overtaken(world: World) -> None:
    async def write_and_see(services: Services, event: Event) -> None:
        await services.run.step("first", write, services, f"{event.id} first")
        if event.id == "test:later":
            await world.receive("earlier", occurred=NOON - timedelta(seconds=1))
        await services.run.step("second", write, services, f"{event.id} second")

    world.plan = write_and_see
    later = await world.receive("later")
    await world.engine.advance(later)

    assert world.outside.written == ["test:later first", "test:later second"]


async def test_a_failed_run_that_wrote_blocks_its_client_and_says_so(world: World) -> None:
    async def write_then_refuse(services: Services, event: Event) -> None:
        await services.run.step("first", write, services, event.id)
        await services.run.step("read", refused, services)

    world.plan = write_then_refuse
    failed = await world.receive("a")
    await world.engine.advance(failed)
    world.plan = two_writes
    behind, other = await world.receive("b"), await world.receive("c", client="other")
    await world.engine.advance(behind)
    await world.engine.advance(other)

    assert failed in (await world.show(behind))["waiting_for"]
    assert (await world.show(other))["state"] == "succeeded"


async def refused(_services: Services) -> None:
    raise NeedsOperator("HaloPSA refused it: no such type.", mend="choose another one.")


async def test_a_sleeping_run_lets_others_of_its_client_pass_and_goes_on_when_it_is_time(world: World) -> None:
    async def sleep_then_write(services: Services, event: Event) -> None:
        await services.run.sleep_until("the day", NOON + timedelta(days=3), "the last service day to be over")
        await services.run.step("first", write, services, event.id)

    world.plan = sleep_then_write
    sleeper = await world.receive("sleeper", occurred=NOON - timedelta(days=1))
    await world.engine.advance(sleeper)
    world.plan = two_writes
    other = await world.receive("other")
    await world.engine.advance(other)
    assert (await world.show(other))["state"] == "succeeded"
    assert (await world.show(sleeper))["waiting_for"] == "the last service day to be over"

    world.plan = sleep_then_write
    await world.engine.advance(sleeper)
    assert (await world.show(sleeper))["state"] == "waiting"
    await world.later(days=3)
    await world.engine.advance(sleeper)

    assert (await world.show(sleeper))["state"] == "succeeded"


async def test_who_comes_late_learns_of_it_but_who_only_slept_does_not(world: World) -> None:
    late: dict[str, str | None] = {}

    async def note_then_sleep(services: Services, event: Event) -> None:
        late[event.id] = services.run.newer
        await services.run.step("note", write, services, event.id)
        if event.id == "test:sleeper":
            await services.run.sleep_until("the day", NOON + timedelta(days=3), "the day")

    world.plan = note_then_sleep
    sleeper = await world.receive("sleeper", occurred=NOON - timedelta(days=1))
    await world.engine.advance(sleeper)
    newer = await world.receive("newer")
    await world.engine.advance(newer)
    await world.later(days=3)
    await world.engine.advance(sleeper)
    late_comer = await world.receive("late", occurred=NOON - timedelta(hours=1))
    await world.engine.advance(late_comer)

    assert late == {"test:sleeper": None, "test:newer": None, "test:late": newer}


async def test_two_names_of_one_client_meet_in_its_queue(world: World) -> None:
    async def learn(services: Services, event: Event) -> None:
        await services.run.known_as("halo:29")
        await services.run.step("write", write, services, event.id)

    async def wait_inside(services: Services, event: Event) -> None:
        await learn(services, event)
        await world.engine.advance(second)

    world.plan = learn
    second = await world.receive("second", client="acme ltd")
    world.plan = wait_inside
    first = await world.receive("first", client="acme", occurred=NOON - timedelta(seconds=1))
    await world.engine.advance(first)
    assert first in (await world.show(second))["waiting_for"]

    world.plan = learn
    await world.engine.advance(second)
    assert (await world.show(second))["state"] == "succeeded"
