"""Fixtures that need a real Valkey."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from worker.embedded import EmbeddedValkey
from worker.store import BRISK_TRIES, store_client


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real, durable Valkey that the session's tests share."""
    server = EmbeddedValkey(Path(tmp_path_factory.mktemp("valkey")))
    yield server.start()
    server.stop()


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    """An empty store."""
    client = store_client(valkey, tries=BRISK_TRIES)
    await client.flushall()
    yield client
    await client.aclose(close_connection_pool=True)
