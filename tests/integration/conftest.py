"""A world with an engine, at noon."""

import pytest
from redis.asyncio import Redis

from tests.integration.world import NOON, World


@pytest.fixture
async def world(redis: Redis) -> World:
    world = World(redis)
    await world.at(NOON)
    return world
