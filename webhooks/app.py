"""The web application: deliveries come in, events go on to the inbox; health, readiness and metrics stand beside it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Lifespan

from webhooks.answers import answer_error, within
from webhooks.door import Door, Inbox, open_sources
from webhooks.edge import Edge, RateLimit
from webhooks.refused import KEPT_PER_SECOND, Keep
from worker.errors import StoreUnavailable

log: structlog.stdlib.BoundLogger = structlog.get_logger()

OPEN_EDGE: Final = Edge()


def webhook_app(
    *,
    inbox: Inbox,
    secrets: Mapping[str, Sequence[str]],
    max_body_bytes: int,
    ready: Callable[[], Awaitable[None]],
    metrics: Callable[[], Awaitable[tuple[bytes, str]]],
    now: Callable[[], datetime],
    edge: Edge = OPEN_EDGE,
    on_delivery: Callable[[str, str], None] | None = None,
    on_refused: Keep | None = None,
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
        edge: the public address, and which senders are let in how often.
        on_delivery: told source and outcome of each delivery ("accepted", "duplicate", "ignored", or a word of
            `webhooks.answers.CODES`); a source that does not exist is called "unknown", so that strangers cannot invent
            names.
        on_refused: keeps why a delivery to an open source was refused, and its headers without its proof.
        lifespan: Starlette's own.
    """
    rate = RateLimit(edge.per_second, monotonic)
    refusals = RateLimit(KEPT_PER_SECOND, monotonic)
    door = Door(inbox, open_sources(secrets), max_body_bytes, now, edge, rate, refusals, on_delivery, on_refused)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        try:
            await within(edge.stored_within_s, ready())
        except StoreUnavailable as error:
            log.warning("not ready", reason=str(error))
            raise
        return JSONResponse({"status": "ok"})

    async def show_metrics(_: Request) -> Response:
        body, content_type = await metrics()
        return Response(body, media_type=content_type)

    routes = (
        ("/webhooks/{source}", door.receive, "POST"),
        ("/webhooks/{source}/{secret}", door.receive, "POST"),
        ("/healthz", healthz, "GET"),
        ("/readyz", readyz, "GET"),
        ("/metrics", show_metrics, "GET"),
    )
    app = Starlette(
        routes=[Route(path + end, answer, methods=[verb]) for path, answer, verb in routes for end in ("", "/")],
        exception_handlers=dict.fromkeys((HTTPException, StoreUnavailable, Exception), answer_error),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # most senders take a redirect for a failure, and it names the inner address
    return app
