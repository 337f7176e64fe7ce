"""Requests to a CRM: within ten seconds, and with an error that says what happens next.

RetryLater
└── CrmUnavailable   no answer, 429, 5xx
    └── CrmInDoubt     a write may have been done: no answer came
NeedsOperator
└── CrmRefused       the CRM understood and said no; its own words are kept
    ├── CrmDenied      the token does not count, or not for this (401, 403)
    └── RecordGone     there is no such record, or the token may not see it (404, 410)
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx

from worker.errors import NeedsOperator, RetryLater
from worker.run import CALL_BUDGET_S, Call, Guard

MAX_TEXT: Final = 300
NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
PASSING: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
USED_UP: Final = ("REQUEST_LIMIT_EXCEEDED", '"DAILY"')
"""Words of answers that mean a day's requests are used up: Salesforce's (with 403) and HubSpot's (with 429)."""
AN_HOUR_S: Final = 3600.0
BUSY_S: Final = 5.0
"""How long a CRM is left alone that says "too many" but not until when; HubSpot counts in ten seconds."""
BUSY_TRIES: Final = 12
BUSY_AT_MOST_S: Final = 60.0
TEXT_NAMES: Final = ("message", "error_info", "error_description", "error", "code")
"""Where error bodies keep their text; the most telling name first."""


class CrmUnavailable(RetryLater):
    """The CRM cannot be reached, is busy, or gave an answer that is of no use."""


class CrmInDoubt(CrmUnavailable):
    """The CRM left open whether it did what it was asked: look before asking again."""


class CrmRefused(NeedsOperator):
    """The CRM refused a request.

    Args:
        crm: its name.
        call: the request ("GET /crm/v3/owners/7").
        status: HTTP status of the answer.
        text: the CRM's own words; empty where it gave none.
        mend: what to do about it.
    """

    def __init__(self, crm: str, call: str, status: int, text: str, *, mend: str = "") -> None:
        super().__init__(f"{crm} refused {call} ({status}): {(text or 'it gave no reason').rstrip('.')}.", mend=mend)
        self.status = status


class CrmDenied(CrmRefused):
    """The token is not valid, or its user or scopes do not allow a request."""


class RecordGone(CrmRefused):
    """The record does not exist, or the token may not see it."""


class Api:
    """One CRM's web API.

    Args:
        crm: the CRM's name, for messages.
        url: its address, below which paths are.
        auth: signs the requests.
        transport: sends them; None opens network connections.
        headers: sent with every request.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        crm: str,
        url: str,
        auth: httpx.Auth | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._crm = crm
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"), auth=auth, transport=transport, headers=dict(headers or {}), timeout=CALL_BUDGET_S
        )

    async def search(self, method: str, path: str, **content: Any) -> Any:
        """Send a request of a long search, and wait where the CRM takes no more for the moment; see `send`.

        A search that is given up at its two hundredth page begins again, and would never come to its end.
        """
        for _ in range(BUSY_TRIES):
            try:
                return await self.send(method, path, **content)
            except CrmUnavailable as busy:
                if busy.after is None or busy.after > BUSY_AT_MOST_S:
                    raise
                await self._sleep(busy.after)
        return await self.send(method, path, **content)

    async def send(self, method: str, path: str, *, guard: Guard | None = None, **content: Any) -> Any:
        """Send one request and read its JSON answer; None for an empty one.

        Args:
            method: "GET", or "POST" for a search and, with a guard, for a write.
            path: below the CRM's address.
            guard: the run that a write belongs to.
            **content: `params`, `json` and `headers` as httpx takes them.

        Raises:
            CrmUnavailable: no answer, one that says "later", or none that is JSON; CrmInDoubt where that leaves a write
                open.
            CrmRefused: the CRM says no.
        """
        call = f"{method} {path}"
        lost = CrmUnavailable if guard is None else CrmInDoubt
        try:
            async with asyncio.timeout(CALL_BUDGET_S), _guarded(guard, call) as flight:
                response = await self._answer(flight, method, path, **content)
        except NEVER_SENT as error:
            raise CrmUnavailable(f"{self._crm} cannot be reached for {call}: {type(error).__name__}") from error
        except (httpx.RequestError, TimeoutError) as error:
            raise lost(f"{self._crm} did not answer {call}: {type(error).__name__}") from error
        return read_answer(self._crm, call, response)

    async def _answer(self, flight: Call | None, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **content)
        except NEVER_SENT:
            if flight:
                flight.settled()
            raise
        if flight:
            flight.settled()
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


@contextlib.asynccontextmanager
async def _guarded(guard: Guard | None, call: str) -> AsyncIterator[Call | None]:
    if guard is None:
        yield None
        return
    async with guard.call(call, write=True, limited=False) as flight:
        yield flight


def read_answer(crm: str, call: str, response: httpx.Response) -> Any:
    """Read an answer's JSON; None for an empty one, and where nothing has changed (304).

    Raises:
        CrmUnavailable: it says "later", or is no JSON.
        CrmRefused: it says no.
    """
    if response.status_code == HTTPStatus.NOT_MODIFIED:
        return None
    if not response.is_success:
        raise error_for(crm, call, response)
    try:
        answer = response.json() if response.content else None
    except ValueError as error:
        raise CrmUnavailable(f"{crm} answered {call} with something that is no JSON") from error
    if answer is not None and not isinstance(answer, dict):
        raise CrmUnavailable(f"{crm} answered {call} with something else than an object")
    return answer


def error_for(crm: str, call: str, response: httpx.Response) -> CrmUnavailable | CrmRefused:
    """Turn an answer that is no success into the error that says what happens next."""
    status, text = response.status_code, _text(response)
    if any(word in response.text for word in USED_UP):
        return CrmUnavailable(f"{crm} takes no more requests today: {text}", after=AN_HOUR_S)
    if status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        reason = f"{crm} answered {call} with {status}{f': {text}' if text else ''}"
        busy_s = BUSY_S if status == HTTPStatus.TOO_MANY_REQUESTS else None
        asked_s = retry_after(response)
        return CrmUnavailable(reason, after=busy_s if asked_s is None else asked_s)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        mend = f"give Parhelion a token of {crm} that counts and may do this, then replay the event."
        return CrmDenied(crm, call, status, text, mend=mend)
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return RecordGone(crm, call, status, text)
    return CrmRefused(crm, call, status, text)


def retry_after(response: httpx.Response) -> float | None:
    """Read the seconds to wait: ``Retry-After`` in seconds or as a date, or Pipedrive's ``x-ratelimit-reset``.

    Returns:
        None where there is neither, or nothing that can be read.
    """
    value = (response.headers.get("retry-after") or response.headers.get("x-ratelimit-reset", "")).strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _text(response: httpx.Response) -> str:
    """The CRM's own words, under one of `TEXT_NAMES` in an object, in one within it, or in a list of such."""
    body = response.text.strip()
    if body.startswith("<"):
        return "an HTML page"
    try:
        texts = _texts(json.loads(body))
    except ValueError:
        texts = iter([body])
    return "; ".join(dict.fromkeys(texts))[:MAX_TEXT]


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _texts(one)
        case dict():
            lists = [one for one in value.values() if isinstance(one, list)]
            yield from _texts(next((value[name] for name in TEXT_NAMES if value.get(name)), lists))
