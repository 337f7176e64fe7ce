"""Signing requests to CRMs: with a fixed token, or with one that is fetched and renewed."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx

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
        clock: returns seconds that never go back.
    """

    def __init__(
        self,
        crm: str,
        url: str,
        grant: Mapping[str, str],
        *,
        scheme: str = "Bearer",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._crm = crm
        self._url = url
        self._grant = dict(grant)
        self._scheme = scheme
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request with a token, and again with a new one if that is refused."""
        refused = ""
        for _ in range(2):
            async with self._one_at_a_time:
                if self._token in {"", refused} or self._clock() >= self._until:
                    await self._take((yield httpx.Request("POST", self._url, data=self._grant)))
                refused = self._token
            request.headers["Authorization"] = f"{self._scheme} {refused}"
            response = yield request
            if response.status_code != HTTPStatus.UNAUTHORIZED:
                return

    async def _take(self, response: httpx.Response) -> None:
        """Keep the token of an answer.

        Raises:
            CrmDenied: there is none for this application.
            CrmUnavailable: there is none now.
        """
        await response.aread()
        answer = _object(response)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise self._refusal(response, str(answer.get("error", "")))
        life_s = _seconds(answer.get("expires_in"))
        self._token, self._until = token, self._clock() + max(life_s - RENEW_BEFORE_S, life_s / 2)

    def _refusal(self, response: httpx.Response, error: str) -> CrmDenied | CrmUnavailable:
        if response.is_success and not error:
            return CrmUnavailable(f"{self._crm}'s sign-in answered without a token")
        found = error_for(self._crm, "the sign-in", response)
        # Zoho refuses with 200 and an "error".
        if isinstance(found, CrmUnavailable):
            return found
        mend = f"check the settings of {self._crm}'s application, then replay the event."
        return CrmDenied(self._crm, "the sign-in", response.status_code, error, mend=mend)


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
