"""Processes: what runs for as long as `up`, `web` and `worker` are up, and how it stops."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

import structlog
import uvicorn
from starlette.applications import Starlette

from worker.assemble.chores import Chore
from worker.assemble.store import durability_of, open_store
from worker.assemble.web import public_url, web_app
from worker.assemble.worker import WorkerParts, open_worker
from worker.embedded import EmbeddedValkey, only_one
from worker.heartbeat import heartbeat
from worker.http_protocol import PunctualProtocol
from worker.journal.backfills import Backfills
from worker.settings import Settings

DRAIN_S: Final = 12.0
"""An ordinary call in flight may end within its budget; then it is cut off."""

_log = structlog.stdlib.get_logger("serve")


@contextlib.asynccontextmanager
async def valkey(settings: Settings) -> AsyncIterator[str]:
    """Give Valkey's address; without a configured one the data directory's own server runs meanwhile.

    Raises:
        EmbeddedValkeyError: it does not come up, or another process is up in the data directory.
    """
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value()
        return
    with only_one(settings.data_dir):
        server = EmbeddedValkey(settings.data_dir)
        url = await asyncio.to_thread(server.start)
        watching = asyncio.create_task(server.watch())
        try:
            yield url
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await asyncio.to_thread(server.stop)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: one place decides when this process stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: Starlette, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an application on a listening socket; requests in hand are answered before it ends."""
    config = uvicorn.Config(
        app,
        http=PunctualProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def web(settings: Settings, url: str, listener: socket.socket) -> AsyncIterator[None]:
    """Take deliveries in.

    Raises:
        BadSettings: Valkey's settings would lose data.
    """
    await _refuse_data_loss(settings, url)
    async with (
        open_store(url) as store,
        serving(web_app(settings, store), listener),
        heartbeat(Backfills(store.scripts)),
    ):
        host, port = listener.getsockname()[:2]
        _log.info("web up", address=f"{host}:{port}", sources=sorted(settings.webhook_secrets))
        if "hubspot" in settings.webhook_secrets and settings.public_url is None:
            why = "HubSpot signs its address: set it, or all its deliveries from outside are refused"
            _log.warning("PARHELION_PUBLIC_URL is not set", why=why, taken=public_url(settings))
        yield


@contextlib.asynccontextmanager
async def worker(settings: Settings, url: str) -> AsyncIterator[None]:
    """Work on runs; at the end those in hand finish their call and are given back.

    Raises:
        BadSettings: Valkey's settings would lose data.
    """
    await _refuse_data_loss(settings, url)
    async with open_worker(settings, url) as parts:
        working = asyncio.create_task(_work(parts))
        _log.info("worker up", worker=parts.name)
        try:
            yield
        finally:
            parts.engine.stop()
            await parts.doorbells.drain(DRAIN_S)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            _log.info("worker stopped", worker=parts.name)


async def _refuse_data_loss(settings: Settings, url: str) -> None:
    # On a connection of its own that gives up soon: a Valkey that is away must not hold up a start.
    async with open_store(url) as store:
        await durability_of(settings, store).at_start()


async def _work(parts: WorkerParts) -> None:
    await parts.durability.wait()
    await asyncio.gather(*(_keep_going(chore) for chore in parts.chores))


async def _keep_going(chore: Chore) -> None:
    """Do a chore for ever; a bug in one stops neither it nor the others."""
    while True:
        try:
            await chore()
        except Exception:  # noqa: BLE001 - it is logged whole
            _log.exception("chore broken off, started again")
        await asyncio.sleep(1)


def stop_on_signals() -> asyncio.Event:
    """Make an event that SIGINT or SIGTERM sets; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            loop.remove_signal_handler(number)
            signal.raise_signal(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    return stop
