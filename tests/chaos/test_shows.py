"""What the product is shown by: bad answers by the dozen, a worker that sleeps, a change of mind within a second."""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from tests.chaos.laboratory import Laboratory, laboratory
from tests.chaos.scale import LONG, SEED
from tests.chaos.storm import Storm
from tests.chaos.tenants import MONDAY, churned, count_standing, deal_won, new_tenant
from tests.integration.processes import look_alike, until
from worker.assemble.store import open_store
from worker.events import Event

STARTED = int(MONDAY.timestamp() * 1000)
ONBOARDED = Counter({"clients": 1, "sites": 2, "contacts": 2, "contracts": 1, "assets": 1, "Onboarded": 1})


async def test_forty_deals_succeed_once_each_where_four_of_ten_requests_go_wrong(redis: Redis, valkey: str) -> None:
    sandbox = new_tenant()
    sandbox.faults.fail_before = 0.2
    sandbox.faults.lose_answers = 0.2
    sandbox.faults.seed = SEED
    async with laboratory(redis, valkey, sandbox, now=STARTED) as lab:
        for number in range(1, 41):
            await lab.deliver(deal_won(number))
        await lab.run_to_the_end()
        runs = await lab.runs()

    assert Counter(run["state"] for run in runs) == {"succeeded": 40}, f"seed {SEED}"
    assert sandbox.injector.happened["lose_answers"] > 40
    state = sandbox.state()
    assert [count_standing(state, number) for number in range(1, 41)] == [ONBOARDED] * 40, f"seed {SEED}"
    assert len(state["Client"]) == len(new_tenant().state()["Client"]) + 40
    assert len(state["ClientContract"]) == 40


DEAL_FIRST = (deal_won(at=MONDAY), churned(at=MONDAY + timedelta(seconds=1), leaves=timedelta(days=-1)))
CHURN_FIRST = (churned(at=MONDAY, leaves=timedelta(days=-1)), deal_won(at=MONDAY + timedelta(seconds=1)))


@pytest.mark.parametrize("looks_between", [0, 1, 2])
@pytest.mark.parametrize("delivered", [DEAL_FIRST, DEAL_FIRST[::-1]], ids=["in order", "the wrong way round"])
async def test_a_deal_and_a_churn_a_second_later_go_in_that_order_and_never_overlap(
    redis: Redis, valkey: str, delivered: tuple[Event, Event], looks_between: int
) -> None:
    async with laboratory(redis, valkey, new_tenant(), now=STARTED) as lab:
        runs = await deliver(lab, delivered, looks_between)
        (client,) = [row for row in lab.sandbox.state()["Client"] if row["ref"] == "C-77"]

    assert {run["state"] for run in runs.values()} == {"succeeded"}
    assert writers(lab) == [runs["onboard_client"]["id"], runs["churn_client"]["id"]]
    assert client["inactive"]


@pytest.mark.parametrize("looks_between", [0, 1, 2])
@pytest.mark.parametrize("delivered", [CHURN_FIRST, CHURN_FIRST[::-1]], ids=["in order", "the wrong way round"])
async def test_a_deal_a_second_after_a_churn_is_not_undone_by_it(
    redis: Redis, valkey: str, delivered: tuple[Event, Event], looks_between: int
) -> None:
    async with laboratory(redis, valkey, new_tenant(), now=STARTED) as lab:
        runs = await deliver(lab, delivered, looks_between)
        (client,) = [row for row in lab.sandbox.state()["Client"] if row["ref"] == "C-77"]

    assert runs["onboard_client"]["state"] == "succeeded"
    assert writers(lab) == [runs["onboard_client"]["id"]]
    assert runs["onboard_client"]["id"] in runs["churn_client"]["waiting_for"]
    assert not client["inactive"]


async def deliver(lab: Laboratory, events: tuple[Event, Event], looks_between: int) -> dict[str, dict[str, Any]]:
    """Deliver two events, the second while the first is at work; returns the runs by workflow."""
    first, second = events
    await lab.deliver(first)
    for _ in range(looks_between):
        await lab.look()
    await lab.deliver(second)
    await lab.run_to_the_end()
    return {run["workflow"]: run for run in await lab.runs()}


def writers(lab: Laboratory) -> list[str]:
    """The runs that wrote to HaloPSA, each as often as it took over from another one."""
    return [subject.removeprefix("run/") for subject, _ in groupby(lab.course.writers)]


@pytest.mark.skipif(not LONG, reason="takes 20 s of real time: in `make chaos`")
async def test_a_worker_stopped_past_its_lease_keeps_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    async with look_alike() as halo:
        storm = Storm(tmp_path, halo, SEED)
        sleeper, other = storm.workers[:2]
        try:
            await asyncio.gather(storm.valkey.start(), storm.web.start(), sleeper.start())
            await halo.faults(latency_ms=1000)
            await storm.send([deal_won()], within=0)
            async with open_store(storm.valkey.url) as store, httpx.AsyncClient() as client:

                async def writes() -> int:
                    return int((await client.get(f"{halo.url}/sandbox/requests")).json().get("POST /api/Client", 0))

                await until(writes)
                sleeper.signal(SIGSTOP)
                await halo.faults(latency_ms=0)
                await other.start()

                async def done() -> bool:
                    return (await store.reader.counts())["succeeded"] == 1

                await until(done, within=40)
                (before,) = await store.reader.runs()
                sleeper.signal(SIGCONT)
                await until(lambda: sleeper.said("run fenced"))
                (after,) = await store.reader.runs()
                requests = await halo.requests()
                assert after == before
                assert count_standing(await halo.state(), 77) == ONBOARDED
                assert requests == await halo.requests()
        finally:
            await asyncio.gather(*(process.end(SIGKILL) for process in (storm.valkey, storm.web, sleeper, other)))
