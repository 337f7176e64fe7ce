"""The baseline: onboardings by httpx alone, in a process of its own, with no engine, no store and no checks.

Takes JSON lines: first the address and the recorded requests of one onboarding, then for each round which numbers to
onboard and how many at once; answers each round with the onboardings per second.
"""

import asyncio
import json
import re
import sys
import time
from typing import Any

import httpx

CLIENT = "/api/Client"
CLIENT_ID = re.compile(r'"client_id": ?(\d+)')


class Replay:
    """Sends the requests of one onboarding again, with fresh names and the number that HaloPSA gives the client.

    Args:
        requests: method, target and body of each.
        name: the number in the recorded names.
    """

    def __init__(self, http: httpx.AsyncClient, requests: list[tuple[str, str, str]], name: str) -> None:
        self._http = http
        self._requests = requests
        self._name = name
        named = filter(None, (CLIENT_ID.search(body) for _, _, body in requests))
        self._client = next(named)[1]

    async def measure(self, numbers: list[int], at_once: int) -> float:
        waiting = iter(numbers)

        async def onboard_all() -> None:
            for number in waiting:
                await self._onboard(str(number))

        began = time.perf_counter()
        await asyncio.gather(*(onboard_all() for _ in range(at_once)))
        return len(numbers) / (time.perf_counter() - began)

    async def _onboard(self, name: str) -> None:
        client = self._client
        for method, target, body in self._requests:
            fresh = body.replace(self._name, name).replace(self._client, client)
            answer = await self._http.request(method, target.replace(self._client, client), content=fresh)
            record = answer.raise_for_status().json()
            if (method, target) == ("POST", CLIENT):
                client = str(record["id"])


async def main() -> None:
    start: dict[str, Any] = json.loads(sys.stdin.readline())
    headers = {"authorization": "Bearer instant", "content-type": "application/json"}
    async with httpx.AsyncClient(base_url=start["url"], headers=headers) as http:
        replay = Replay(http, start["requests"], start["name"])
        for line in sys.stdin:
            sys.stdout.write(f"{await replay.measure(**json.loads(line))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
