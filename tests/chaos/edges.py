"""The two edges where a worker meets the world, Valkey and HaloPSA, with a mishap at one chosen operation."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError
from starlette.types import ASGIApp

Mishap = Literal[
    "crash before",  # the process dies, and the operation never left
    "crash after",  # it dies with the operation done and the answer unread
    "answer lost",  # the operation is done, and the connection breaks
    "refused",  # the operation is not done, and says so
    "stopped",  # the process stands still after the operation, while others do its work
    "lands late",  # the process dies, and its write arrives later
    "done, but 500",  # the write is done, and answered as a failure
]
VALKEY_MISHAPS: Final[tuple[Mishap, ...]] = ("crash before", "crash after", "answer lost", "refused", "stopped")
HALO_MISHAPS: Final[tuple[Mishap, ...]] = (*VALKEY_MISHAPS, "lands late", "done, but 500")
LANDS_AFTER_MS: Final = 9900
"""Within the budget of a call, and later than its worker's lease."""

doing: ContextVar[str] = ContextVar("doing", default="")
"""What a worker works on just now: a doorbell's subject."""

_SETTING_UP: Final = {"AUTH", "CLIENT", "HELLO", "PING", "SELECT", "SCRIPT LOAD"}


class Crash(BaseException):
    """The process dies here; nothing of it may catch this."""


async def _nobody() -> None:
    raise AssertionError("nobody takes over")


@dataclass
class Course:
    """What all processes of a test asked of the world, in order, and the one operation that goes wrong.

    Attributes:
        mishap: what goes wrong, at the operation of this number (from 0).
        operations: what was asked, by name.
        writers: who sent each write to HaloPSA, in order.
        late: writes that are still under way, with the time (server ms) of their arrival.
        ghosts: what a process sent that had stood still past its lease.
        meanwhile: what happens while a process stands still.
        now: the server's clock (ms).
    """

    mishap: tuple[int, Mishap] | None = None
    operations: list[str] = field(default_factory=list)
    writers: list[str] = field(default_factory=list)
    late: list[tuple[int, httpx.Request]] = field(default_factory=list)
    ghosts: list[str] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] = _nobody
    now: int = 0


@dataclass
class Edges:
    """One process's share of the course.

    Attributes:
        scripts: the journal's script names by their hash, for readable operations.
    """

    course: Course
    scripts: dict[str, str] = field(default_factory=dict)
    dead: bool = False
    stopped: bool = False

    def meet(self, what: str) -> Mishap | None:
        """Count one operation; returns what goes wrong with it."""
        if self.dead:
            raise Crash
        number, mishap = len(self.course.operations), self.course.mishap
        self.course.operations.append(what)
        return mishap[1] if mishap and mishap[0] == number else None

    def die(self) -> Crash:
        self.dead = True
        return Crash()

    async def stand_still(self) -> None:
        self.stopped = True
        await self.course.meanwhile()


class EdgeConnection(Connection):
    """A connection to Valkey."""

    def __init__(self, *, edges: Edges, **options: Any) -> None:
        super().__init__(**options)
        self._edges = edges
        self._mishap: Mishap | None = None

    async def send_command(self, *args: Any, **options: Any) -> None:
        if args[0] not in _SETTING_UP:
            self._mishap = self._edges.meet(f"valkey {self._edges.scripts.get(str(args[1]), args[0])}")
        if self._mishap == "crash before":
            raise self._edges.die()
        if self._mishap == "refused":
            raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
        await super().send_command(*args, **options)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        answer = await super().read_response(*args, **options)
        mishap, self._mishap = self._mishap, None
        if mishap == "crash after":
            raise self._edges.die()
        if mishap == "answer lost":
            raise RedisConnectionError("Connection closed by server.")
        if mishap == "stopped":
            await self._edges.stand_still()
        return answer


class EdgeTransport(httpx.AsyncBaseTransport):
    """The wire to HaloPSA."""

    def __init__(self, edges: Edges, app: ASGIApp) -> None:
        self._edges = edges
        self._inner = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path}"
        mishap = self._edges.meet(name)
        signs_in = request.url.path in {"/api/authinfo", "/auth/token"}
        if request.method == "POST" and not signs_in:
            self._edges.course.writers.append(doing.get())
        if self._edges.stopped and not signs_in:
            self._edges.course.ghosts.append(name)
        if mishap in {"crash before", "lands late"}:
            if mishap == "lands late":
                self._edges.course.late.append((self._edges.course.now + LANDS_AFTER_MS, request))
            raise self._edges.die()
        if mishap == "refused":
            return httpx.Response(502, html="<html><h1>502 Bad Gateway</h1></html>", request=request)
        return await self._answer(request, mishap)

    async def _answer(self, request: httpx.Request, mishap: Mishap | None) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        match mishap:
            case "crash after":
                raise self._edges.die()
            case "answer lost":
                raise httpx.ReadError("connection reset by peer", request=request)
            case "done, but 500":
                return httpx.Response(500, request=request)
            case "stopped":
                await self._edges.stand_still()
        return response
