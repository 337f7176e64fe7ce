"""Bounds: what a run may weigh, how long it is kept, and where it goes then."""

import copy
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.integration.world import NOON, Services, World
from tests.tenant import Tenant
from worker.engine import Engine
from worker.errors import NeedsOperator, RetryLater
from worker.events import Event, canonical_event
from worker.inbox import Inbox
from worker.jobs import encode_doorbell
from worker.journal import Journal
from worker.journal.reading import Reader
from worker.journal.scripts import Scripts
from worker.journal.upkeep import Aged, Upkeep
from worker.retention import Retention
from workflows.msp import msp_for_run
from workflows.policy import Policy
from workflows.registry import WORKFLOWS

DEAL: dict[str, Any] = json.loads(files("worker.demo").joinpath("deal-won.json").read_text())
OPEN_RUN_BYTES = 8000
FINISHED_RUN_BYTES = 6000
RUNS = 20


class Attic:
    """A journal with an archive beside it, and the server's clock in the test's hand."""

    def __init__(self, redis: Redis, folder: Path) -> None:
        self.redis = redis
        self.folder = folder / "archive"
        self.world = World(redis)
        scripts = Scripts(redis, encode_doorbell(), clock="return tonumber(redis.call('GET', 'test:now'))")
        self.upkeep = Upkeep(scripts)

    def retention(self, worker: str = "worker-1", folder: Path | None = None) -> Retention:
        archive = folder or self.folder
        return Retention(self.upkeep, self.world.reader, worker=worker, archive=archive, days=90)

    async def run(self, name: str, **more: Any) -> str:
        """Let an event's run end."""
        run = await self.world.receive(name, **more)
        await self.world.engine.advance(run)
        return run

    async def archive(self) -> int:
        return await self.retention().archive_some()

    async def keys_about(self, *names: str) -> list[str]:
        """What Valkey still knows of these: keys, and index entries."""
        keys = [str(key) async for key in self.redis.scan_iter()]
        indexes = [key for key in keys if key in {"ph:ended", "ph:events", "ph:open"} or key.startswith("ph:runs")]
        entries = {key: str(await self.redis.zrange(key, 0, -1)) for key in indexes}
        found = [key for key in keys if not key.startswith(("arq:", "ph:fact:", "ph:latest:"))]
        return [text for text in [*found, *entries.values()] if any(name in text for name in names)]

    def lines(self, kind: str) -> list[dict[str, Any]]:
        texts = [path.read_text() for path in sorted(self.folder.glob(f"{kind}-*.jsonl"))]
        return [json.loads(line) for text in texts for line in text.splitlines()]


async def refuse(*_: Any) -> None:
    raise NeedsOperator("HaloPSA refused it.", mend="choose another type.")


async def refuse_after_a_write(services: Services, event: Event) -> None:
    await services.run.step("write", _write, services, event.id)
    await refuse()


async def _write(services: Services, what: str) -> None:
    await services.outside.write(services.run, what)


@pytest.fixture
async def attic(redis: Redis, tmp_path: Path) -> Attic:
    attic = Attic(redis, tmp_path)
    await attic.world.at(NOON)
    return attic


async def test_an_old_run_goes_into_the_archive_with_its_event_and_history_and_leaves_nothing(attic: Attic) -> None:
    run = await attic.run("a")
    shown = await attic.world.show(run)

    await attic.world.later(days=89)
    assert await attic.archive() == 0
    await attic.world.later(days=1, seconds=1)
    assert await attic.archive() == 1

    assert [path.name for path in attic.folder.iterdir()] == ["runs-2026-11-23.jsonl"]
    assert attic.lines("runs") == [shown]
    assert shown["input"]["type"] == "toy.event"
    assert await attic.keys_about(run, "test:a") == []


async def test_what_is_open_or_blocks_its_client_stays_whatever_its_age(attic: Attic) -> None:
    queued = await attic.world.receive("queued", client="one")
    attic.world.plan = refuse_after_a_write
    blocking = await attic.run("blocking", client="two")
    await attic.world.later(days=400)

    assert await attic.archive() == 0
    await attic.world.verbs.cancel(blocking, attic.world.by)
    assert (await attic.world.show(queued))["state"] == "queued"

    await attic.world.later(days=91)
    assert await attic.archive() == 1
    assert [line["id"] for line in attic.lines("runs")] == [blocking]
    assert (await attic.world.show(queued))["input"]["data"]["client"] == "one"


async def test_a_fact_whose_run_is_archived_still_starts_nothing_unless_the_run_had_failed(attic: Attic) -> None:
    await attic.run("a", fact="succeeded")
    attic.world.plan = refuse
    await attic.run("b", fact="failed", client="other")
    await attic.world.later(days=91)
    assert await attic.archive() == 2

    assert await attic.world.receive("c", fact="succeeded") == ""
    assert await attic.world.receive("d", fact="failed", client="other") != ""


async def test_a_fact_is_forgotten_some_time(attic: Attic) -> None:
    await attic.run("a")

    assert 399 < await attic.redis.ttl("ph:fact:toy:a") / 86_400 <= 400


async def test_an_event_that_nothing_wanted_is_archived_with_its_reason(attic: Attic) -> None:
    event = Event("test:x", "test", "other.event", NOON, {"type": "other.event"})
    await attic.world.inbox.accept([event])
    await attic.world.inbox.route(event.id)
    await attic.world.later(days=91)

    assert await attic.archive() == 1
    (line,) = attic.lines("events")
    assert (line["id"], line["state"], line["payload"]) == ("test:x", "ignored", {"type": "other.event"})
    assert "other.event" in line["reason"]
    assert await attic.keys_about("test:x") == []


async def test_a_run_that_is_taken_up_again_meanwhile_is_not_deleted(attic: Attic) -> None:
    attic.world.plan = refuse
    run = await attic.run("a")
    await attic.world.later(days=91)
    aged = await attic.upkeep.aged("worker-1", hold_ms=1000, age_ms=90 * 86_400_000, limit=10)
    assert aged is not None
    assert aged.subjects == [f"run/{run}"]
    await attic.world.verbs.retry(run, attic.world.by)

    await attic.upkeep.expire(aged)

    assert (await attic.world.show(run))["state"] == "queued"


async def test_a_worker_that_dies_before_it_deletes_loses_nothing(
    attic: Attic, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await attic.run("a")
    await attic.world.later(days=91)
    monkeypatch.setattr("os.fsync", _break)
    with pytest.raises(ConnectionResetError):
        await attic.archive()
    monkeypatch.undo()
    assert (await attic.world.show(run))["state"] == "succeeded"

    assert await attic.retention("worker-2").archive_some() == 0, "the dead worker still holds it"
    await attic.redis.delete("ph:hold:archive")  # its time is over
    assert await attic.retention("worker-2").archive_some() == 1
    assert [line["id"] for line in attic.lines("runs")] == [run, run]


def _break(_: int) -> None:
    raise ConnectionResetError


async def test_an_archive_that_cannot_be_written_keeps_the_runs(attic: Attic, tmp_path: Path) -> None:
    run = await attic.run("a")
    await attic.world.later(days=91)
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file"):
        await attic.retention(folder=tmp_path / "file").archive_some()

    assert (await attic.world.show(run))["state"] == "succeeded"


async def test_a_line_that_a_crash_has_torn_spoils_only_itself(attic: Attic) -> None:
    run = await attic.run("a")
    await attic.world.later(days=91)
    attic.folder.mkdir()
    (attic.folder / "runs-2026-11-23.jsonl").write_text('{"id": "torn')

    await attic.archive()

    torn, whole = (attic.folder / "runs-2026-11-23.jsonl").read_text().splitlines()
    assert torn == '{"id": "torn'
    assert json.loads(whole)["id"] == run


async def test_many_old_runs_go_in_batches(attic: Attic) -> None:
    runs = [await attic.run(f"e{number}", client=f"client {number}") for number in range(60)]
    await attic.world.later(days=91)
    retention = attic.retention()

    assert [await retention.archive_some() for _ in range(3)] == [50, 10, 0]
    assert [line["id"] for line in attic.lines("runs")] == runs


async def test_index_entries_without_a_record_are_trimmed(attic: Attic) -> None:
    lost, kept = await attic.run("a"), await attic.run("b")
    waiting = await attic.world.receive("c", client="other")
    await attic.redis.delete(f"ph:run:{lost}", "ph:event:test:a", f"ph:history:{lost}", f"ph:run:{waiting}")
    await attic.world.later(minutes=1)

    await attic.retention().trim_some()
    await attic.world.journal.sweep("worker-1")

    assert [key for key in await attic.keys_about(lost, "test:a", waiting) if "ph:event:test:c" not in key] == [
        f"['run/{lost}', 'run/{kept}']"  # what has ended leaves this one when it is old
    ]
    assert [run.id for run in await attic.world.reader.runs()] == [kept]


async def test_what_is_archived_need_not_be_there_any_more(attic: Attic) -> None:
    run = await attic.run("a")
    await attic.redis.delete(f"ph:run:{run}")
    await attic.world.later(days=91)

    assert await attic.archive() == 1
    assert await attic.upkeep.expire(Aged(0, [])) == 0
    assert await attic.redis.zcard("ph:ended") == 0


async def test_a_history_keeps_its_latest_entries(attic: Attic) -> None:
    run = await attic.world.receive("a")
    for _ in range(105):
        await attic.world.verbs.pause(f"run:{run}", attic.world.by)
        await attic.world.verbs.resume(f"run:{run}", attic.world.by)

    shown = await attic.world.show(run)
    assert len(shown["history"]) == 200
    assert shown["history"][-1]["action"] == "resumed"


async def test_errors_are_kept_short(attic: Attic) -> None:
    async def fail_at_length(*_: Any) -> None:
        raise NeedsOperator("x" * 50_000)

    attic.world.plan = fail_at_length
    shown = await attic.world.show(await attic.run("a"))

    assert len(shown["error"]) == 4000
    assert shown["error"].endswith("x …")
    assert len(json.dumps(shown)) < 10_000


async def test_what_a_run_waits_for_is_told_shortly(attic: Attic) -> None:
    async def wait(*_: Any) -> None:
        raise RetryLater("x" * 50_000)

    attic.world.plan = wait
    shown = await attic.world.show(await attic.run("a"))

    assert len(shown["waiting_for"]) == 4000
    assert len(shown["error"]) == 4000


async def test_all_runs_can_be_exported(attic: Attic) -> None:
    runs = [await attic.run(f"e{number}", client=f"client {number}") for number in range(3)]

    exported = [details async for details in attic.world.reader.export()]

    assert [details["id"] for details in exported] == runs
    assert exported[0] == await attic.world.show(runs[0])


@pytest.mark.parametrize(("length", "packed"), [(100, False), (5000, True)])
async def test_a_long_body_is_packed_and_nobody_notices(attic: Attic, length: int, packed: bool) -> None:
    payload = {"type": "toy.event", "data": {"client": "Ümlaut", "fact": "f", "notes": "ü" * length}}
    seen: list[dict[str, Any]] = []

    async def look(_: Services, event: Event) -> None:
        seen.append(event.payload)

    attic.world.plan = look
    await attic.world.inbox.accept([Event("test:a", "test", "toy.event", NOON, payload)])
    (run,) = await attic.world.inbox.route("test:a")
    await attic.world.engine.advance(run)

    (stored,) = await attic.redis.hmget("ph:event:test:a", ["body"])  # type: ignore[misc]  # typed for sync clients too
    event = await attic.world.reader.event("test:a") or {}
    assert (len(stored) < 500) == (packed or length < 500)
    assert stored.startswith("zlib:") == packed
    assert json.loads(event["body"]) == (await attic.world.show(run))["input"] == seen[0] == payload


def deal(number: int) -> Event:
    payload = copy.deepcopy(DEAL)
    payload["data"]["deal"]["id"] = f"D-{number}"
    payload["data"]["client"] |= {"id": f"C-{number}", "name": f"Client {number}"}
    payload["data"]["contacts"][0]["email"] = f"john@client-{number}.example.com"
    return canonical_event("standard", f"msg_2Lh9KRb0pzN4LePd3XiA4v1p{number:04}", payload, received_at=NOON)


async def memory_of_all_keys(redis: Redis) -> int:
    """What the runs take; the policy's text is kept once for all of them."""
    keys = [str(key) async for key in redis.scan_iter() if not str(key).startswith("ph:rules:")]
    return sum([int(await redis.memory_usage(key, samples=0) or 0) for key in keys])


async def test_runs_of_the_demos_deal_stay_small(redis: Redis) -> None:
    tenant = Tenant()
    scripts = Scripts(redis, encode_doorbell())
    journal, reader = Journal(scripts), Reader(scripts)

    async def as_it_is(event: Event) -> Event:
        return event

    inbox = Inbox(journal, reader, WORKFLOWS, as_it_is)
    engine = Engine(
        journal,
        WORKFLOWS,
        msp_for_run(tenant.connection),
        rules=Policy().model_dump_json(),
        worker="worker-1.example.com:4711",
        hydrate=as_it_is,
    )

    async def onboard(number: int) -> None:
        await inbox.accept([deal(number)])
        for run in await inbox.route(deal(number).id):
            await engine.advance(run)

    await onboard(0)
    await redis.flushall()
    trouble_from = len(tenant.wire.requests) + 6  # in the verify: what goes before it is kept
    tenant.wire.mishaps = dict.fromkeys(range(trouble_from, trouble_from + 10), "failed before")
    await onboard(1)
    open_run = await memory_of_all_keys(redis)
    assert (await reader.counts())["waiting"] == 1

    tenant.wire.mishaps = {}
    await redis.flushall()
    for number in range(2, RUNS + 2):
        await onboard(number)
    for key in [key async for key in redis.scan_iter("arq:*")]:  # a worker takes away the doorbells it has answered
        await redis.delete(key)
    finished_run = await memory_of_all_keys(redis) / RUNS
    assert (await reader.counts())["succeeded"] == RUNS

    assert open_run <= OPEN_RUN_BYTES
    assert finished_run <= FINISHED_RUN_BYTES
