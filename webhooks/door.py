"""The door: one delivery from its first header to its answer."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any, Final, Protocol
from uuid import uuid4

import structlog
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from webhooks.answers import CODES, UNEXPECTED, Hidden, as_http, error_answer, true_reason, within
from webhooks.body import check_type, read_body
from webhooks.credentials import proven_by_address
from webhooks.delivery import Delivery, Ignored, NotProven, Source
from webhooks.edge import Edge, RateLimit, client_address, is_within, plain_account
from webhooks.refused import Keep, Refused, shown_headers
from webhooks.sources import SOURCES
from worker.errors import StoreUnavailable
from worker.events import Event

REFUSED: Final = frozenset({400, 401, 404, 408, 413, 415})
"""Answers after which it is kept why a delivery was refused."""
TAKEN: Final = frozenset({"accepted", "duplicate", "ignored"})
"""What becomes of a delivery that was proven and is answered as the sender hopes."""
MAX_REASONS: Final = 10
MAX_REASON: Final = 200

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


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a delivery that was taken in.

    Attributes:
        accepted: ids of events stored now.
        duplicates: ids of events stored before.
        ignored: why each other part was left, in words for the log.
    """

    accepted: Sequence[str]
    duplicates: Sequence[str]
    ignored: Sequence[str]

    @property
    def outcome(self) -> str:
        """One word for the log and the metrics."""
        if self.accepted:
            return "accepted"
        return "duplicate" if self.duplicates else "ignored"

    @property
    def facts(self) -> dict[str, Any]:
        """What the log tells."""
        some = sorted({reason[:MAX_REASON] for reason in self.ignored})[:MAX_REASONS]
        reasons = {"reasons": some} if some else {}
        counts = {"accepted": len(self.accepted), "duplicates": len(self.duplicates), "ignored": len(self.ignored)}
        return counts | reasons


@dataclass(frozen=True, slots=True)
class Door:
    """Takes deliveries: 404 first, then 415, 413 and 408, then 401, then 400; nothing is parsed before it is proven.

    Attributes:
        inbox: stores verified events.
        sources: the open ones by name, each with its secrets.
        max_body_bytes: longer bodies are refused without being read to the end.
        now: the clock (UTC) that signatures are checked against.
        edge: what the operator has set about senders.
        rate: counts proven deliveries.
        refusals: counts refused ones, of which not all are kept.
        on_delivery: told source and outcome of each delivery.
        on_refused: keeps what may be kept of a delivery to an open source that was refused.
    """

    inbox: Inbox
    sources: Mapping[str, tuple[Source, Sequence[str]]]
    max_body_bytes: int
    now: Callable[[], datetime]
    edge: Edge
    rate: RateLimit
    refusals: RateLimit
    on_delivery: Callable[[str, str], None] | None
    on_refused: Keep | None

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
            counts = known == name and answer.status_code in REFUSED
            if self.on_refused and counts and not self.refusals.wait_s(name):
                headers = shown_headers(request.headers)
                refused = Refused(name, answer.status_code, facts["reason"], request_id, self.now(), headers)
                # After the answer, which is not to wait for the store.
                answer.background = BackgroundTask(_keep, self.on_refused, refused)
        if self.on_delivery:
            self.on_delivery(known, outcome)
        answer.headers["X-Request-ID"] = request_id
        return answer

    async def _answer(self, name: str, request: Request) -> tuple[Response, str, dict[str, Any]]:
        try:
            source, secrets = self._source(name, request)
            delivery = await self._read(source, request)
            taken = await self._take(source, secrets, delivery)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the sender gets an answer and the log its line
            http = as_http(error)
            trace = {"exc_info": error} if http.status_code == UNEXPECTED else {}
            return error_answer(http), CODES[http.status_code], {"reason": true_reason(error, http), **trace}
        told = {"accepted": list(taken.accepted), "duplicates": list(taken.duplicates), "ignored": len(taken.ignored)}
        return source.success(delivery, told), taken.outcome, taken.facts

    def _source(self, name: str, request: Request) -> tuple[Source, Sequence[str]]:
        """Find the source; one that may not be reached like this is as unknown as any."""
        if name not in self.sources:
            raise Hidden("there is no such source, or no secret is set for it")
        source, secrets = self.sources[name]
        if "secret" in request.path_params:
            seen = Delivery(request.headers, b"", self.now(), self._url(request))
            if not source.by_address:
                raise Hidden(f"{name} takes no secret in its address")
            if not proven_by_address(seen, secrets):
                raise Hidden("the secret in the address is wrong")
        allowed = self.edge.allowed.get(name)
        caller = client_address(request, self.edge.trusted_proxies)
        if allowed is not None and not is_within(caller, allowed):
            raise Hidden(f"{name} may not call from {caller}")
        return source, secrets

    async def _read(self, source: Source, request: Request) -> Delivery:
        check_type(request.headers, source.media_type)
        body = await read_body(request, max_bytes=self.max_body_bytes, within_s=self.edge.body_within_s)
        return Delivery(request.headers, body, self.now(), self._url(request), request.method)

    async def _take(self, source: Source, secrets: Sequence[str], delivery: Delivery) -> Taken:
        source.verify(delivery, secrets)
        self._check_rate(source)
        try:
            items = [self._own(source, item) for item in source.events(delivery)]
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        ignored = [item.reason for item in items if isinstance(item, Ignored)]
        events = [item for item in items if isinstance(item, Event)]
        if not events:
            return Taken([], [], ignored)
        receipt = await within(self.edge.stored_within_s, self.inbox.accept(events))
        return Taken(receipt.accepted, receipt.duplicates, ignored)

    def _check_rate(self, source: Source) -> None:
        if source.busy_status is not None and (wait_s := self.rate.wait_s(source.name)):
            headers = {"Retry-After": str(math.ceil(wait_s))}
            raise HTTPException(source.busy_status, "too many deliveries of this source at once", headers)

    def _own(self, source: Source, item: Event | Ignored) -> Event | Ignored:
        """Leave or refuse an event of an account that is not the operator's."""
        allowed = self.edge.accounts.get(source.name)
        if allowed is None or isinstance(item, Ignored) or not (item.account or source.refuses_other_accounts):
            return item
        length = source.account_length
        if plain_account(item.account, length) in {plain_account(one, length) for one in allowed}:
            return item
        if source.refuses_other_accounts:
            raise NotProven("the account that sends this is not allowed")
        return Ignored("the account that sends this is not allowed")

    def _url(self, request: Request) -> str:
        """Build the address as the sender has it: Starlette's is decoded and names the inner host."""
        query: bytes = request.scope["query_string"]
        path: bytes = request.scope["raw_path"]
        return self.edge.public_url.rstrip("/") + (path + b"?" + query if query else path).decode("latin-1")


async def _keep(keep: Keep, refused: Refused) -> None:
    try:
        await keep(refused)
    except StoreUnavailable as error:
        log.warning("refused delivery not kept", error=str(error))


def open_sources(secrets: Mapping[str, Sequence[str]]) -> dict[str, tuple[Source, Sequence[str]]]:
    """Pair each source with its secrets; a blank one is none, and a source without any stays closed."""
    usable = {source.name: [secret for secret in secrets.get(source.name, ()) if secret.strip()] for source in SOURCES}
    return {source.name: (source, usable[source.name]) for source in SOURCES if usable[source.name]}
