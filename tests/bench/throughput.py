"""Onboardings per second through one worker, against plain httpx sending the same requests without any durability."""

import asyncio
import time
from collections.abc import Iterator
from itertools import count
from statistics import median

import httpx

from tests.bench.world import Seen, World, deals

CONCURRENCY = 20
"""A worker's slots by default."""
FEW = 5
"""httpx is fastest with few at once: with more, its pool looks at every connection for every request."""
SETTLING = 40
"""Onboardings before the first round, in which connections are opened and lists remembered."""
MODEL = 70_000_000
"""The number of the deal whose requests are recorded."""


async def measure_throughput(world: World, *, rounds: int, runs: int) -> dict[str, float]:
    """Run interleaved rounds of `runs` onboardings each.

    Returns:
        Medians of onboardings per second, `durable`, `plain` and `plain_few` (fewer at once), and of the rounds' ratios
        of the first to the others, `ratio` and `ratio_few`; `requests` in one onboarding.
    """
    worker = await world.start_worker()
    numbers = count(MODEL + 1)
    requests = await _record(world)
    await _durable(world, numbers, SETTLING)
    measured = []
    async with _plain_client(world.halo) as http:
        for _ in range(rounds + 1):
            durable = await _durable(world, numbers, runs)
            plain = await _plain(http, requests, numbers, runs, at_once=CONCURRENCY)
            few = await _plain(http, requests, numbers, runs, at_once=FEW)
            measured.append((durable, plain, few, durable / plain, durable / few))
    await world.stop(worker)
    names = ("durable", "plain", "plain_few", "ratio", "ratio_few")
    figures = zip(*measured[1:], strict=True)  # in the first round connections are opened
    return {name: median(each) for name, each in zip(names, figures, strict=True)} | {"requests": len(requests)}


def _plain_client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url,
        headers={"authorization": "Bearer instant", "content-type": "application/json"},
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
    )


async def _record(world: World) -> list[Seen]:
    """Take down the requests of one onboarding; the first one also signs in and fetches what is remembered."""
    for number in (MODEL - 1, MODEL):
        await world.seen()
        await world.store.journal.ingest(deals([number]))
        await world.until_succeeded(await world.succeeded() + 1)
    return await world.seen()


async def _durable(world: World, numbers: Iterator[int], runs: int) -> float:
    goal = await world.succeeded() + runs
    events = deals(next(numbers) for _ in range(runs))
    began = time.perf_counter()
    await world.store.journal.ingest(events)
    await world.until_succeeded(goal)
    return runs / (time.perf_counter() - began)


async def _plain(
    http: httpx.AsyncClient, requests: list[Seen], numbers: Iterator[int], runs: int, *, at_once: int
) -> float:
    waiting = iter([next(numbers) for _ in range(runs)])

    async def onboard_all() -> None:
        for number in waiting:
            await _replay(http, requests, number)

    began = time.perf_counter()
    await asyncio.gather(*(onboard_all() for _ in range(at_once)))
    return runs / (time.perf_counter() - began)


async def _replay(http: httpx.AsyncClient, requests: list[Seen], number: int) -> None:
    """Send the recorded requests with fresh names, and with the number that HaloPSA gives the client this time."""
    recorded_id = _client_number(requests)
    client_id = recorded_id
    for request in requests:
        target = request.target.replace(recorded_id, client_id)
        body = request.body.replace(str(MODEL), str(number)).replace(recorded_id, client_id)
        answer = (await http.request(request.method, target, content=body)).raise_for_status().json()
        if request.method == "POST" and request.target == "/api/Client":
            client_id = str(answer["id"])


def _client_number(requests: list[Seen]) -> str:
    target = next(request.target for request in requests if "client_id=" in request.target)
    return target.partition("client_id=")[2].partition("&")[0]
