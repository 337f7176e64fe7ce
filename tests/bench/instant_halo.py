"""A HaloPSA that answers at once and keeps nothing: what is measured against it is the caller's own cost.

Records that belong to one client all bear one number, which the answer to ``POST /Client`` gives, so that every answer
follows from its request. About 25 µs of one core per request.

Run as a process; it prints its address and ends with its standard input.
"""

import asyncio
import json
import sys
import time
from collections import deque
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

FIRST_NUMBER = 10_000_000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
TENANT = [{"id": 1, "name": "Example MSP", "toplevel_id": 2}, {"id": 12, "name": "Unknown", "toplevel_id": 2}]
AGENTS = [{"id": 3, "name": "Jane", "email": "jane@msp.example"}]


class InstantHalo:
    """The tenant: gives numbers, and remembers the last requests for whoever measures."""

    def __init__(self) -> None:
        self.hold_s = 0.0
        self._numbers = count(FIRST_NUMBER)
        self._seen: deque[tuple[float, str, str, str]] = deque(maxlen=50_000)

    def answer(self, method: str, target: str, body: bytes) -> Any:
        url = urlsplit(target)
        if url.path.startswith("/bench/"):
            return self._control(url.path.removeprefix("/bench/"), body)
        self._seen.append((time.monotonic(), method, target, body.decode()))
        if method == "POST":
            return self._token() if url.path.endswith("/token") else self._made(url.path, json.loads(body)[0])
        return _listed(url.path, int(parse_qs(url.query).get("client_id", ["0"])[0]))

    def _control(self, what: str, body: bytes) -> Any:
        if what == "hold":
            self.hold_s = float(body)
            return None
        seen = list(self._seen)
        self._seen.clear()
        return seen

    def _token(self) -> dict[str, Any]:
        return {"access_token": "instant", "expires_in": 3600}

    def _made(self, path: str, record: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/Client"):
            number = next(self._numbers)
            return {**record, "id": number, "main_site_id": number}
        return {**record, "id": record.get("id") or record["client_id"]}


def _listed(path: str, client: int) -> Any:
    own = {"id": client, "client_id": client, "site_id": client}
    match path.rsplit("/", 1)[-1]:
        case "Client":
            return {"record_count": len(TENANT), "clients": TENANT}
        case "Users":
            return {"record_count": 1, "users": [own]}
        case "ClientContract":
            return {"record_count": 1, "contracts": [own]}
        case "Agent":
            return AGENTS
        case "authinfo":
            return {}
        case _:
            return []


class Connection(asyncio.Protocol):
    """One caller's connection: HTTP/1.1 as httpx speaks it, one request after the other."""

    def __init__(self, halo: InstantHalo) -> None:
        self._halo = halo
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        length = _length(head)
        if not end or len(rest) < length:
            return
        self._received = b""
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        answer = json.dumps(self._halo.answer(method, target, rest)).encode()
        if self._halo.hold_s and not target.startswith("/bench/"):
            asyncio.get_running_loop().call_later(self._halo.hold_s, self._send, answer)
        else:
            self._send(answer)

    def _send(self, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(HEAD % len(body) + body)


def _length(head: bytes) -> int:
    _, found, after = head.lower().partition(b"\r\ncontent-length:")
    return int(after.split(b"\r\n", 1)[0]) if found else 0


async def main() -> None:
    halo = InstantHalo()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(halo), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
