"""How long a sender waits for its 202, and HaloPSA for the first request after a delivery."""

import asyncio
import json
import random
import time
from datetime import UTC, datetime
from itertools import count
from statistics import median, quantiles
from urllib.parse import urlsplit

from tests.bench.world import World, deal
from tests.integration.processes import SECRET
from webhooks.signatures import sign_standard

SENDERS = 20


class Sender:
    """One connection that sends signed deliveries, as cheaply as it can: its own time is measured too."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, url: str) -> "Sender":
        address = urlsplit(url)
        return cls(*await asyncio.open_connection(address.hostname, address.port))

    async def send(self, delivery: bytes) -> float:
        """Send a delivery; returns the milliseconds until the whole answer was there."""
        began = time.perf_counter()
        self._writer.write(delivery)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 202"), head
        await self._reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        return (time.perf_counter() - began) * 1000

    def close(self) -> None:
        self._writer.close()


async def measure_latency(world: World, *, deliveries: int, per_sender: int) -> dict[str, float]:
    """Send to an idle system one by one, then from 20 connections at once, each sending when it has its answer.

    Returns:
        In ms: `first_request` (median from sending to HaloPSA's first request), `accepted_p50` and `accepted_p99`
        (from sending to the 202, a worker being busy with what was accepted).
    """
    worker = await world.start_worker()
    web = await world.start_web()
    numbers = count(80_000_000)
    waits = [await _first_request(world, next(numbers)) for _ in range(deliveries + 1)]
    goal = await world.succeeded() + SENDERS * per_sender
    loads = [[_delivery(next(numbers)) for _ in range(per_sender)] for _ in range(SENDERS)]
    times = [each for sent in await asyncio.gather(*(_send_all(world.web, load) for load in loads)) for each in sent]
    await world.until_succeeded(goal)
    await world.stop(web)
    await world.stop(worker)
    return {
        "first_request": median(waits[1:]),  # the very first signs in
        "accepted_p50": median(times),
        "accepted_p99": quantiles(times, n=100)[98],
    }


async def _first_request(world: World, number: int) -> float:
    goal = await world.succeeded() + 1
    await world.seen()
    sender = await Sender.connect(world.web)
    began = time.monotonic()
    await sender.send(_delivery(number))
    sender.close()
    await world.until_succeeded(goal)
    first = next(request for request in await world.seen() if request.target.startswith("/api/"))
    await asyncio.sleep(random.uniform(0.05, 0.15))  # falls anywhere between two looks of the worker
    return (first.at - began) * 1000


async def _send_all(url: str, load: list[bytes]) -> list[float]:
    sender = await Sender.connect(url)
    times = [await sender.send(delivery) for delivery in load]
    sender.close()
    return times


def _delivery(number: int) -> bytes:
    body = json.dumps(deal(number)).encode()
    headers = {
        "host": "bench",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **sign_standard(SECRET, f"delivery-{number}", datetime.now(UTC), body),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /webhooks/standard HTTP/1.1\r\n{head}\r\n".encode() + body
