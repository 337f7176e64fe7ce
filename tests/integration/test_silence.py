"""People are told of a source that has stopped sending, once each time."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from tests.integration.processes import SECRET, TOKEN, until
from tests.integration.world import World
from webhooks.signatures import sign_standard
from worker.alerts import plain_text
from worker.assemble.chores import silence_watch_of
from worker.assemble.store import Store, open_store
from worker.assemble.web import web_app
from worker.jobs import encode_doorbell
from worker.journal.heard import Heard
from worker.journal.scripts import Scripts
from worker.settings import Settings
from worker.silence import Ear, SilenceWatch
from workflows.policy import Policy

BODY = b'{"type": "deal.won", "data": {}}'


class House:
    """Senders that are heard, and workers that listen, by the clock of `world`."""

    def __init__(self, world: World) -> None:
        self.world = world
        clock = "return tonumber(redis.call('GET', 'test:now'))"
        self.heard = Heard(Scripts(world.redis, encode_doorbell(), clock=clock))
        self.watches = [SilenceWatch(self.heard, {"hubspot": 48, "zoho": 0.5}) for _ in range(2)]

    async def look(self) -> list[str]:
        """Let all workers look; returns whose silence was ever told."""
        await asyncio.gather(*(watch.look() for watch in self.watches))
        return [alert["source"] for alert in await self.alerts()]

    async def alerts(self) -> list[dict[str, Any]]:
        texts = await self.world.redis.execute_command("LRANGE", "ph:alerts", 0, -1)  # type: ignore[no-untyped-call]  # redis 5 leaves it untyped
        return [json.loads(text) for text in texts]


@pytest.fixture
async def house(world: World) -> House:
    house = House(world)
    await house.heard.note("hubspot")
    await house.heard.note("zoho")
    return house


async def test_each_silence_is_told_once(house: House) -> None:
    assert await house.look() == []
    await house.world.later(hours=1)
    assert await house.look() == ["zoho"]
    await house.world.later(hours=46)
    assert await house.look() == ["zoho"]
    await house.world.later(hours=2)
    assert await house.look() == ["zoho", "hubspot"]
    await house.world.later(days=30)
    assert await house.look() == ["zoho", "hubspot"]


async def test_the_next_silence_is_told_again(house: House) -> None:
    await house.world.later(hours=49)
    await house.look()
    await house.heard.note("hubspot")
    await house.world.later(hours=47)
    assert (await house.look()).count("hubspot") == 1
    await house.world.later(hours=2)
    assert (await house.look()).count("hubspot") == 2
    assert len({alert["id"] for alert in await house.alerts()}) == 3


async def test_a_source_that_was_never_heard_is_silent_since_somebody_listens(world: World) -> None:
    house = House(world)
    assert await house.look() == []
    await world.later(hours=47)
    assert await house.look() == ["zoho"]
    await world.later(hours=2)
    assert await house.look() == ["zoho", "hubspot"]
    assert await house.heard.last() == {}


async def test_the_alert_says_who_is_silent_and_what_to_do(house: House) -> None:
    await house.world.later(hours=1)
    await house.look()
    (alert,) = await house.alerts()

    assert plain_text(alert).splitlines() == [
        "Parhelion: source silent: zoho",
        "No delivery has come for more than 0.5 hours.",
        "Look in the sender's own log of deliveries, and whether its webhook is still active there",
    ]


@pytest.fixture
async def store(redis: Redis, valkey: str) -> AsyncIterator[Store]:
    await redis.flushall()
    async with open_store(valkey) as store:
        yield store


async def test_the_policy_says_whose_silence_is_told(store: Store, redis: Redis) -> None:
    rules = {"sources": {"hubspot": {"silence_hours": 48}, "zoho": {}}}
    await silence_watch_of(Policy.model_validate(rules), store).look()

    assert await redis.zrange("ph:listening", 0, -1) == ["hubspot"]


async def test_deliveries_that_prove_themselves_are_heard_and_shown(store: Store) -> None:
    secrets = {"standard": (SecretStr(SECRET),), "token": (SecretStr(TOKEN),)}
    transport = httpx.ASGITransport(web_app(Settings(webhook_secrets=secrets), store))
    async with httpx.AsyncClient(transport=transport, base_url="http://parhelion.test") as client:
        before = datetime.now(UTC).timestamp()
        form = {"content-type": "application/json"}
        signed = form | sign_standard(SECRET, "one", datetime.now(UTC), BODY)
        refused = await client.post("/webhooks/token", content=BODY, headers={**form, "authorization": "Bearer wrong"})
        taken = await client.post("/webhooks/standard", content=BODY, headers=signed)
        heard = await until(store.heard.last)
        metrics = (await client.get("/metrics")).text

    assert (refused.status_code, taken.status_code) == (401, 202)
    assert heard.keys() == {"standard"}
    assert heard["standard"] == pytest.approx(before, abs=5)
    (line,) = [line for line in metrics.splitlines() if line.startswith("parhelion_source_last_delivery_timestamp{")]
    assert float(line.removeprefix('parhelion_source_last_delivery_timestamp{source="standard"} ')) == heard["standard"]


async def test_a_flood_is_noted_once(store: Store, redis: Redis) -> None:
    await store.heard.note("standard")  # from now on Valkey knows the script
    before = await calls(redis)
    ear = Ear(store.heard)
    for _ in range(1000):
        ear.hear("standard")
        ear.hear("token")
    await until(lambda: heard_both(store))

    assert await calls(redis) == before + 2


async def heard_both(store: Store) -> bool:
    return len(await store.heard.last()) == 2


async def calls(redis: Redis) -> int:
    return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])
