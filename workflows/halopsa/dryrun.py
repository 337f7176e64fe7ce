"""A dry run: reads reach HaloPSA, writes are only written down."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

Row = dict[str, Any]

READS: Final = frozenset({"GET", "HEAD"})
FIRST_PAGE: Final = "1"


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """One write that a run would make; ids below zero stand for records that do not exist yet."""

    method: str
    path: str
    body: Any


@dataclass(slots=True)
class Draft:
    """HaloPSA's records as they would be after a dry run's writes."""

    _rows: dict[str, dict[int, Row]] = field(default_factory=dict)
    _changes: dict[str, dict[int, Row]] = field(default_factory=dict)
    _last_id: int = 0

    def create(self, path: str, row: Row) -> Row:
        """Keep a record that would be made, under a placeholder id."""
        self._last_id -= 1
        kept = {**row, "id": self._last_id}
        self._rows.setdefault(path, {})[self._last_id] = kept
        return kept

    def change(self, path: str, record_id: int, changes: Row) -> Row:
        """Keep what would be changed of a record."""
        own = self._rows.get(path, {}).get(record_id)
        kept = own if own is not None else self._changes.setdefault(path, {}).setdefault(record_id, {})
        kept |= changes
        return {**kept, "id": record_id}

    def planned(self, path: str) -> list[Row]:
        """The records of a path that would be made."""
        return list(self._rows.get(path, {}).values())

    def record(self, path: str, record_id: int) -> Row | None:
        """One record that would be made."""
        return self._rows.get(path, {}).get(record_id)

    def as_changed(self, path: str, row: Row) -> Row:
        """A record that HaloPSA gave, with what would be changed of it."""
        return {**row, **self._changes.get(path, {}).get(_whole(row.get("id")), {})}


class DryRunTransport(httpx.AsyncBaseTransport):
    """Lets reads through and answers writes itself; nothing that it writes down leaves the process.

    Later reads see what would have been written. A read that names a record which does not exist yet is answered here.

    Args:
        inner: sends the reads.
        note: is told each write.
        beside: plants what HaloPSA would make by itself beside a new record: told the draft, the path and the record.

    Attributes:
        requests: how many requests were made or written down.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        note: Callable[[PlannedWrite], None],
        beside: Callable[[Draft, str, Row], None] | None = None,
    ) -> None:
        self._draft = Draft()
        self._inner = inner
        self._note = note
        self._beside = beside
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a write, or pass a read on and lay over its answer what would have been written.

        Raises:
            httpx.TransportError: HaloPSA did not answer a read.
        """
        self.requests += 1
        path, _, last = request.url.path.removeprefix("/api").rstrip("/").rpartition("/")
        if request.method not in READS:
            return _answer(request, self._write(request))
        if _is_placeholder(last):
            record = self._draft.record(path, int(last))
            return _answer(request, record) if record else httpx.Response(404, request=request)
        if any(_is_placeholder(value) for value in request.url.params.values()):
            return _answer(request, self._draft.planned(f"{path}/{last}"))
        response = await self._inner.handle_async_request(request)
        await response.aread()
        if not response.is_success:
            return response
        collection = path if last.isdecimal() else f"{path}/{last}"
        return self._overlaid(request, response, collection, one=last.isdecimal())

    def _write(self, request: httpx.Request) -> Any:
        path = request.url.path.removeprefix("/api").rstrip("/")
        body = json.loads(request.content or "null")
        self._note(PlannedWrite(request.method, path, body))
        sent = body if isinstance(body, list) else [body]
        kept = [self._keep(path, row) for row in sent if isinstance(row, dict)]
        return kept[-1] if kept else {}  # of an array HaloPSA shows the last record only

    def _keep(self, path: str, row: Row) -> Row:
        if (record_id := _whole(row.get("id"))) != 0:
            return self._draft.change(path, record_id, row)
        made = self._draft.create(path, row)
        if self._beside is not None:
            self._beside(self._draft, path, made)
        return made

    def _overlaid(self, request: httpx.Request, response: httpx.Response, path: str, *, one: bool) -> httpx.Response:
        try:
            answer = response.json()
        except ValueError:
            return response
        if one:
            return _answer(request, self._draft.as_changed(path, answer) if isinstance(answer, dict) else answer)
        added = self._draft.planned(path) if request.url.params.get("page_no", FIRST_PAGE) == FIRST_PAGE else []
        if isinstance(answer, dict) and "id" not in answer:
            return _answer(request, self._envelope(path, answer, added))
        rows = answer if isinstance(answer, list) else [answer]
        return _answer(request, [self._draft.as_changed(path, row) for row in rows if isinstance(row, dict)] + added)

    def _envelope(self, path: str, answer: Mapping[str, Any], added: list[Row]) -> dict[str, Any]:
        lists = {name: rows for name, rows in answer.items() if isinstance(rows, list)}
        named = next((name for name, rows in lists.items() if any("id" in row for row in rows)), None)
        holder = named or next((name for name in lists if name != "columns"), None)
        changed: dict[str, Any] = dict(answer)
        if holder is not None:
            changed[holder] = [self._draft.as_changed(path, row) for row in lists[holder]] + added
        if "record_count" in answer:
            changed["record_count"] = _whole(answer["record_count"]) + len(self._draft.planned(path))
        return changed


def plant_main_site(draft: Draft, path: str, row: Row) -> None:
    """Plant the main site that HaloPSA makes with a new client."""
    if path == "/Client":
        name = row.get("newclient_sitename") or "Main"
        row["main_site_id"] = draft.create("/Site", {"client_id": row["id"], "name": name, "isinvoicesite": True})["id"]


def _is_placeholder(text: str) -> bool:
    return text.startswith("-") and text[1:].isdecimal()


def _whole(value: Any) -> int:
    try:
        return int(float(value))
    except (TypeError, ValueError):
        return 0


def _answer(request: httpx.Request, body: Any) -> httpx.Response:
    return httpx.Response(200, json=body, request=request)
