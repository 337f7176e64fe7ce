"""What a worker renews by itself, and when people are told that it cannot."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from tests.integration.processes import look_alike
from worker.assemble.crms import zoho_channel_of
from worker.errors import NeedsOperator, RetryLater
from worker.jobs import encode_doorbell
from worker.journal.scripts import Scripts
from worker.journal.troubles import Troubles
from worker.renewal import PATIENT_FOR, Renewal
from worker.settings import read_settings

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Sender:
    """Renews, or fails as it is told to."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.trouble: Exception | None = None
        self.asked: list[datetime] = []

    def renewal(self) -> Renewal:
        troubles = Troubles(Scripts(self.redis, encode_doorbell()))
        return Renewal("zoho", self.renew, troubles, clock=lambda: NOW)

    async def renew(self, now: datetime) -> datetime:
        self.asked.append(now)
        if self.trouble:
            raise self.trouble
        return now + timedelta(days=6)

    async def told(self) -> list[tuple[str, str, str]]:
        texts = await self.redis.execute_command("LRANGE", "ph:alerts", 0, -1)  # type: ignore[no-untyped-call]  # redis 5 leaves it untyped
        return [(alert["kind"], alert["source"], alert["text"]) for alert in map(json.loads, texts)]


@pytest.fixture
def sender(redis: Redis) -> Sender:
    return Sender(redis)


async def test_a_renewal_asks_for_it_now_and_tells_nobody(sender: Sender) -> None:
    assert await sender.renewal().renewed()
    assert sender.asked == [NOW]
    assert await sender.told() == []


async def test_what_needs_a_person_is_told_once_by_all_workers_until_it_works_again(sender: Sender) -> None:
    renewals = [sender.renewal(), sender.renewal()]
    sender.trouble = NeedsOperator("the scope is missing")
    for renewal in renewals * 3:
        assert not await renewal.renewed()
    assert await sender.told() == [("subscription not renewed", "zoho", "the scope is missing")]

    sender.trouble = None
    assert await renewals[0].renewed()
    sender.trouble = NeedsOperator("the scope is missing again")
    assert not await renewals[1].renewed()
    assert [text for _, _, text in await sender.told()] == ["the scope is missing", "the scope is missing again"]


async def test_a_sender_that_is_away_for_a_day_is_told_and_one_that_comes_back_is_not(sender: Sender) -> None:
    renewal = sender.renewal()
    sender.trouble = RetryLater("it is away")
    for _ in range(PATIENT_FOR - 1):
        await renewal.renewed()
    assert await sender.told() == []

    await renewal.renewed()
    assert await sender.told() == [("subscription not renewed", "zoho", "it is away")]


async def test_the_settings_say_which_channel_is_kept_open_at_whose_address() -> None:
    async with look_alike() as there:
        settings = {
            "PARHELION_CHANNEL_ZOHO": "1000000068001",
            "PARHELION_PUBLIC_URL": "https://hooks.msp.example",
            "PARHELION_WEBHOOK_SECRET_ZOHO": "zoho-s3cret",
            "PARHELION_ZOHO_CLIENT_ID": "app",
            "PARHELION_ZOHO_CLIENT_SECRET": "sandbox-secret",
            "PARHELION_ZOHO_REFRESH_TOKEN": "refresh",
            "PARHELION_ZOHO_URL": f"{there.url}/zoho",
            "PARHELION_ZOHO_ACCOUNTS_URL": f"{there.url}/zoho",
        }
        now = datetime.now(UTC)
        channel = zoho_channel_of(read_settings(settings))
        elsewhere = zoho_channel_of(read_settings(settings | {"PARHELION_ZOHO_API_VERSION": "v99"}))
        assert channel is not None
        assert elsewhere is not None

        assert await channel.renew(now) > now + timedelta(days=6)
        with pytest.raises(NeedsOperator, match="/crm/v99/"):
            await elsewhere.renew(now)
        for one in (channel, elsewhere):
            await one.aclose()
