"""HaloPSA's API as steps use it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from worker.run import CALL_BUDGET_S, Guard
from workflows.halopsa.auth import BearerAuth, Tokens
from workflows.halopsa.clients import Clients
from workflows.halopsa.collection import Collection, Memory, pages_of, send
from workflows.halopsa.connections import Connections
from workflows.halopsa.dialects import DIALECTS, Dialect, key_place
from workflows.halopsa.dryrun import DryRunTransport, PlannedWrite, plant_main_site
from workflows.halopsa.errors import HaloNotFound, HaloRefused
from workflows.halopsa.paging import listed_rows, read_all, read_since, rows_of
from workflows.halopsa.setup_models import CustomField, LookupValue
from workflows.halopsa.transport import FencedTransport

__all__ = ["Collection", "Halo", "HaloConnection"]

COUNTRIES: Final = 74
CLIENT_FIELDS: Final = 2
CHANGED_PAGE: Final = 100
NEVER_YET: Final = datetime(2099, 1, 1, tzinfo=UTC)


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
        self._http = http
        self._dialect = dialect
        self._memory = memory
        self.closer_agent_id = closer_agent_id
        self.clients = Clients(http, dialect.clients, memory, self.custom_fields)
        self.sites = Collection(http, dialect.sites, memory)
        self.contacts = Collection(http, dialect.contacts, memory)
        self.contracts = Collection(http, dialect.contracts, memory)
        self.tickets = Collection(http, dialect.tickets, memory)
        self.opportunities = Collection(http, dialect.opportunities, memory)
        self.actions = Collection(http, dialect.actions, memory)
        self.assets = Collection(http, dialect.assets, memory)
        self.recurring_invoices = Collection(http, dialect.recurring_invoices, memory)
        self.notes = Collection(http, dialect.notes, memory)
        self.external_links = Collection(http, dialect.external_links, memory)
        self.webhooks = Collection(http, dialect.webhooks, memory)
        self.webhook_events = Collection(http, dialect.webhook_events, memory)
        self.agents = Collection(http, dialect.agents, memory)
        self.signed_in = Collection(http, dialect.signed_in, memory)
        self.teams = Collection(http, dialect.teams, memory)
        self.statuses = Collection(http, dialect.statuses, memory)
        self.ticket_types = Collection(http, dialect.ticket_types, memory)
        self.outcomes = Collection(http, dialect.outcomes, memory)
        self.slas = Collection(http, dialect.slas, memory)
        self.priorities = Collection(http, dialect.priorities, memory)
        self.currencies = Collection(http, dialect.currencies, memory)
        self.asset_types = Collection(http, dialect.asset_types, memory)
        self.top_levels = Collection(http, dialect.top_levels, memory)

    async def lookup(self, number: int) -> list[LookupValue]:
        """List the entries of one of HaloPSA's lookups (`COUNTRIES`, …).

        Raises:
            HaloUnavailable: HaloPSA cannot be asked now.
            HaloRefused: it refuses.
        """
        entity = replace(self._dialect.lookups, listing={"lookupid": str(number)})
        entries = await Collection(self._http, entity, self._memory).find()
        return [entry for entry in entries if entry.lookup_id in (0, number)]

    async def custom_fields(self, kind: int = CLIENT_FIELDS) -> list[CustomField]:
        """List the custom fields of one kind of record; HaloPSA's number for clients is `CLIENT_FIELDS`.

        Raises:
            HaloUnavailable: HaloPSA cannot be asked now.
            HaloRefused: it refuses.
        """
        entity = replace(self._dialect.custom_fields, listing={"typeid": str(kind)})
        return await Collection(self._http, entity, self._memory).find()

    async def row(self, path: str) -> dict[str, Any]:
        """Read one record under HaloPSA's own names, all of its fields.

        Args:
            path: below ``/api``: ``/Tickets/4242``.

        Raises:
            HaloNotFound: it does not exist, or the API agent may not see it.
            HaloUnavailable: HaloPSA cannot be asked now.
            HaloRefused: it refuses.
        """
        rows = rows_of(await send(self._http, "GET", path, params={"includedetails": "true"}), "")
        if not rows:
            raise HaloNotFound(f"GET {path}", httpx.codes.OK, "the answer holds no record")
        return rows[0]

    async def rows_changed_since(self, path: str, list_key: str, moment: datetime) -> list[dict[str, Any]]:
        """List tickets or opportunities under HaloPSA's own names.

        Args:
            path: below ``/api``: ``/Tickets``.
            list_key: where a listing holds its rows.
            moment: of their last change, or later; rows that do not bear it count as changed.

        Raises:
            HaloUnavailable: HaloPSA cannot be asked now.
            HaloRefused: it refuses.
        """
        return await read_since(pages_of(self._http, path, {}), list_key, CHANGED_PAGE, "last_update", moment)

    async def client_rows_changed_since(self, moment: datetime) -> list[dict[str, Any]] | None:
        """List clients that have changed, inactive ones included, under HaloPSA's own names.

        Args:
            moment: of their last change, or later (UTC).

        Returns:
            The rows; None where HaloPSA ignores the date, as it does with query names that it does not know: then it
            lists clients for a day that is yet to come, too.

        Raises:
            HaloUnavailable: HaloPSA cannot be asked now.
            HaloRefused: it refuses.
        """
        path, list_key, one = "/Client", "clients", {"pageinate": "true", "page_no": "1", "page_size": "1"}
        try:
            later = await pages_of(self._http, path, _changed_from(NEVER_YET))(one)
        except HaloRefused:
            return None
        if listed_rows(later, list_key):
            return None
        return await read_all(pages_of(self._http, path, _changed_from(moment)), list_key, CHANGED_PAGE)

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
        dialect: whose names are spoken, by a name of `DIALECTS`.
        key: where clients bear the CRM's key: one of their fields, a custom field's name (``CF…``) or id, ``notes``;
            None = the dialect's own place.
        address: the part of an address (line1, line2, city, region, country) → the line on which it stands; None = the
            dialect's own.
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
        dialect: str = "v2",
        key: str | None = None,
        address: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url.rstrip("/")
        self._transport = transport or Connections()
        self._tokens = Tokens(
            client_id=client_id,
            client_secret=client_secret,
            scope=scope,
            auth_url=auth_url,
            tenant=tenant,
            clock=clock,
        )
        self._dialect = DIALECTS[dialect](key_place(key) if key else None, address)
        self._memory = Memory(clock)
        self._closer_agent_id = closer_agent_id

    def for_run(self, guard: Guard) -> Halo:
        """Give a run, or other work with a guard, its own access; cheap, because connections and token are shared."""
        return self._over(FencedTransport(guard, self._transport), guard)

    def for_reading(self, guard: Guard, keep: Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport]) -> Halo:
        """Give work that reads much its access.

        Args:
            guard: stands before what is really asked.
            keep: puts what keeps answers, so that they need not be asked for again, over the way to HaloPSA.
        """
        return self._over(keep(FencedTransport(guard, self._transport)), guard)

    def for_plan(self, guard: Guard, note: Callable[[PlannedWrite], None]) -> Halo:
        """Give a plan access that cannot write.

        Args:
            guard: stands before the reads.
            note: is told each write that would be made.
        """
        beside = plant_main_site if self._dialect.clients.has("site_name") else None
        return self._over(DryRunTransport(FencedTransport(guard, self._transport), note, beside), guard)

    def _over(self, transport: httpx.AsyncBaseTransport, guard: Guard) -> Halo:
        sign_in = httpx.AsyncClient(
            base_url=self._url,
            transport=FencedTransport(guard, self._transport, writes=False),
            timeout=CALL_BUDGET_S,
        )
        http = httpx.AsyncClient(
            base_url=f"{self._url}/api",
            transport=transport,
            auth=BearerAuth(self._tokens, sign_in),
            timeout=CALL_BUDGET_S,
        )
        return Halo(guard, http, self._dialect, self._memory, self._closer_agent_id)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


def _changed_from(moment: datetime) -> dict[str, str]:
    """Ask for what has changed since a moment; HaloPSA's times are UTC and name no zone."""
    return {"lastupdatefromdate": f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", "includeinactive": "true"}
