"""What is examined: a HaloPSA tenant, and how Parhelion is set up for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import httpx

from worker.run import Guard
from workflows.halopsa import Halo, HaloConnection
from workflows.halopsa.models import Client
from workflows.policy import Policy

TRIAL_NAME: Final = "Parhelion doctor"
"""What the names of clients begin with on which writes are tried."""
NO_SOURCE: Final = "HaloPSA is no source of events here: PARHELION_WEBHOOK_SECRET_HALOPSA is not set"

Connect = Callable[[str, httpx.AsyncBaseTransport], HaloConnection]


class TokenListener(httpx.AsyncBaseTransport):
    """Carries requests, and overhears which scopes a token is granted.

    Args:
        inner: sends the requests; not closed here.

    Attributes:
        granted: the token's scopes, separated by blanks; empty as long as there is no token.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.granted = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its whole answer."""
        response = await self._inner.handle_async_request(request)
        if request.method == "POST" and request.url.path.endswith("/token"):
            await response.aread()
            self.granted = _scope_of(response) if response.is_success else ""
        return response


@dataclass
class Patient:
    """A HaloPSA tenant and the settings for it.

    Attributes:
        connect: opens a connection that asks for the given scopes, on the given transport.
        transport: sends the requests.
        guard: stands before every request.
        scope: the scopes that are asked for, separated by blanks.
        policy: the MSP's business rules.
        webhook_address: what the addresses of HaloPSA's webhooks to here hold; None where it is no source of events.
        clients: all clients, once they have been read.
    """

    connect: Connect
    transport: httpx.AsyncBaseTransport
    guard: Guard
    scope: str
    policy: Policy
    webhook_address: str | None = None
    clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = TokenListener(self.transport)
        self.sign_in_for(self.scope)

    @property
    def granted(self) -> str:
        """The scopes of the token, separated by blanks; empty where there is none, or HaloPSA does not say."""
        return self._listener.granted

    def sign_in_for(self, scope: str) -> None:
        """From now on use a token for these scopes, separated by blanks."""
        self.halo: Halo = self.connect(scope, self._listener).for_run(self.guard)

    @property
    def sample_id(self) -> int:
        """A client to look at: the one in use with the most open tickets; 0, which is nobody's, where there is none."""
        in_use = [client for client in self.clients if client.in_use]
        return max(in_use, key=lambda client: client.open_tickets).id if in_use else 0


def _scope_of(response: httpx.Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return ""
    scope = answer.get("scope") if isinstance(answer, dict) else None
    return scope if isinstance(scope, str) else ""
