"""Signing in to HaloPSA: OAuth2 client credentials, one token per process, in memory only."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus
from typing import Any, Final

import httpx

from workflows.halopsa.errors import HaloForbidden, HaloRefused, HaloUnavailable, error_for

RENEW_BEFORE_S: Final = 60.0
"""A token is renewed this long before it ends, or after nine tenths of its life where that is shorter."""
DEFAULT_LIFE_S: Final = 3600.0
MEND_SIGN_IN: Final = (
    "Check the client id, the client secret, the scopes (one that is unknown or not allowed refuses them all) and the "
    "tenant against the API application in HaloPSA; then retry the run."
)


class Tokens:
    """The process's access token.

    Args:
        client_id: of the API application.
        client_secret: of the API application.
        scope: what to ask for, separated by blanks.
        auth_url: the authorisation server; None asks HaloPSA for it.
        tenant: the tenant's name where the authorisation server serves several.
        clock: returns seconds that never go back.
    """

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        scope: str,
        auth_url: str | None,
        tenant: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": scope,
        }
        self._auth_url = auth_url
        self._tenant = tenant
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._renew_at = 0.0

    async def current(self, http: httpx.AsyncClient, *, refused: str | None = None) -> str:
        """Return a token that should be good; whoever comes while one is fetched waits for that one.

        Args:
            http: reaches HaloPSA without a token; its base address is HaloPSA's.
            refused: a token that HaloPSA has just refused.

        Raises:
            HaloForbidden: HaloPSA refuses the sign-in.
            HaloUnavailable: it cannot be asked now.
        """
        async with self._lock:
            if self._token in ("", refused) or self._clock() >= self._renew_at:
                await self._sign_in(http)
            return self._token

    async def _sign_in(self, http: httpx.AsyncClient) -> None:
        try:
            url, params = await self._endpoint(http)
            response = await http.post(url, params=params, data=self._form)
        except (httpx.RequestError, TimeoutError) as error:
            raise HaloUnavailable(f"HaloPSA's sign-in did not answer: {error!r}") from error
        answer = _object(response)
        if not response.is_success or not isinstance(answer.get("access_token"), str):
            raise sign_in_error(response)
        life = _seconds(answer.get("expires_in"))
        self._token = answer["access_token"]
        self._renew_at = self._clock() + max(life - RENEW_BEFORE_S, life * 0.9)

    async def _endpoint(self, http: httpx.AsyncClient) -> tuple[str, dict[str, str]]:
        """Find where tokens are given: as set, else as HaloPSA's ``authinfo`` says, else beside HaloPSA."""
        auth_url, tenant = self._auth_url, self._tenant
        if auth_url is None:
            answer = await http.get("/api/authinfo")
            if isinstance(error := error_for("the sign-in", answer), HaloUnavailable) and not answer.is_success:
                raise error
            told = _object(answer)
            auth_url = _trusted(told.get("auth_url"), http.base_url) or "/auth"
            tenant = tenant or told.get("tenant_id")
        url = auth_url.rstrip("/")
        return (url if url.endswith("/token") else f"{url}/token"), {"tenant": str(tenant)} if tenant else {}


class BearerAuth(httpx.Auth):
    """Signs requests with the process's token; a refused token is renewed once and the request sent once more.

    HaloPSA also answers 401 for a missing permission, so a second 401 is final.

    Args:
        tokens: the process's.
        http: reaches HaloPSA's sign-in; its requests are guarded like those that it signs.
    """

    def __init__(self, tokens: Tokens, http: httpx.AsyncClient) -> None:
        self._tokens = tokens
        self._http = http

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request with a token, and again with a new one if that is refused."""
        token = await self._tokens.current(self._http)
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            token = await self._tokens.current(self._http, refused=token)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request


def sign_in_error(response: httpx.Response) -> HaloUnavailable | HaloRefused:
    """Turn an answer without a token into the error that says what happens next."""
    if response.is_success:
        return HaloUnavailable("HaloPSA's sign-in answered without a token")
    error = error_for("the sign-in", response)
    if isinstance(error, HaloRefused):
        return HaloForbidden(error.call, error.status, error.text, mend=MEND_SIGN_IN)
    return error


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json() if response.is_success else {}
    except ValueError:
        answer = {}
    return answer if isinstance(answer, dict) else {}


def _trusted(auth_url: Any, base: httpx.URL) -> str | None:
    """Take an address that HaloPSA tells, unless it would send the secret unencrypted where HaloPSA itself is not."""
    if not isinstance(auth_url, str) or not auth_url.startswith(("https://", f"{base.scheme}://")):
        return None
    return auth_url


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return DEFAULT_LIFE_S
