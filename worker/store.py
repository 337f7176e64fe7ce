"""Connections to Valkey."""

from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

PATIENT_TRIES = 60
"""A worker rides out a restart of Valkey: up to a minute of tries."""
BRISK_TRIES = 1
"""A sender waits for its answer: one more try, then it is told to come again."""


def store_pool(url: str, *, tries: int, decode: bool = True) -> ConnectionPool:
    """Make a pool whose commands are repeated after a lost connection (so all of them must be safe to repeat).

    Args:
        url: a redis:// or rediss:// address; name and password percent-encoded.
        tries: how often a command is repeated, with up to a second between tries.
        decode: whether answers are text.
    """
    options: dict[str, Any] = {
        "decode_responses": decode,
        "socket_connect_timeout": 1,
        "socket_timeout": 3,
        "socket_keepalive": True,
        # No health checks: to one that finds no answer redis-py 5 connects anew, which checks again, one in the other.
        "retry": Retry(ExponentialBackoff(cap=1, base=0.05), tries),
        # A refused connect raises the builtin error, which redis-py does not count among its own.
        "retry_on_error": [RedisConnectionError, RedisTimeoutError, OSError],
    }
    return ConnectionPool.from_url(url, **options)


def store_client(url: str, *, tries: int) -> Redis:
    """Make a client for the journal."""
    return Redis(connection_pool=store_pool(url, tries=tries))
