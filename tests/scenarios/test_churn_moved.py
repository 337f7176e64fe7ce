"""A client that is to leave on another day than was said before leaves on that day alone."""

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from tests.chaos.laboratory import Laboratory, laboratory
from tests.chaos.tenants import MONDAY, churned, tenant_with_a_client


async def contract_end(lab: Laboratory) -> str:
    (contract,) = lab.sandbox.state()["ClientContract"]
    return str(contract["end_date"])[:10]


@pytest.mark.parametrize(
    ("days", "ended"),
    [
        ([3, 10], "2026-12-03"),
        ([10, 3], "2026-11-26"),
        ([3, 10, 5], "2026-11-28"),
        ([10, 3, 12], "2026-12-05"),
    ],
)
async def test_the_last_word_counts(redis: Redis, valkey: str, days: list[int], ended: str) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=int(MONDAY.timestamp() * 1000)) as lab:
        for number, leaves in enumerate(days):
            said = MONDAY + timedelta(hours=number)
            await lab.deliver(
                churned(at=said, leaves=timedelta(days=leaves) - timedelta(hours=number), delivery=f"d{number}")
            )
            await lab.look()
            assert all("the last service day" in run["waiting_for"] for run in await lab.runs())
        await lab.run_to_the_end()

        runs = await lab.runs()
        assert await contract_end(lab) == ended
        assert [run["state"] for run in runs] == ["succeeded"] * len(days), [run["error"] for run in runs]
        assert [bool(run["result"]["superseded_by"]) for run in runs] == [True] * (len(days) - 1) + [False]
        assert all(ticket["hasbeenclosed"] for ticket in lab.sandbox.state()["Tickets"])
