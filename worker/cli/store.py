"""How a command finds the journal: the configured Valkey, or the data directory's own."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from worker.assemble.store import Store, open_store
from worker.cli.output import stop
from worker.embedded import EmbeddedValkey
from worker.log import set_up_logging
from worker.settings import Settings, read_settings

T = TypeVar("T")


def settings(*, default_level: str = "INFO") -> Settings:
    """Read the environment's settings and set up logging by them."""
    found = read_settings({"PARHELION_LOG_LEVEL": default_level, **os.environ})
    set_up_logging(found.log_format, found.log_level)
    return found


def with_store(work: Callable[[Store], Awaitable[T]]) -> T:
    """Do some work on the store of the environment's settings."""

    async def connected() -> T:
        async with store_of(settings()) as store:
            return await work(store)

    return asyncio.run(connected())


@asynccontextmanager
async def store_if_any(found: Settings) -> AsyncIterator[Store | None]:
    """Open the store, where there is one yet."""
    if found.redis_url is None and not (found.data_dir / "valkey.json").exists():
        yield None
        return
    async with store_of(found) as store:
        yield store


@asynccontextmanager
async def store_of(found: Settings) -> AsyncIterator[Store]:
    """Open the store; an idle data directory's Valkey is started for the time."""
    if found.redis_url is not None:
        async with open_store(found.redis_url.get_secret_value()) as store:
            yield store
        return
    if not (found.data_dir / "valkey.json").exists():
        stop(
            f"nothing has run in {found.data_dir.resolve()} yet: start `parhelion up`, or set PARHELION_DATA_DIR or "
            "PARHELION_REDIS_URL to where it runs",
            3,
        )
    server = EmbeddedValkey(found.data_dir)
    url = await asyncio.to_thread(server.start)
    try:
        async with open_store(url) as store:
            yield store
    finally:
        await asyncio.to_thread(server.stop)
