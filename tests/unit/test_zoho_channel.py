"""Zoho's notification channel is opened, and kept open."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.crm_world import BASE, CrmWorld
from worker.errors import NeedsOperator, RetryLater
from workflows.crm import ZohoChannel
from workflows.crm.zoho import signed_in

THERE = f"{BASE}/zoho"
NOTIFIED = "https://hooks.msp.example/webhooks/zoho"


def channel(transport: httpx.AsyncBaseTransport, notify_url: str = NOTIFIED) -> ZohoChannel:
    api = signed_in("app", "sandbox-secret", "refresh", url=THERE, accounts_url=THERE, transport=transport)
    return ZohoChannel(api, "v7", channel_id=1000000068001, notify_url=notify_url, token="zoho-s3cret")


async def test_the_channel_lives_for_almost_a_week_and_tells_of_what_can_win_or_lose_something() -> None:
    world, now = CrmWorld(), datetime.now(UTC)
    end = await channel(world.transport).renew(now)
    (opened,) = world.crms.rows("zoho.channels")

    assert timedelta(days=6) < end - now < timedelta(days=7)
    assert (opened["notify_url"], opened["token"]) == (NOTIFIED, "zoho-s3cret")
    assert opened["events"] == ["Deals.all", "Accounts.edit", "Accounts.delete"]
    assert opened["notify_on_related_action"] is False


async def test_to_renew_it_moves_its_end_and_makes_no_second_one() -> None:
    world, now = CrmWorld(), datetime.now(UTC)
    first = await channel(world.transport).renew(now - timedelta(days=1))
    second = await channel(world.transport).renew(now)

    assert second - first == timedelta(days=1)
    assert len(world.crms.rows("zoho.channels")) == 1


async def test_a_channel_that_ends_in_an_hour_needs_a_person() -> None:
    """Zoho gives an hour to whoever asks for more than a week: so does it to a clock that is ahead."""
    with pytest.raises(NeedsOperator, match="UTC only"):
        await channel(CrmWorld().transport).renew(datetime.now(UTC) + timedelta(days=3))


async def test_an_address_that_zoho_does_not_take_needs_a_person() -> None:
    with pytest.raises(NeedsOperator, match="INVALID_DATA"):
        await channel(CrmWorld().transport, "http://127.0.0.1:8080/webhooks/zoho").renew(datetime.now(UTC))


async def test_a_refusal_is_told_in_zoho_s_own_words() -> None:
    told = {"watch": [{"code": "NOT_ALLOWED", "message": "the scope is missing", "status": "error"}]}
    answers = iter([httpx.Response(200, json={"access_token": "t"}), httpx.Response(400, json=told)])
    with pytest.raises(NeedsOperator, match="the scope is missing") as refused:
        await channel(httpx.MockTransport(lambda _: next(answers))).renew(datetime.now(UTC))

    assert "event" not in str(refused.value)


async def test_an_answer_that_names_no_end_is_not_taken_for_an_open_channel() -> None:
    answers = iter([{"access_token": "t"}, {"watch": []}])
    with pytest.raises(NeedsOperator, match="without saying"):
        await channel(httpx.MockTransport(lambda _: httpx.Response(200, json=next(answers)))).renew(datetime.now(UTC))


async def test_a_zoho_that_is_away_is_asked_later() -> None:
    with pytest.raises(RetryLater):
        await channel(httpx.MockTransport(lambda _: httpx.Response(503))).renew(datetime.now(UTC))
