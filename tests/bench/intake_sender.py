"""A sender in a process of its own: signed deliveries over many connections, as fast as they are answered.

Takes JSON lines, each a load: where to, which deliveries in which order, over how many connections. Answers each with
what became of them and how long each took.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from tests.bench.world import deal
from tests.integration.processes import SECRET
from webhooks.delivery import Delivery
from webhooks.signatures import sign_standard
from webhooks.sources.hubspot import TIMESTAMP, V3, sign_v3

HUBSPOT_SECRET = "hubspot-secret-for-tests"


@dataclass
class Tally:
    """What became of a load.

    Attributes:
        times: milliseconds from sending to the whole answer, for each delivery.
        statuses: how many answers of each status.
        accepted: ids of events that an answer called new, with how often.
        duplicates: how many events were called known.
    """

    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    def note(self, status: int, body: bytes, milliseconds: float) -> None:
        self.times.append(milliseconds)
        self.statuses[status] += 1
        told = json.loads(body)
        self.accepted.update(told.get("accepted", ()))
        self.duplicates += len(told.get("duplicates", ()))


async def send_load(url: str, requests: Iterator[bytes], connections: int) -> Tally:
    """Send requests over so many connections, each the next one when it has its answer."""
    tally = Tally()
    address = urlsplit(url)

    async def send_in_turn() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for request in requests:
            began = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
            tally.note(int(head[9:12]), body, (time.perf_counter() - began) * 1000)
        writer.close()

    await asyncio.gather(*(send_in_turn() for _ in range(connections)))
    return tally


def standard(url: str, number: int) -> bytes:
    """Make the request of a won deal."""
    body = json.dumps(deal(number)).encode()
    return _request(
        f"{url}/webhooks/standard", body, sign_standard(SECRET, f"delivery-{number}", datetime.now(UTC), body)
    )


def hubspot(url: str, number: int) -> bytes:
    """Make the request of a deal that has moved to another stage."""
    now = datetime.now(UTC)
    told = {"eventId": number, "subscriptionId": 7, "portalId": 62515, "appId": 54321, "occurredAt": 1763888400000}
    what = {"subscriptionType": "deal.propertyChange", "propertyName": "dealstage", "propertyValue": "closedwon"}
    body = json.dumps([{**told, **what, "attemptNumber": 0, "objectId": number, "changeSource": "CRM_UI"}]).encode()
    stamp, address = str(int(now.timestamp() * 1000)), f"{url}/webhooks/hubspot"
    signature = sign_v3(HUBSPOT_SECRET, Delivery(Headers(), body, now, address), address, stamp)
    return _request(address, body, {TIMESTAMP: stamp, V3: signature})


SOURCES: Mapping[str, Callable[[str, int], bytes]] = {"standard": standard, "hubspot": hubspot}


def _request(address: str, body: bytes, proof: dict[str, str]) -> bytes:
    headers = {"host": "bench", "content-type": "application/json", "content-length": str(len(body)), **proof}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {urlsplit(address).path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def _send(load: dict[str, Any]) -> dict[str, Any]:
    make = SOURCES[load["source"]]
    made = {number: make(load["url"], number) for number in set(load["numbers"])}
    began = time.perf_counter()
    tally = await send_load(load["url"], (made[number] for number in load["numbers"]), load["connections"])
    return {
        "seconds": time.perf_counter() - began,
        "times": tally.times,
        "statuses": tally.statuses,
        "accepted": tally.accepted,
        "duplicates": tally.duplicates,
    }


async def main() -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(await _send(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
