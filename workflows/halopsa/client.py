"""HaloPSA's API as steps use it."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic

import httpx
from pydantic import ValidationError

from worker.run import CALL_BUDGET_S, Run
from workflows.halopsa.auth import BearerAuth, Tokens
from workflows.halopsa.connections import Connections
from workflows.halopsa.dialects import V2, Dialect, Entity
from workflows.halopsa.errors import HaloNotFound, HaloUnavailable, error_for
from workflows.halopsa.models import R
from workflows.halopsa.paging import listed_rows, read_all, rows_of
from workflows.halopsa.transport import FencedTransport

REMEMBER_S: Final = 600.0
"""How long lists that administrators rarely change are remembered."""


class Memory:
    """The rarely changing lists of a tenant, remembered for a while by the whole process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lists: dict[str, tuple[float, list[Any]]] = {}

    def recall(self, name: str) -> list[Any] | None:
        """Return a list that is not too old yet."""
        until, rows = self._lists.get(name, (0.0, []))
        return rows if self._clock() < until else None

    def keep(self, name: str, rows: list[Any]) -> None:
        """Remember a list."""
        self._lists[name] = (self._clock() + REMEMBER_S, rows)


class Collection(Generic[R]):
    """One kind of HaloPSA's records."""

    def __init__(self, http: httpx.AsyncClient, entity: Entity[R], memory: Memory) -> None:
        self._http = http
        self._entity = entity
        self._memory = memory

    async def find(self, **same: int) -> list[R]:
        """Find all records, inactive ones included; of tickets only the open ones.

        Args:
            **same: fields and the values that they must have. HaloPSA is asked for them and the rows are checked,
                because it ignores filters that it does not know.

        Raises:
            HaloUnavailable: HaloPSA cannot be asked now, or gave an incomplete list.
            HaloRefused: it refuses.
        """
        entity = self._entity
        name = f"{entity.path} {entity.listing}"
        if entity.reference and (known := self._memory.recall(name)) is not None:
            return known
        wanted = {entity.fields[field]: str(value) for field, value in same.items()}
        records = [entity.read(row) for row in await self._rows({**entity.listing, **wanted})]
        if entity.reference:
            self._memory.keep(name, records)
        return [record for record in records if all(getattr(record, field) == same[field] for field in same)]

    async def get(self, record_id: int) -> R:
        """Read one record.

        Raises:
            HaloNotFound: it does not exist, or the API agent may not see it.
            HaloUnavailable: HaloPSA cannot be asked now.
            HaloRefused: it refuses.
        """
        path = f"{self._entity.path}/{record_id}"
        record = self._first(await send(self._http, "GET", path, params={"includedetails": "true"}))
        if record is None:
            raise HaloNotFound(f"GET {path}", httpx.codes.OK, "the answer holds no record")
        return record

    async def create(self, **values: Any) -> R:
        """Create a record. HaloPSA never refuses a double: look first.

        Args:
            **values: fields by our names; None is left out.

        Raises:
            HaloUnavailable: HaloPSA cannot do it now, or left open whether it did.
            HaloRefused: it refuses.
        """
        record = self._first(await self._post(values))
        if record is None:
            raise HaloUnavailable(f"HaloPSA answered POST {self._entity.path} without an id: the outcome is unknown")
        return record

    async def update(self, record_id: int, **values: Any) -> None:
        """Change the given fields of a record; None is left as it is.

        Raises:
            HaloUnavailable: HaloPSA cannot do it now.
            HaloRefused: it refuses.
        """
        await self._post(values, id=record_id)

    async def _post(self, values: Mapping[str, Any], **identity: int) -> Any:
        # HaloPSA takes arrays only, also for one record.
        body = [identity | self._entity.write(values)]
        return await send(self._http, "POST", self._entity.path, json=body)

    async def _rows(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        async def fetch(paging: Mapping[str, str]) -> Any:
            return await send(self._http, "GET", self._entity.path, params={**params, **paging})

        if self._entity.page_size is None:
            return listed_rows(await fetch({}), self._entity.list_key)
        return await read_all(fetch, self._entity.list_key, self._entity.page_size)

    def _first(self, answer: Any) -> R | None:
        rows = rows_of(answer, self._entity.list_key)
        try:
            return self._entity.read(rows[0]) if rows else None
        except ValidationError:
            return None


class Halo:
    """HaloPSA in the hands of one run: every request is guarded by it.

    Args:
        run: whose requests these are.
        http: sends them through the run's fence.
        dialect: the API's names.
        memory: the process's remembered lists.
        closer_agent_id: who is assigned to tickets that nobody has, when they are closed; None = who signs in.
    """

    def __init__(
        self, run: Run, http: httpx.AsyncClient, dialect: Dialect, memory: Memory, closer_agent_id: int | None = None
    ) -> None:
        self._run = run
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
        return self._run.in_doubt


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

    def for_run(self, run: Run) -> Halo:
        """Give a run its own, guarded access; cheap, because connections and token are shared."""
        http = httpx.AsyncClient(
            base_url=f"{self._url}/api",
            transport=FencedTransport(run, self._transport),
            auth=self._auth,
            timeout=CALL_BUDGET_S,
        )
        return Halo(run, http, V2, self._memory, self._closer_agent_id)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sign_in.aclose()


async def send(http: httpx.AsyncClient, method: str, path: str, **content: Any) -> Any:
    """Send one request and read its JSON answer; None for an empty one.

    Args:
        http: HaloPSA's API.
        method: "GET" or "POST".
        path: below ``/api``.
        **content: `params` and `json` as httpx takes them.

    Raises:
        HaloUnavailable: no answer, an answer that says "later", or one that is no JSON.
        HaloRefused: HaloPSA says no.
    """
    call = f"{method} {path}"
    try:
        response = await http.request(method, path, **content)
    except (httpx.RequestError, TimeoutError) as error:
        raise HaloUnavailable(f"HaloPSA did not answer {call}: {error!r}") from error
    if not response.is_success:
        raise error_for(call, response)
    try:
        return response.json() if response.content else None
    except ValueError as error:
        raise HaloUnavailable(f"HaloPSA answered {call} with something that is no JSON") from error
