"""The journal's scripts and commands on one Valkey connection."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from worker.errors import StoreUnavailable

SERVER_CLOCK: Final = "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)"
"""Lua that gives the server's time in milliseconds."""
PRELUDES: Final = ("prelude.lua", "budget_prelude.lua")
"""What stands in front of every script, in this order."""


@dataclass(frozen=True, slots=True)
class Doorbell:
    """How a script wakes a worker: the queue, and an encoded job with ``"@SUBJECT@"`` where the subject goes."""

    queue: str
    payload: str
    ttl_ms: int = 7 * 24 * 3600 * 1000


class Scripts:
    """What the parts of the journal share.

    Args:
        redis: a client with ``decode_responses=True``.
        doorbell: how to wake a worker.
        clock: Lua that returns the time in milliseconds; tests hold the server's clock by it.

    Raises (every method):
        StoreUnavailable: Valkey did not answer or refused; nothing was stored.
    """

    def __init__(self, redis: Redis, doorbell: Doorbell, *, clock: str = SERVER_CLOCK) -> None:
        self._redis = redis
        self._scripts = _load(redis, doorbell, clock)

    async def call(self, script: str, *argv: str | int) -> Any:
        """Run one of the ``*.lua`` files."""
        async with _store():
            return await self._scripts[script](args=argv)

    async def read(self, *command: str | int) -> Any:
        """Run one command."""
        async with _store():
            return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]  # redis 5 leaves it untyped

    async def hashes(self, prefix: str, ids: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
        """Read several hashes; those that are not there are left out."""
        rows = await self.batch([("HGETALL", prefix + name) for name in ids])
        return [(name, fields) for name, fields in zip(ids, rows, strict=True) if fields]

    async def batch(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        """Run several commands in one round trip."""
        async with _store(), self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return list(await pipe.execute())


@asynccontextmanager
async def _store() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Valkey: {error}") from error


def _load(redis: Redis, doorbell: Doorbell, clock: str) -> Mapping[str, AsyncScript]:
    folder = files(__package__)
    constants = (
        f"local DOORBELL = {_lua(doorbell.payload)}\nlocal QUEUE = {_lua(doorbell.queue)}\n"
        f"local DOORBELL_TTL_MS = {doorbell.ttl_ms}\n"
    )
    shared = [folder.joinpath(name).read_text() for name in PRELUDES]
    prelude = constants + "".join(shared).replace("--CLOCK--", clock)
    return {
        entry.name.removesuffix(".lua"): redis.register_script(prelude + entry.read_text())
        for entry in folder.iterdir()
        if entry.name.endswith(".lua") and entry.name not in PRELUDES
    }


def _lua(text: str) -> str:
    return f"[==[{text}]==]"
