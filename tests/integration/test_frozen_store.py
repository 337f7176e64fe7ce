"""A Valkey that has stopped without having died: its connections stay open, and nothing answers."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.unit.webhook_door import LIMIT, SECRETS
from webhooks.app import webhook_app
from webhooks.edge import Edge
from worker.assemble.inbox import inbox_of
from worker.assemble.store import Store, open_store
from worker.embedded import EmbeddedValkey
from worker.exposition import exposition

DEAL = b'{"type": "deal.won", "data": {"deal": {"id": "%d"}}}'
KNOWN = {"authorization": f"Bearer {SECRETS['token']}", "content-type": "application/json"}


async def no_metrics() -> tuple[bytes, str]:
    return b"", "text/plain"


class Place:
    """A web application on a Valkey of its own that can be frozen."""

    def __init__(self, store: Store) -> None:
        self.store = store
        app = webhook_app(
            inbox=inbox_of(store),
            secrets={"token": [SECRETS["token"]]},
            max_body_bytes=LIMIT,
            ready=store.reader.ping,
            metrics=no_metrics,
            now=lambda: datetime.now(UTC),
            edge=Edge(stored_within_s=0.2),
            on_refused=lambda refused: store.refused.keep({"source": refused.source}, 0),
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://parhelion.test")

    async def freeze(self) -> int:
        pid = int((await self.store.scripts.read("INFO", "server"))["process_id"])
        os.kill(pid, signal.SIGSTOP)
        return pid

    async def send(self, number: int) -> int:
        return (await self.http.post("/webhooks/token", content=DEAL % number, headers=KNOWN)).status_code


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    server = EmbeddedValkey(tmp_path)
    url = server.start()
    try:
        async with open_store(url) as store:
            yield Place(store)
    finally:
        server.stop()


async def test_every_sender_gets_its_answer_in_time_however_long_it_lasts(place: Place) -> None:
    assert await place.send(0) == 202
    pid = await place.freeze()
    try:
        # Longer than its sockets' timeout of three seconds, after which they are opened anew.
        async with asyncio.timeout(30):
            answers = [await place.send(number) for number in range(1, 21)]
        probe = await place.http.get("/readyz")
        metrics, _ = await exposition(place.store.scripts)
    finally:
        os.kill(pid, signal.SIGCONT)

    assert answers == [503] * 20
    assert probe.status_code == 503
    assert b"parhelion_store_up 0.0" in metrics
    assert b"parhelion_events_failed" not in metrics
    assert (await place.http.get("/readyz")).status_code == 200
    assert [await place.send(number) for number in range(1, 21)] == [202] * 20
    assert len(await place.store.reader.events()) == 21
