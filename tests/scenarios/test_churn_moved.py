"""A client that is to leave on another day than was said before leaves on that day alone."""

from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.chaos.laboratory import Laboratory, laboratory
from tests.chaos.tenants import MONDAY, about_a_contact, churned, tenant_with_a_client

NOW = int(MONDAY.timestamp() * 1000)


async def say(lab: Laboratory, days: list[int]) -> None:
    """Say one day after the other, an hour apart."""
    for number, leaves in enumerate(days):
        at, left = MONDAY + timedelta(hours=number), timedelta(days=leaves) - timedelta(hours=number)
        await lab.deliver(churned(at=at, leaves=left, delivery=f"said {number}"))
        await lab.look()


def apart_from_notes(lab: Laboratory) -> dict[str, Any]:
    """What stands in the tenant, without the notes on clients."""
    return {entity: rows for entity, rows in lab.sandbox.state().items() if entity != "CRMNote"}


async def contract_end(lab: Laboratory) -> str:
    (contract,) = lab.sandbox.state()["ClientContract"]
    return str(contract["end_date"])[:10]


@pytest.mark.parametrize(
    ("days", "ended"),
    [
        ([3, 10], "2026-12-03"),
        ([10, 3], "2026-11-26"),
        ([3, 10, 5], "2026-11-28"),
        ([10, 3, 10], "2026-12-03"),
        ([3, 10, 3, 10, 3], "2026-11-26"),
    ],
)
async def test_the_last_word_counts(redis: Redis, valkey: str, days: list[int], ended: str) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=NOW) as lab:
        before = apart_from_notes(lab)
        await say(lab, days)

        *moved, last = await lab.runs()
        assert f"{ended}, the last service day of Client 77, to end" in last["waiting_for"]
        assert [run["state"] for run in moved] == ["cancelled"] * (len(days) - 1)
        assert all("a later event says when Client 77 leaves" in run["error"] for run in moved)
        assert apart_from_notes(lab) == before

        await lab.run_to_the_end()
        *_, last = await lab.runs()
        assert last["state"] == "succeeded", last["error"]
        assert await contract_end(lab) == ended
        assert all(ticket["hasbeenclosed"] for ticket in lab.sandbox.state()["Tickets"])


async def test_a_churn_that_waits_lets_others_pass_and_outlives_its_worker(redis: Redis, valkey: str) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=NOW) as lab:
        await say(lab, [10])
        await lab.deliver(about_a_contact("contact.created", at=MONDAY + timedelta(hours=1)))
        await lab.look()
        churn, contact = await lab.runs()
        assert (churn["state"], contact["state"]) == ("waiting", "succeeded"), contact

        lab._bury()
        await lab.run_to_the_end()
        churn, _ = await lab.runs()
        assert churn["state"] == "succeeded", churn["error"]
        assert await contract_end(lab) == "2026-12-03"


async def test_a_day_that_was_said_earlier_and_comes_late_is_asked_about(redis: Redis, valkey: str) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=NOW) as lab:
        await lab.deliver(churned(at=MONDAY, leaves=timedelta(days=10), delivery="later"))
        await lab.look()
        await lab.deliver(churned(at=MONDAY - timedelta(hours=1), leaves=timedelta(days=3), delivery="earlier"))
        await lab.look()

        later, earlier = sorted(await lab.runs(), key=lambda run: str(run["created_at"]))
        assert "the last service day" in later["waiting_for"]
        assert "of a later event changed it" in earlier["waiting_for"]
