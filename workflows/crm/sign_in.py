"""Signing requests to CRMs: with a fixed token, or with one that is fetched and renewed."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx

from worker.run import CALL_BUDGET_S
from workflows.crm.api import CrmDenied, CrmUnavailable, error_for

DEFAULT_LIFE_S: Final = 900.0
"""Salesforce does not say how long a token lives; its shortest setting is 15 minutes."""
RENEW_BEFORE_S: Final = 60.0


class FixedToken(httpx.Auth):
    """A token in a header.

    Args:
        header: the header's name.
        value: the header's whole value.
    """

    def __init__(self, header: str, value: str) -> None:
        self._header = header
        self._value = value

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request with the token."""
        request.headers[self._header] = self._value
        yield request


class FetchedToken(httpx.Auth):
    """A token that an OAuth server grants: renewed before it ends, and once when it is refused.

    Args:
        crm: the CRM's name, for messages.
        url: where tokens are granted.
        grant: the form that asks for one; holds secrets.
        scheme: the word before the token.
        transport: sends the form; None opens network connections.
        clock: returns seconds that never go back.
    """

    def __init__(
        self,
        crm: str,
        url: str,
        grant: Mapping[str, str],
        *,
        scheme: str = "Bearer",
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._crm = crm
        self._url = url
        self._grant = dict(grant)
        self._scheme = scheme
        self._transport = transport
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request with a token, and again with a new one if that is refused."""
        token = await self._current()
        request.headers["Authorization"] = f"{self._scheme} {token}"
        response = yield request
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            token = await self._current(refused=token)
            request.headers["Authorization"] = f"{self._scheme} {token}"
            yield request

    async def _current(self, refused: str = "") -> str:
        async with self._one_at_a_time:
            if not self._token or self._token == refused or self._clock() >= self._until:
                self._token, life_s = await self._fetch()
                self._until = self._clock() + max(life_s - RENEW_BEFORE_S, life_s / 2)
            return self._token

    async def _fetch(self) -> tuple[str, float]:
        async with httpx.AsyncClient(transport=_Kept(self._transport), timeout=CALL_BUDGET_S) as http:
            response = await http.post(self._url, data=self._grant)
        answer = _object(response)
        token = answer.get("access_token")
        if isinstance(token, str) and token:
            return token, _seconds(answer.get("expires_in"))
        raise self._refusal(response, str(answer.get("error", "")))

    def _refusal(self, response: httpx.Response, error: str) -> Exception:
        call, mend = "the sign-in", f"check the settings of {self._crm}'s application, then replay the event."
        # Zoho refuses with 200 and an "error".
        if response.is_success and error:
            return CrmDenied(self._crm, call, response.status_code, error, mend=mend)
        if response.is_success:
            return CrmUnavailable(f"{self._crm}'s sign-in answered without a token")
        found = error_for(self._crm, call, response)
        if isinstance(found, CrmUnavailable):
            return found
        return CrmDenied(self._crm, call, response.status_code, error, mend=mend)


class _Kept(httpx.AsyncBaseTransport):
    """A transport that outlives the client that uses it."""

    def __init__(self, inner: httpx.AsyncBaseTransport | None) -> None:
        self._own = inner is None
        self._inner = inner or httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        if self._own:
            await self._inner.aclose()


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = {}
    return answer if isinstance(answer, dict) else {}


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return DEFAULT_LIFE_S
