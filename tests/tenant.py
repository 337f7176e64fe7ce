"""A HaloPSA tenant for tests: the sandbox behind a wire on which mishaps can happen."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx

from tests.memory_run import STARTED, Asleep, MemoryRun, Notebook
from worker.errors import RetryLater
from worker.events import Event, canonical_event
from workflows.halopsa import Halo, HaloConnection
from workflows.msp import Msp
from workflows.policy import Policy
from workflows.registry import WORKFLOWS
from workflows.sandbox import Faults, Sandbox, sandbox_app
from workflows.sandbox.halopsa.dialects import DialectName

MAX_CLAIMS = 20
DAYS: dict[str, Callable[[], Faults]] = {"good day": Faults, "everything unpleasant": Faults.unpleasant}


class Crash(BaseException):
    """The worker dies."""


class Wire(httpx.AsyncBaseTransport):
    """Carries requests to the sandbox, keeps them, and lets some of them go wrong, by their number from 1."""

    all_wires: ClassVar[list["Wire"]] = []

    def __init__(self, sandbox: Sandbox) -> None:
        self.all_wires.append(self)
        self.dialect = sandbox.dialect
        self._inner: httpx.AsyncBaseTransport = httpx.ASGITransport(sandbox_app(sandbox))
        self.requests: list[httpx.Request] = []
        self.mishaps: dict[int, str] = {}
        self.lose_every_write = False
        self._lost: set[bytes] = set()
        self._late: httpx.Request | None = None

    @property
    def calls(self) -> list[str]:
        """What was asked of HaloPSA's API, in order."""
        return [f"{request.method} {request.url.path}" for request in self.requests]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.startswith("/api/") or request.url.path == "/api/authinfo":
            return await self._inner.handle_async_request(request)
        self.requests.append(request)
        kind = self._kind(request)
        if instead := self._before(kind, request):
            return instead
        if self._late and request.method == "POST":
            late, self._late = self._late, None
            await self._inner.handle_async_request(late)
        response = await self._inner.handle_async_request(request)
        return self._after(kind, request) or response

    def _before(self, kind: str, request: httpx.Request) -> httpx.Response | None:
        match kind:
            case "crash before":
                raise Crash
            case "never connected":
                raise httpx.ConnectError("refused", request=request)
            case "forbidden":
                return httpx.Response(403)
            case "failed before":
                return httpx.Response(502, html="<html>Bad Gateway</html>")
            case "lands late":
                self._late = request
                raise httpx.ReadTimeout("slow", request=request)
        return None

    def _after(self, kind: str, request: httpx.Request) -> httpx.Response | None:
        match kind:
            case "crash after":
                raise Crash
            case "answer lost":
                raise httpx.ReadError("connection reset", request=request)
            case "failed after":
                return httpx.Response(500)
        return None

    def _kind(self, request: httpx.Request) -> str:
        if len(self.requests) in self.mishaps:
            return self.mishaps[len(self.requests)]
        if self.lose_every_write and request.method == "POST" and request.content not in self._lost:
            self._lost.add(request.content)
            return "answer lost"
        return ""


BEFORE = ("crash before", "never connected", "failed before")
AFTER = ("crash after", "answer lost", "failed after")


def fixed_clock() -> datetime:
    """The sandbox's time: it stands still, so that states can be compared."""
    return STARTED


class Tenant:
    """The sandbox, the wire to it, and runs over both.

    Args:
        sandbox: None makes one that speaks `dialect`.
        dialect: what is spoken.
        settings: of the connection.
    """

    def __init__(self, sandbox: Sandbox | None = None, dialect: DialectName = "v2", **settings: Any) -> None:
        self.sandbox = sandbox or Sandbox(clock=fixed_clock, dialect=dialect)
        self.dialect = self.sandbox.dialect
        self.settings = {"dialect": self.dialect, **settings}
        self.policy = Policy()
        self.wire = Wire(self.sandbox)
        self.restart()

    def keyed(self, key: str, **fields: Any) -> dict[str, Any]:
        """A client's fields with the CRM's key where the dialect keeps it."""
        place = {"ref": key} if self.dialect == "v2" else {"notes": f"Parhelion key: {key}"}
        return {**fields, **place} if key else fields

    def restart(self) -> None:
        """Begin with a new worker process: no token, nothing remembered."""
        self.connection = self._connect()

    def _connect(self) -> HaloConnection:
        return HaloConnection(
            "http://halo.test",
            client_id="parhelion",
            client_secret="sandbox-secret",
            **{"transport": self.wire, **self.settings},
        )

    def halo(self, notebook: Notebook | None = None) -> Halo:
        """HaloPSA as the steps of a run see it."""
        return self.connection.for_run(MemoryRun(notebook or Notebook()))

    async def claim(self, event: Event, notebook: Notebook) -> Any:
        """Claim a run again and again, after trouble and after a crash, until it ends or sleeps."""
        (workflow,) = [workflow for workflow in WORKFLOWS if workflow.on == event.type]
        for _ in range(MAX_CLAIMS):
            run = MemoryRun(notebook)
            try:
                return await workflow.plan(run, Msp(self.connection.for_run(run), self.policy), event)
            except RetryLater:
                pass
            except Crash:
                self.restart()
        raise AssertionError(f"the run did not end within {MAX_CLAIMS} claims")

    async def finish(self, event: Event, notebook: Notebook | None = None) -> Any:
        """Let a run end; when it waits for a date, that date comes."""
        notebook = notebook or Notebook()
        while True:
            try:
                return await self.claim(event, notebook)
            except Asleep:
                woken = max((when for when, _ in notebook.waits.values()), default=notebook.clock)
                assert woken > notebook.clock, notebook.questions
                notebook.clock = woken

    def rows(self, entity: str, **same: Any) -> list[dict[str, Any]]:
        """Records of the sandbox that have these values."""
        found = self.sandbox.state()[entity]
        return [row for row in found if all(row[name] == value for name, value in same.items())]

    def change(self, entity: str, record_id: int, **values: Any) -> None:
        """Change a record as a person would in HaloPSA."""
        table = self.sandbox.store[entity]
        table.change(table.rows[record_id], values)

    def picture(self) -> str:
        """All records, without the times that our own clock put in."""
        state = self.sandbox.state()
        return json.dumps(
            {
                entity: [{name: value for name, value in row.items() if name != "datetime"} for row in rows]
                for entity, rows in state.items()
            },
            sort_keys=True,
        )


def event(kind: str, data: dict[str, Any], **more: Any) -> Event:
    """A canonical event that came through the front door."""
    payload = {"type": kind, "timestamp": "2026-11-23T09:00:00Z", "data": data, **more}
    return canonical_event("standard", "msg-1", payload, received_at=datetime(2026, 11, 23, tzinfo=UTC))
