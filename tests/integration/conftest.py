"""A world with an engine, at noon; and no process that outlives its test."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.integration.processes import Process
from tests.integration.world import NOON, World


@pytest.fixture
async def world(redis: Redis) -> World:
    world = World(redis)
    await world.at(NOON)
    return world


@pytest.fixture(autouse=True)
async def nothing_left_behind() -> AsyncIterator[None]:
    yield
    await Process.end_all()
