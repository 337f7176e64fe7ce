"""Deals of a family of companies in the wrong order: the children wait, and go on as soon as their parent stands."""

from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from tests.chaos.laboratory import laboratory
from worker.events import Event, canonical_event
from workflows.sandbox import Sandbox

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FAMILY: list[dict[str, Any]] = [
    {"id": "K-3", "name": "Kowalski Füssen", "parent_id": "kowalski süd"},
    {"id": "K-2", "name": "Kowalski Süd", "parent_id": "K-1"},
    {"id": "K-1", "name": "Kowalski Gruppe GmbH"},
]
"""The youngest first."""


def won(client: dict[str, Any]) -> Event:
    payload = {
        "type": "deal.won",
        "timestamp": (NOON - timedelta(minutes=1)).isoformat(),
        "data": {"deal": {"id": f"D-{client['id']}", "kind": "new"}, "client": client},
    }
    return canonical_event("standard", f"deal-{client['id']}", payload, received_at=NOON)


async def test_children_that_are_won_before_their_parent_wait_for_it_and_no_longer(redis: Redis, valkey: str) -> None:
    sandbox = Sandbox(clock=lambda: NOON)
    async with laboratory(redis, valkey, sandbox, now=int(NOON.timestamp() * 1000)) as lab:
        for client in FAMILY:
            await lab.deliver(won(client))
            for _ in range(3):
                await lab.look()
        await lab.run_to_the_end()
        runs = await lab.runs()

    assert [run["state"] for run in runs] == ["succeeded"] * 3
    ids = {row["name"]: row["id"] for row in sandbox.state()["Client"]}
    payers = {row["name"]: row["client_to_invoice"] for row in sandbox.state()["Client"]}
    assert payers["Kowalski Füssen"] == ids["Kowalski Süd"]
    assert payers["Kowalski Süd"] == ids["Kowalski Gruppe GmbH"]
    assert len(ids) == len(sandbox.state()["Client"])
    ended = [datetime.fromisoformat(run["updated_at"]) for run in runs]
    assert max(ended) - min(ended) < timedelta(seconds=60)
