"""How long a sender waits for its 202, and HaloPSA for the first request after a delivery."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from statistics import median, quantiles
from urllib.parse import urlsplit

from tests.bench.world import World, deal
from tests.integration.processes import SECRET
from webhooks.signatures import sign_standard

SENDERS = 20
SETTLING = 5
"""Deliveries of each sender before those that are measured, in which connections to Valkey are opened."""


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
    """Send from 20 connections at once, each sending again when it has its answer, then one by one to an idle system.

    Returns:
        In ms: `accepted_p50` and `accepted_p99` from sending to the 202, `busy_p50` and `busy_p99` the same beside a
        worker that is busy, `first_request` the median from sending to HaloPSA's first request.
    """
    web = await world.start_web()
    numbers = count(80_000_000)
    warm = await _flood(world, numbers, SETTLING)
    accepted = await _flood(world, numbers, per_sender)
    worker = await world.start_worker()
    busy = await _flood(world, numbers, per_sender)
    await world.until_succeeded(len(warm) + len(accepted) + len(busy))
    waits = [await _first_request(world, next(numbers)) for _ in range(deliveries)]
    await world.stop(web)
    await world.stop(worker)
    return {
        "accepted_p50": median(accepted),
        "accepted_p99": quantiles(accepted, n=100)[98],
        "busy_p50": median(busy),
        "busy_p99": quantiles(busy, n=100)[98],
        "first_request": median(waits),
    }


async def _flood(world: World, numbers: Iterator[int], per_sender: int) -> list[float]:
    loads = [[_delivery(next(numbers)) for _ in range(per_sender)] for _ in range(SENDERS)]
    return [each for times in await asyncio.gather(*(_send_all(world.web, load) for load in loads)) for each in times]


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
