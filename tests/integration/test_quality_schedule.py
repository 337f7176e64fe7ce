"""The scheduled examination: when it is due, by one worker, once, with its findings kept and told."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.tenant import Tenant
from worker.budget import WaitingGuard
from worker.errors import StoreUnavailable
from worker.jobs import encode_doorbell
from worker.journal.examinations import Examinations
from worker.journal.scripts import Scripts
from worker.journal.upkeep import Upkeep
from workflows.data_quality.schedule import RESULTS_KEPT, ScheduledExamination, Turn, last_due
from workflows.policy import Policy
from workflows.policy.quality import DataQuality
from workflows.sandbox.msp import plant_msp

MONDAY = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "now", "due"),
    [
        ("never", "2026-11-23T06:30+00:00", None),
        ("day", "2026-11-23T06:30+00:00", "2026-11-23T06:00+00:00"),
        ("day", "2026-11-23T05:59+00:00", "2026-11-22T06:00+00:00"),
        ("week", "2026-11-23T05:59+00:00", "2026-11-16T06:00+00:00"),
        ("week", "2026-11-23T06:00+00:00", "2026-11-23T06:00+00:00"),
        ("week", "2026-11-29T23:00+00:00", "2026-11-23T06:00+00:00"),
    ],
)
def test_when_it_was_last_due(every: str, now: str, due: str | None) -> None:
    schedule = DataQuality.model_validate({"every": every})
    found = last_due(schedule, UTC, datetime.fromisoformat(now))

    assert (found and found.isoformat(timespec="minutes")) == due


def test_the_time_of_day_is_the_policys() -> None:
    sydney = timezone(timedelta(hours=11))
    found = last_due(DataQuality(every="week"), sydney, datetime(2026, 11, 22, 19, 30, tzinfo=UTC))

    assert found == datetime(2026, 11, 22, 19, tzinfo=UTC)


class Stop(Exception):
    """The end of a test."""


class Away:
    """A store that does not answer."""

    async def take(self, day: str) -> bool:
        raise StoreUnavailable(f"away on {day}")

    async def done(self, day: str, counts: Mapping[str, int]) -> None:
        raise StoreUnavailable(f"away on {day} with {counts}")


class Workers:
    """Some workers of one tenant, each with its own turn."""

    def __init__(self, redis: Redis, folder: Path) -> None:
        self.tenant = Tenant()
        self.redis = redis
        self.folder = folder
        self.now = MONDAY
        self.told: list[str] = []

    def turn(self, worker: str) -> Examinations:
        return Examinations(Scripts(self.redis, encode_doorbell()), worker)

    def examination(self, worker: str, turn: Turn | None = None) -> ScheduledExamination:
        return ScheduledExamination(
            self.tenant.connection,
            WaitingGuard(None, bulk=True),
            Policy.model_validate({"data_quality": {"every": "day"}}),
            folder=self.folder,
            turn=turn or self.turn(worker),
            clock=lambda: self.now,
            tell=self.told.append,
        )

    async def alert(self) -> dict[str, str] | None:
        taken = await Upkeep(Scripts(self.redis, encode_doorbell())).next_alert("a", hold_ms=1000)
        return dict(json.loads(taken[0])) if taken else None


@pytest.fixture
def workers(redis: Redis, tmp_path: Path) -> Workers:
    return Workers(redis, tmp_path)


async def test_one_worker_makes_it_once_a_day_and_tells_what_it_found(workers: Workers) -> None:
    planted = plant_msp(workers.tenant.sandbox, 1)
    for worker in ("a", "b", "a"):
        await workers.examination(worker).examine_if_due()
    asked = len(workers.tenant.wire.requests)
    kept = json.loads((workers.folder / "2026-11-23.json").read_text())
    alert = await workers.alert()

    assert len(kept) == len(planted.faults)
    assert alert
    assert alert["kind"] == "data quality"
    assert "client-hierarchy" in alert["text"]
    assert sum((await workers.turn("b").last()).values()) == len(kept)
    workers.now += timedelta(days=1)
    await workers.examination("a").examine_if_due()
    assert len(workers.tenant.wire.requests) > asked
    assert (workers.folder / "2026-11-24.json").exists()


async def test_a_worker_at_it_keeps_others_away(workers: Workers) -> None:
    assert await workers.turn("a").take("2026-11-23")
    await workers.examination("b").examine_if_due()
    assert workers.tenant.wire.requests == []
    assert await workers.turn("a").take("2026-11-23")


async def test_nothing_found_is_told_to_nobody(workers: Workers) -> None:
    await workers.turn("a").done("2026-11-23", {})

    assert await workers.alert() is None
    assert not await workers.turn("a").take("2026-11-23")
    assert not await workers.turn("b").take("2026-11-22")
    assert await workers.turn("b").take("2026-11-24")


async def test_it_is_noted_once_whatever_is_repeated(workers: Workers) -> None:
    for _ in range(2):
        await workers.turn("a").done("2026-11-23", {"client-hierarchy": 2})

    assert await workers.redis.llen("ph:alerts") == 1  # type: ignore[misc]  # redis 5 types it as either kind of client
    assert await workers.turn("a").last() == {"client-hierarchy": 2}


async def test_an_absent_store_or_halopsa_is_waited_for(workers: Workers) -> None:
    async def pause(seconds: float) -> None:
        raise Stop(seconds)

    scheduled = workers.examination("a", Away())
    scheduled._pause = pause
    with pytest.raises(Stop):
        await scheduled.keep_for_ever()
    assert workers.told == ["not made now: away on 2026-11-23"]


async def test_old_findings_are_deleted(workers: Workers) -> None:
    for day in range(1, 29):
        for month in (1, 2, 3):
            (workers.folder / f"2026-{month:02}-{day:02}.json").write_text("[]")
    await workers.examination("a").examine_if_due()
    kept = sorted(file.name for file in workers.folder.glob("*.json"))

    assert len(kept) == RESULTS_KEPT
    assert kept[-1] == "2026-11-23.json"
