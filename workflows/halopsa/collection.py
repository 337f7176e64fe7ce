"""The collections of HaloPSA's records: found, read, made and changed."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic

import httpx
from pydantic import ValidationError

from worker.run import BULK_CALL_BUDGET_S
from workflows.halopsa.dialects import Entity
from workflows.halopsa.errors import HaloInDoubt, HaloNotFound, HaloUnavailable, error_for
from workflows.halopsa.models import R
from workflows.halopsa.paging import Fetch, listed_rows, read_all, read_since, rows_of
from workflows.halopsa.transport import NEVER_SENT

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

    def has(self, name: str) -> bool:
        """Whether HaloPSA keeps the field of this name in this dialect."""
        return self._entity.has(name)

    async def find(self, **same: int | str) -> list[R]:
        """Find all records, inactive ones included; of tickets only the open ones.

        Args:
            **same: fields and the values that they must have. HaloPSA is asked for them and the rows are checked,
                because it ignores filters that it does not know.

        Raises:
            HaloUnavailable: HaloPSA cannot be asked now, or gave an incomplete list.
            HaloRefused: it refuses.
        """
        names = {field: self._entity.fields[field] for field in same}
        rows = await self._listed({name: str(same[field]) for field, name in names.items() if name})
        return [row for row in rows if all(getattr(row, field) == value for field, value in same.items())]

    async def find_since(self, field: str, moment: datetime) -> list[R]:
        """Find the records from a moment on, without reading those of long ago where HaloPSA orders them by their time.

        Args:
            field: holds their time; HaloPSA must have it in this dialect.
            moment: records that bear no time count as from then on.

        Raises:
            HaloUnavailable: HaloPSA cannot be asked now, or gave an incomplete list.
            HaloRefused: it refuses.
        """
        fetch = pages_of(self._http, self._entity.path, self._entity.listing)
        stamp, size = self._entity.fields[field], self._entity.page_size
        assert stamp, f"{self._entity.path} has no {field}"
        assert size, f"{self._entity.path} knows no pages"
        return self._records(await read_since(fetch, self._entity.list_key, size, stamp, moment))

    async def _listed(self, wanted: Mapping[str, str]) -> list[R]:
        """List all records, or remember them where administrators rarely change them."""
        params = {**self._entity.listing, **wanted}
        name = f"{self._entity.path}?{httpx.QueryParams(params)}"
        if self._entity.reference and (known := self._memory.recall(name)) is not None:
            return known
        records = self._records(await self._rows(params))
        if self._entity.reference:
            self._memory.keep(name, records)
        return records

    def _records(self, rows: Sequence[Mapping[str, Any]]) -> list[R]:
        try:
            return [self._entity.read(row) for row in rows]
        except ValidationError as error:
            raise HaloUnavailable(f"HaloPSA listed something else than records at {self._entity.path}") from error

    async def get(self, record_id: int) -> R:
        """Read one record.

        Raises:
            HaloNotFound: it does not exist, or the API agent may not see it.
            HaloUnavailable: HaloPSA cannot be asked now.
            HaloRefused: it refuses.
        """
        path = f"{self._entity.path}/{record_id}"
        record = self._first(await send(self._http, "GET", path, params={"includedetails": "true"}))
        if record is None or record.id != record_id:
            raise HaloNotFound(f"GET {path}", httpx.codes.OK, "the answer does not hold the record")
        return record

    async def create(self, **values: Any) -> R:
        """Create a record. HaloPSA hardly ever refuses a double: look first.

        Args:
            **values: fields by our names; None is left out.

        Raises:
            HaloUnavailable: HaloPSA cannot do it now, or left open whether it did.
            HaloRefused: it refuses.
        """
        record = self._first(await self._post(values))
        if record is None:
            raise HaloInDoubt(f"HaloPSA answered POST {self._entity.path} without an id: the outcome is unknown")
        return record

    async def update(self, record_id: int, **values: Any) -> R | None:
        """Change the given fields of a record; None is left as it is.

        Returns:
            The record as HaloPSA's answer shows it; None where it shows none.

        Raises:
            HaloUnavailable: HaloPSA cannot do it now.
            HaloRefused: it refuses.
        """
        shown = self._first(await self._post(values, id=record_id))
        return shown if shown and shown.id == record_id else None

    async def create_many(self, records: Sequence[Mapping[str, Any]]) -> list[R]:
        """Create records in one request.

        Args:
            records: fields by our names; None is left out.

        Returns:
            The records that HaloPSA shows as made. Where fewer come back than were sent, it may have made the others
            all the same: look for them.

        Raises:
            HaloUnavailable: HaloPSA cannot do it now, or left open whether it did.
            HaloRefused: it refuses; some of them may be made.
        """
        return await self._post_many([self._entity.write(values) for values in records])

    async def update_many(self, changes: Mapping[int, Mapping[str, Any]]) -> dict[int, R]:
        """Change records in one request.

        Args:
            changes: record id → fields by our names; None is left as it is.

        Returns:
            The records that HaloPSA shows as changed, by id. It may have changed the others all the same: look.

        Raises:
            HaloUnavailable: HaloPSA cannot do it now, or left open whether it did.
            HaloRefused: it refuses; some of them may be changed.
        """
        bodies = [{"id": record_id, **self._entity.write(values)} for record_id, values in changes.items()]
        shown = {record.id: record for record in await self._post_many(bodies)}
        return {record_id: shown[record_id] for record_id in changes if record_id in shown}

    async def _post(self, values: Mapping[str, Any], **identity: int) -> Any:
        # HaloPSA takes arrays only, also for one record.
        body = [identity | self._entity.write(values)]
        return await send(self._http, "POST", self._entity.path, json=body)

    async def _post_many(self, bodies: Sequence[Mapping[str, Any]]) -> list[R]:
        # HaloPSA answers an array with its last record only. Newer ones show all of them for `returnall`, which its
        # documented API does not know.
        answer = await send(self._http, "POST", self._entity.path, json=bodies, timeout=BULK_CALL_BUDGET_S)
        rows = (self._read(row) for row in rows_of(answer, self._entity.list_key))
        return [record for record in rows if record is not None]

    async def _rows(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        fetch = pages_of(self._http, self._entity.path, params)
        if self._entity.page_size is None:
            return listed_rows(await fetch({}), self._entity.list_key)
        return await read_all(fetch, self._entity.list_key, self._entity.page_size)

    def _first(self, answer: Any) -> R | None:
        rows = rows_of(answer, self._entity.list_key)
        return self._read(rows[0]) if rows else None

    def _read(self, row: Mapping[str, Any]) -> R | None:
        try:
            return self._entity.read(row)
        except ValidationError:
            return None


def pages_of(http: httpx.AsyncClient, path: str, params: Mapping[str, str]) -> Fetch:
    """Make what gets the pages of a listing.

    Args:
        http: HaloPSA's API.
        path: below ``/api``.
        params: query names sent with every page.
    """

    async def fetch(paging: Mapping[str, str]) -> Any:
        return await send(http, "GET", path, params={**params, **paging})

    return fetch


async def send(http: httpx.AsyncClient, method: str, path: str, **content: Any) -> Any:
    """Send one request and read its JSON answer; None for an empty one.

    Args:
        http: HaloPSA's API.
        method: "GET" or "POST".
        path: below ``/api``.
        **content: `params`, `json` and `timeout` as httpx takes them.

    Raises:
        HaloUnavailable: no answer, an answer that says "later", or one that is no JSON; HaloInDoubt where that leaves
            a write open.
        HaloRefused: HaloPSA says no.
    """
    call = f"{method} {path}"
    lost = HaloUnavailable if method == "GET" else HaloInDoubt
    try:
        response = await http.request(method, path, **content)
    except NEVER_SENT as error:
        raise HaloUnavailable(f"HaloPSA cannot be reached for {call}: {error!r}") from error
    except (httpx.RequestError, TimeoutError) as error:
        raise lost(f"HaloPSA did not answer {call}: {error!r}") from error
    if not response.is_success:
        raise error_for(call, response)
    try:
        return response.json() if response.content else None
    except ValueError as error:
        raise lost(f"HaloPSA answered {call} with something that is no JSON") from error
