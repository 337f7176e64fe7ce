"""HaloPSA's API as steps use it."""

import time
from collections.abc import Callable

import httpx

from worker.run import CALL_BUDGET_S, Guard
from workflows.halopsa.auth import BearerAuth, Tokens
from workflows.halopsa.collection import Collection, Memory
from workflows.halopsa.connections import Connections
from workflows.halopsa.dialects import V2, Dialect
from workflows.halopsa.transport import FencedTransport

__all__ = ["Collection", "Halo", "HaloConnection"]


class Halo:
    """HaloPSA in the hands of one run: every request is guarded by it.

    Args:
        guard: the run, or what else guards the requests.
        http: sends them through the fence.
        dialect: the API's names.
        memory: the process's remembered lists.
        closer_agent_id: who is assigned to tickets that nobody has, when they are closed; None = who signs in.
    """

    def __init__(
        self,
        guard: Guard,
        http: httpx.AsyncClient,
        dialect: Dialect,
        memory: Memory,
        closer_agent_id: int | None = None,
    ) -> None:
        self._guard = guard
        self._memory = memory
        self.closer_agent_id = closer_agent_id
        self.clients = Collection(http, dialect.clients, memory)
        self.sites = Collection(http, dialect.sites, memory)
        self.contacts = Collection(http, dialect.contacts, memory)
        self.contracts = Collection(http, dialect.contracts, memory)
        self.tickets = Collection(http, dialect.tickets, memory)
        self.actions = Collection(http, dialect.actions, memory)
        self.assets = Collection(http, dialect.assets, memory)
        self.recurring_invoices = Collection(http, dialect.recurring_invoices, memory)
        self.notes = Collection(http, dialect.notes, memory)
        self.agents = Collection(http, dialect.agents, memory)
        self.signed_in = Collection(http, dialect.signed_in, memory)
        self.statuses = Collection(http, dialect.statuses, memory)
        self.countries = Collection(http, dialect.countries, memory)
        self.asset_types = Collection(http, dialect.asset_types, memory)

    @property
    def in_doubt(self) -> bool:
        """Whether the current step may have written already: look before writing."""
        return self._guard.in_doubt


class HaloConnection:
    """A process's way to one HaloPSA tenant: connections, token and remembered lists, shared by all its runs.

    Args:
        url: HaloPSA's address without ``/api``.
        client_id: of the API application.
        client_secret: of the API application; kept in memory only.
        auth_url: the authorisation server; None asks HaloPSA for it.
        tenant: the tenant's name where the authorisation server serves several.
        scope: what to ask for, separated by blanks.
        closer_agent_id: see `Halo`.
        transport: sends the requests; None opens network connections.
        clock: returns seconds that never go back.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        auth_url: str | None = None,
        tenant: str | None = None,
        scope: str = "all",
        closer_agent_id: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url.rstrip("/")
        self._transport = transport or Connections()
        self._sign_in = httpx.AsyncClient(base_url=self._url, transport=self._transport, timeout=CALL_BUDGET_S)
        tokens = Tokens(
            self._sign_in,
            client_id=client_id,
            client_secret=client_secret,
            scope=scope,
            auth_url=auth_url,
            tenant=tenant,
            clock=clock,
        )
        self._auth = BearerAuth(tokens)
        self._memory = Memory(clock)
        self._closer_agent_id = closer_agent_id

    def for_run(self, guard: Guard) -> Halo:
        """Give a run, or other work with a guard, its own access; cheap, because connections and token are shared."""
        http = httpx.AsyncClient(
            base_url=f"{self._url}/api",
            transport=FencedTransport(guard, self._transport),
            auth=self._auth,
            timeout=CALL_BUDGET_S,
        )
        return Halo(guard, http, V2, self._memory, self._closer_agent_id)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sign_in.aclose()
