"""The web application: deliveries come in, events go on to the inbox; health, readiness and metrics stand beside it."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any, Final, Protocol
from uuid import uuid4

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Lifespan

from webhooks.delivery import Delivery, NotProven, Source
from webhooks.sources import SOURCES
from worker.errors import StoreUnavailable
from worker.events import Event

CODES: Final = {
    400: "not_readable",
    401: "not_proven",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_type",
    500: "internal",
    503: "unavailable",
}
"""The word for each status in an error's body and in the log."""
UNREAD: Final = frozenset({404, 405, 413, 415})
"""Answers given before the body was read: the connection cannot be used again."""
UNEXPECTED: Final = 500
RETRY_AFTER_S: Final = 5
JSON_TYPE: Final = re.compile(r"application/(?:[^\s;/]+\+)?json")

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Receipt(Protocol):
    """What the inbox did with the events of a delivery, by event id."""

    @property
    def accepted(self) -> Sequence[str]:
        """Stored now."""

    @property
    def duplicates(self) -> Sequence[str]:
        """Stored already, by an earlier delivery."""


class Inbox(Protocol):
    """Where verified events go."""

    async def accept(self, events: Sequence[Event], /) -> Receipt:
        """Store all events or none, durably.

        Raises:
            StoreUnavailable: nothing was stored.
        """
        ...


def webhook_app(
    *,
    inbox: Inbox,
    secrets: Mapping[str, Sequence[str]],
    max_body_bytes: int,
    ready: Callable[[], Awaitable[None]],
    metrics: Callable[[], Awaitable[tuple[bytes, str]]],
    now: Callable[[], datetime],
    on_delivery: Callable[[str, str], None] | None = None,
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """Build the application behind the public address.

    Args:
        inbox: stores verified events.
        secrets: by source name; a source without a non-blank secret does not exist.
        max_body_bytes: longer bodies are refused without being read to the end.
        ready: raises StoreUnavailable with the reason while nothing can be accepted.
        metrics: gives the body and the content type of ``/metrics``.
        now: the clock (UTC) that signatures are checked against.
        on_delivery: told source and outcome of each delivery ("accepted", "duplicate", or a word of `CODES`); a source
            that does not exist is called "unknown", so that strangers cannot invent names.
        lifespan: Starlette's own.
    """
    door = _Door(inbox, _open_sources(secrets), max_body_bytes, now, on_delivery)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        await ready()
        return JSONResponse({"status": "ok"})

    async def show_metrics(_: Request) -> Response:
        body, content_type = await metrics()
        return Response(body, media_type=content_type)

    routes = (
        ("/webhooks/{source}", door.receive, "POST"),
        ("/healthz", healthz, "GET"),
        ("/readyz", readyz, "GET"),
        ("/metrics", show_metrics, "GET"),
    )
    app = Starlette(
        routes=[Route(path + end, answer, methods=[verb]) for path, answer, verb in routes for end in ("", "/")],
        exception_handlers=dict.fromkeys((HTTPException, StoreUnavailable, Exception), _answer_error),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # most senders take a redirect for a failure, and it names the inner address
    return app


@dataclass(frozen=True, slots=True)
class _Door:
    """Takes deliveries: 404 first, then 413 and 415, then 401, then 400; nothing is parsed before it is proven."""

    inbox: Inbox
    sources: Mapping[str, tuple[Source, Sequence[str]]]
    max_body_bytes: int
    now: Callable[[], datetime]
    on_delivery: Callable[[str, str], None] | None

    async def receive(self, request: Request) -> Response:
        """Answer one delivery; log and count it once."""
        started = perf_counter()
        name: str = request.path_params["source"]
        known = name if name in self.sources else "unknown"
        request_id = uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            answer, outcome, facts = await self._answer(name, request)
            facts |= {"status": answer.status_code, "duration_ms": round((perf_counter() - started) * 1000, 1)}
            (log.info if answer.status_code < UNEXPECTED else log.error)(
                "delivery", source=known, outcome=outcome, **facts
            )
        if self.on_delivery:
            self.on_delivery(known, outcome)
        answer.headers["X-Request-ID"] = request_id
        return answer

    async def _answer(self, name: str, request: Request) -> tuple[Response, str, dict[str, Any]]:
        try:
            receipt = await self._take(name, request)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the sender gets an answer and the log its line
            http = _as_http(error)
            trace = {"exc_info": error} if http.status_code == UNEXPECTED else {}
            return _error(http), CODES[http.status_code], {"reason": http.detail, **trace}
        kept = {"accepted": list(receipt.accepted), "duplicates": list(receipt.duplicates)}
        counts = {word: len(ids) for word, ids in kept.items()}
        return JSONResponse({**kept, "ignored": 0}, 202), "accepted" if kept["accepted"] else "duplicate", counts

    async def _take(self, name: str, request: Request) -> Receipt:
        if name not in self.sources:
            raise HTTPException(404, "there is no such source, or no secret is set for it")
        source, secrets = self.sources[name]
        _check_type(request.headers)
        delivery = Delivery(request.headers, await self._body(request), self.now())
        source.verify(delivery, secrets)
        try:
            events = source.events(delivery)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return await self.inbox.accept(events)

    async def _body(self, request: Request) -> bytes:
        too_large = HTTPException(413, f"the body may have {self.max_body_bytes} bytes at most")
        if _declared_length(request.headers) > self.max_body_bytes:
            raise too_large
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.max_body_bytes:
                raise too_large
        return bytes(body)


def _open_sources(secrets: Mapping[str, Sequence[str]]) -> dict[str, tuple[Source, Sequence[str]]]:
    """Pair each source with its secrets; a blank one is none, and a source without any stays closed."""
    usable = {source.name: [secret for secret in secrets.get(source.name, ()) if secret.strip()] for source in SOURCES}
    return {source.name: (source, usable[source.name]) for source in SOURCES if usable[source.name]}


def _check_type(headers: Headers) -> None:
    kind, *parameters = headers.get("content-type", "").lower().split(";")
    settings = [parameter.strip().partition("=") for parameter in parameters]
    charsets = {value.strip(' "') for name, _, value in settings if name.strip() == "charset"}
    if not JSON_TYPE.fullmatch(kind.strip()) or charsets - {"utf-8", "utf8"}:
        raise HTTPException(415, "the body must be sent as application/json in UTF-8")
    if "content-encoding" in headers:
        raise HTTPException(415, "the body must be sent without a Content-Encoding")


def _declared_length(headers: Headers) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0  # the body is counted while it comes


def _as_http(error: Exception) -> HTTPException:
    match error:
        case HTTPException():
            return error
        case NotProven():
            return HTTPException(401, str(error))
        case StoreUnavailable():
            return HTTPException(503, str(error), {"Retry-After": str(RETRY_AFTER_S)})
        case ClientDisconnect():
            return HTTPException(400, "the connection ended before the body did")
        case _:
            return HTTPException(UNEXPECTED, "an unexpected error; the log has it under the request id")


def _error(error: HTTPException) -> JSONResponse:
    headers = dict(error.headers or {})
    if error.status_code in UNREAD:
        headers["Connection"] = "close"
    return JSONResponse({"error": CODES[error.status_code], "detail": error.detail}, error.status_code, headers)


async def _answer_error(_: Request, error: Exception) -> Response:
    return _error(_as_http(error))
