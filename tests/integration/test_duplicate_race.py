"""Deals for one new company that come at once make one client, and a person's answer is worked by."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.chaos.laboratory import HELD_CLOCK, Laboratory, laboratory
from worker.assemble.store import DOORBELL
from worker.events import Event, canonical_event
from worker.journal.scripts import Scripts
from worker.journal.verbs import Operator, Verbs
from workflows.sandbox import Sandbox

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
JANE = Operator("jane", "looked at both")


def won(number: int, key: str, name: str) -> Event:
    """A new deal of a company of the CRM; of two the one with the lower number was won first."""
    data = {"deal": {"id": f"D-{number}", "kind": "new"}, "client": {"id": key, "name": name}}
    at = NOON - timedelta(minutes=10 - number)
    payload = {"type": "deal.won", "timestamp": at.isoformat(), "data": data}
    return canonical_event("standard", f"deal-{number}", payload, received_at=NOON)


def named(sandbox: Sandbox, word: str) -> list[str]:
    return [client["name"] for client in sandbox.state()["Client"] if word in client["name"].casefold()]


async def both(lab: Laboratory, *events: Event) -> list[dict[str, Any]]:
    for event in events:
        await lab.deliver(event)
    await lab.run_to_the_end()
    return await lab.runs()


@pytest.mark.parametrize("names", [("Acme Corp.", "ACME Corporation"), ("Smith & Sons Ltd", "Smith and Sons Limited")])
async def test_the_second_of_two_deals_at_once_names_the_first(
    redis: Redis, valkey: str, names: tuple[str, str]
) -> None:
    sandbox = Sandbox(clock=lambda: NOON)
    async with laboratory(redis, valkey, sandbox, now=int(NOON.timestamp() * 1000)) as lab:
        runs = await both(lab, won(1, "C-1", names[0]), won(2, "C-2", names[1]))
        (waiting,) = [run for run in runs if run["state"] == "waiting"]
        (made,) = [run["result"]["client_id"] for run in runs if run["state"] == "succeeded"]
        assert f"{made} {names[0]!r} (key 'C-1', same name but for its legal form)" in waiting["waiting_for"]

        scripts = Scripts(redis, DOORBELL, clock=HELD_CLOCK)
        await Verbs(scripts).decide(waiting["id"], JANE, approved=True, answer={"use": made})
        await lab.run_to_the_end()
        ended = {run["state"]: run["result"] for run in await lab.runs()}

    assert list(ended) == ["succeeded"]
    assert {row["ref"] for row in sandbox.state()["ClientContract"]} == {"D-1", "D-2"}
    assert named(sandbox, names[0].casefold().split()[0]) == [names[0]]


async def test_two_deals_at_once_of_one_company_make_one_client(redis: Redis, valkey: str) -> None:
    sandbox = Sandbox(clock=lambda: NOON)
    async with laboratory(redis, valkey, sandbox, now=int(NOON.timestamp() * 1000)) as lab:
        runs = await both(lab, won(1, "C-1", "Acme Corp."), won(2, "C-1", "ACME Corporation"))

    assert [run["state"] for run in runs] == ["succeeded", "succeeded"]
    assert named(sandbox, "acme") == ["Acme Corp."]
