"""A Valkey that would lose what it is given, or has no room for it, gets nothing new."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from redis.asyncio import Redis

from tests.integration.processes import TOKEN, Parhelion, Process, free_port, look_alike, parhelion, until
from tests.integration.world import NOON, World
from worker.assemble.store import durability_of, open_store
from worker.assemble.web import web_app
from worker.embedded import EmbeddedValkey
from worker.errors import StoreUnavailable
from worker.settings import BadSettings, Settings, read_settings
from worker.store import BRISK_TRIES, store_client

BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[str]:
    """A Valkey that this test may spoil."""
    server = EmbeddedValkey(tmp_path / "own")
    yield server.start()
    server.stop()


@pytest.fixture
async def server(own_valkey: str) -> AsyncIterator[Redis]:
    client = store_client(own_valkey, tries=BRISK_TRIES)
    yield client
    await client.aclose(close_connection_pool=True)


def settings(**more: str) -> Settings:
    return read_settings({"PARHELION_WEBHOOK_SECRET_TOKEN": TOKEN, **more})


@asynccontextmanager
async def web(url: str, **more: str) -> AsyncIterator[httpx.AsyncClient]:
    """The web application as a process that starts now makes it."""
    async with open_store(url) as store:
        transport = httpx.ASGITransport(web_app(settings(**more), store))
        async with httpx.AsyncClient(transport=transport, base_url="http://web", headers=BEARER) as client:
            yield client


async def deliver(client: httpx.AsyncClient, name: str = "a") -> httpx.Response:
    event = {"type": "toy.event", "data": {"name": name}}
    return await client.post("/webhooks/token", json=event)


async def test_the_embedded_valkey_keeps_what_it_is_given(own_valkey: str) -> None:
    async with web(own_valkey) as client:
        assert (await client.get("/readyz")).status_code == 200
        assert (await deliver(client)).status_code == 202


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        ("appendonly", "no", "yes"),
        ("appendfsync", "everysec", "always"),
        ("no-appendfsync-on-rewrite", "yes", "no"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ],
)
async def test_a_bad_setting_is_refused_with_the_remedy(
    own_valkey: str, server: Redis, name: str, bad: str, good: str
) -> None:
    await server.config_set(name, bad)

    async with open_store(own_valkey) as store:
        with pytest.raises(BadSettings) as refused:
            await durability_of(settings(), store).at_start()
    (problem,) = refused.value.problems
    assert f"Valkey's {name} is {bad}, it must be {good}" in problem
    assert f"CONFIG SET {name} {good}" in problem

    async with web(own_valkey) as client:
        answer = await deliver(client)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert name in answer.json()["detail"]
        assert (await client.get("/readyz")).status_code == 503
    assert await server.keys("ph:*") == []


async def test_data_loss_may_be_accepted_and_is_warned_of(own_valkey: str, server: Redis) -> None:
    await server.config_set("appendfsync", "everysec")
    accepted = {"PARHELION_ALLOW_DATA_LOSS": "true"}

    async with open_store(own_valkey) as store:
        with structlog.testing.capture_logs() as logs:
            await durability_of(settings(**accepted), store).at_start()
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [("warning", "store may lose data")]
    async with web(own_valkey, **accepted) as client:
        assert (await deliver(client)).status_code == 202


async def test_what_may_not_be_asked_is_named_in_a_warning_and_stops_nothing(own_valkey: str, server: Redis) -> None:
    await server.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-config", "-info")  # type: ignore[no-untyped-call]  # redis 5 leaves it untyped
    limited = f"redis://app:secret@{own_valkey.rpartition('@')[2]}"

    async with open_store(limited) as store:
        with structlog.testing.capture_logs() as logs:
            await durability_of(settings(), store).at_start()
    (warning,) = logs
    assert (warning["log_level"], sorted(warning["needed"])) == (
        "warning",
        ["appendfsync", "appendonly", "maxmemory-policy", "no-appendfsync-on-rewrite"],
    )
    async with web(limited) as client:
        assert (await deliver(client)).status_code == 202


async def test_a_full_valkey_takes_no_deliveries_while_runs_still_finish(own_valkey: str, server: Redis) -> None:
    world = World(server)
    await world.at(NOON)
    run = await world.receive("a")
    await server.set("filler", "x" * 20_000_000)
    used = int((await server.info("memory"))["used_memory"])
    await server.config_set("maxmemory", int(used / 0.93))

    async with web(own_valkey) as client:
        answer = await deliver(client)
        ready = await client.get("/readyz")
        metrics = (await client.get("/metrics")).text
    await world.engine.advance(run)

    assert answer.status_code == ready.status_code == 503
    assert re.search(r"Valkey's memory is 9\d% full", answer.json()["detail"])
    assert ready.json()["detail"] == answer.json()["detail"]
    assert re.search(r'parhelion_store_memory_bytes\{kind="max"\} [\d.]+e\+07', metrics)
    assert (await world.show(run))["state"] == "succeeded"

    await server.config_set("maxmemory", used * 2)
    async with web(own_valkey) as client:
        assert (await client.get("/readyz")).status_code == 200
        assert (await deliver(client)).status_code == 202


async def test_valkey_is_asked_once_for_many_deliveries(own_valkey: str, server: Redis) -> None:
    async with web(own_valkey) as client:
        await server.config_resetstat()
        answers = await asyncio.gather(*(deliver(client, str(number)) for number in range(30)))
        stats: dict[str, Any] = await server.info("commandstats")

    assert {answer.status_code for answer in answers} == {202}
    assert stats["cmdstat_config|get"]["calls"] <= 2
    assert stats["cmdstat_info"]["calls"] <= 2


async def test_a_worker_waits_until_valkey_answers(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "late")
    url = server.start()
    server.stop()
    async with open_store(url) as store:
        durability = durability_of(settings(), store)
        await durability.at_start()
        with pytest.raises(StoreUnavailable):
            await durability.check()
        waiting = asyncio.create_task(durability.wait())
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(20):
            await waiting
    await asyncio.to_thread(server.stop)


async def test_processes_refuse_to_start_on_a_valkey_that_loses_data(own_valkey: str, server: Redis) -> None:
    await server.config_set("appendfsync", "everysec")
    await server.config_set("maxmemory-policy", "allkeys-lru")
    env = {
        "PARHELION_REDIS_URL": own_valkey,
        "PARHELION_WEB_BIND": f"127.0.0.1:{free_port()}",
        "PARHELION_WEBHOOK_SECRET_TOKEN": TOKEN,
        "PARHELION_HALO_URL": "http://127.0.0.1:1",
        "PARHELION_HALO_CLIENT_ID": "id",
        "PARHELION_HALO_CLIENT_SECRET": "secret",
    }
    for command in ("up", "web", "worker"):
        code, _, err = await parhelion(command, env=env)
        complaints = [line for line in err.splitlines() if line.startswith("parhelion: ")]
        assert (command, code, len(complaints)) == (command, 2, 2)
        assert "appendfsync is everysec, it must be always" in complaints[0]
        assert "Traceback" not in err


async def test_up_comes_up_without_valkey_and_is_ready_when_it_comes(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "late")
    url = server.start()
    server.stop()
    async with look_alike() as halo, httpx.AsyncClient() as client:
        product = Parhelion(tmp_path / "data", halo.url)
        process = await Process.start("up", env={**product.env, "PARHELION_REDIS_URL": url})

        async def alive() -> bool:
            return (await client.get(f"{product.web}/healthz")).status_code == 200

        async def ready() -> bool:
            return (await client.get(f"{product.web}/readyz")).status_code == 200

        await until(alive)
        assert not await ready()
        await asyncio.to_thread(server.start)
        await until(ready)
        assert (await process.interrupt())[0] == 0
    await asyncio.to_thread(server.stop)
