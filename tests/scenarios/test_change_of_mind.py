"""What a later event takes back does not happen, and may be said again."""

from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.chaos.laboratory import Laboratory, laboratory
from tests.chaos.tenants import (
    MONDAY,
    about_a_contact,
    about_the_client,
    churned,
    deal_won,
    new_tenant,
    reopened,
    tenant_with_a_client,
    tenant_with_a_contact,
)
from worker.events import Event
from workflows.sandbox import Faults

NOW = int(MONDAY.timestamp() * 1000)
HOUR = timedelta(hours=1)


async def happens(lab: Laboratory, *events: Event) -> None:
    for event in events:
        await lab.deliver(event)
        await lab.look()


async def states(lab: Laboratory) -> list[tuple[str, str]]:
    runs = sorted(await lab.runs(), key=lambda run: str(run["created_at"]))
    return [(run["workflow"], run["state"]) for run in runs]


def without_its_parent(won: Event) -> Event:
    """The deal of a client whose parent HaloPSA does not have: its onboarding waits, and has written nothing."""
    won.data["client"]["parent_id"] = "C-404"
    return won


def people(lab: Laboratory) -> list[dict[str, Any]]:
    return [user for user in lab.sandbox.state()["Users"] if user["name"] != "General User"]


async def test_a_deal_that_is_reopened_before_its_onboarding_and_won_again(redis: Redis, valkey: str) -> None:
    async with laboratory(redis, valkey, new_tenant(), now=NOW) as lab:
        await happens(lab, without_its_parent(deal_won()), reopened(at=MONDAY + HOUR))
        assert await states(lab) == [("onboard_client", "cancelled"), ("deal_reopened", "succeeded")]
        assert len(lab.sandbox.state()["Client"]) == 2

        await happens(lab, deal_won(at=MONDAY + 2 * HOUR, delivery="again"))
        assert (await states(lab))[-1] == ("onboard_client", "succeeded")


async def test_a_deal_that_is_reopened_after_its_onboarding_and_won_again(redis: Redis, valkey: str) -> None:
    async with laboratory(redis, valkey, new_tenant(), now=NOW) as lab:
        await happens(lab, deal_won(), reopened(at=MONDAY + HOUR))
        assert await states(lab) == [("onboard_client", "succeeded"), ("deal_reopened", "waiting")]

        await happens(lab, deal_won(at=MONDAY + 2 * HOUR, delivery="again"))
        assert (await states(lab))[-1] == ("onboard_client", "succeeded")
        assert len(lab.sandbox.state()["ClientContract"]) == 1


async def failed_churn(lab: Laboratory) -> None:
    """A run that holds up its client: it failed after it had written."""
    lab.sandbox.faults = Faults(refuse={"POST /api/Client": "Locked"})
    await happens(lab, churned(leaves=timedelta(days=-1)))
    lab.sandbox.faults = Faults()
    assert await states(lab) == [("churn_client", "failed")]


async def test_nothing_of_its_client_holds_up_a_departure(redis: Redis, valkey: str) -> None:
    async with laboratory(redis, valkey, tenant_with_a_contact(), now=NOW) as lab:
        await failed_churn(lab)

        await happens(lab, about_a_contact("contact.departed", at=MONDAY + HOUR))

        assert (await states(lab))[-1] == ("depart_contact", "succeeded")
        assert [user["inactive"] for user in people(lab)] == [True]


async def test_a_contact_that_leaves_before_it_was_made_is_never_made(redis: Redis, valkey: str) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=NOW) as lab:
        await failed_churn(lab)
        await happens(lab, about_a_contact("contact.created", at=MONDAY + HOUR))
        assert (await states(lab))[-1] == ("onboard_contact", "waiting")

        await happens(lab, about_a_contact("contact.departed", at=MONDAY + 2 * HOUR))

        assert (await states(lab))[1:] == [("onboard_contact", "cancelled"), ("depart_contact", "succeeded")]
        assert people(lab) == []


@pytest.mark.parametrize("days", [3, 10])
async def test_a_client_that_stays_is_not_wound_down_until_it_says_so_again(
    redis: Redis, valkey: str, days: int
) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=NOW) as lab:
        await happens(lab, churned(leaves=timedelta(days=3)))
        await happens(lab, about_the_client("client.reactivated", at=MONDAY + HOUR))
        await lab.at(NOW + 4 * 24 * 3600 * 1000)
        await lab.look()
        assert await states(lab) == [("churn_client", "cancelled"), ("reactivate_client", "succeeded")]
        assert lab.sandbox.state()["Client"][-1]["inactive"] is False

        await happens(lab, churned(at=MONDAY + 2 * HOUR, leaves=timedelta(days=days) - 2 * HOUR, delivery="again"))
        await lab.run_to_the_end()
        assert (await states(lab))[-1] == ("churn_client", "succeeded")
        assert lab.sandbox.state()["Client"][-1]["inactive"] is True
