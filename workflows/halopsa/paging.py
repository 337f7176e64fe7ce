"""Lists, read to their proven end."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from workflows.halopsa.errors import HaloUnavailable
from workflows.halopsa.models import moment, whole_number

READINGS: Final = 3
ROUND: Final = 50
"""HaloPSA cuts pages at a multiple of this (50 unasked, 100 of tickets), so a page of such a length may be cut."""

Row = dict[str, Any]
Fetch = Callable[[Mapping[str, str]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        rows: by their ids.
        counts: the number of rows that HaloPSA named, if it named one.
        repeated: whether it holds the same rows as all pages before.
    """

    rows: Mapping[Any, Row]
    counts: set[int]
    repeated: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """One way through the pages of a list.

    Attributes:
        rows: by their ids.
        counts: every number of rows that HaloPSA named.
        kept_back: HaloPSA knows no pages here, and counts more rows than it shows.
    """

    rows: Mapping[Any, Row]
    counts: set[int]
    kept_back: bool

    def __str__(self) -> str:
        return f"{len(self.rows)} of {max(self.counts, default=0)}"


def rows_of(answer: Any, list_key: str) -> list[Row]:
    """Find the rows of an answer: a bare array, an envelope (``{list_key: […]}``), or one object."""
    if isinstance(answer, Mapping) and "id" not in answer:
        lists = [value for value in answer.values() if _holds_rows(value)]
        answer = answer.get(list_key) or (lists[0] if lists else [])
    found = answer if isinstance(answer, Sequence) and not isinstance(answer, str) else [answer]
    return [row for row in found if isinstance(row, dict)]


def listed_rows(answer: Any, list_key: str) -> list[Row]:
    """Find the rows of a listing.

    Raises:
        HaloUnavailable: the answer is no list at all, which does not mean that there is nothing.
    """
    envelope = answer.values() if isinstance(answer, Mapping) else [answer]
    if not any(isinstance(value, list) for value in envelope) and not rows_of(answer, list_key):
        raise HaloUnavailable(f"HaloPSA answered without a list of {list_key or 'records'}")
    return rows_of(answer, list_key)


async def read_all(fetch: Fetch, list_key: str, page_size: int) -> list[Row]:
    """Read every page of a list.

    HaloPSA may cut pages shorter than asked without a word, rows shift between pages when others are made or deleted,
    and ``record_count`` may be missing, wrong, or the page's own. Where the count does not agree with the rows, the
    list is read again until two readings agree.

    Args:
        fetch: gets one page by its paging parameters.
        list_key: where the rows are.
        page_size: rows to ask for at once.

    Returns:
        The rows, each id once, in HaloPSA's order.

    Raises:
        HaloUnavailable: an answer is no list, the list changes all the time, or HaloPSA counts more rows than it shows.
    """
    before: Reading | None = None
    for _ in range(READINGS):
        reading = await _read_once(fetch, list_key, page_size)
        again = before is not None and before.rows.keys() == reading.rows.keys() and not reading.kept_back
        if again or reading.counts <= {len(reading.rows)}:
            return list(reading.rows.values())
        before = reading
    raise HaloUnavailable(f"HaloPSA counts more {list_key} than it lists, or lists other ones each time: {before}")


async def read_since(fetch: Fetch, list_key: str, page_size: int, stamp: str, since: datetime) -> list[Row]:
    """Read the rows of a list from a moment on.

    The latest are asked for first, and the first page of older ones is the last that is read. HaloPSA ignores query
    names that it does not know: where the rows do not come in that order, or the list does not begin with an older one
    when it is asked for the other way round, the whole of it is read.

    Args:
        fetch: gets one page by its paging parameters.
        list_key: where the rows are.
        page_size: rows to ask for at once.
        stamp: the field that holds their time; those of the read rows that do not bear it count as from then on.
        since: the moment.

    Raises:
        HaloUnavailable: as `read_all`.
    """
    found: dict[Any, Row] = {}
    counts: set[int] = set()
    times: list[datetime] = []
    falls, passed = True, False
    async with aclosing(_pages(fetch, list_key, page_size, {"order": stamp, "orderdesc": "true"})) as pages:
        async for page in pages:
            found |= page.rows
            counts |= page.counts
            stamps = [moment(row.get(stamp)) for row in page.rows.values()]
            times += filter(None, stamps)
            falls = all(before >= after for before, after in pairwise(times))
            passed = all(at and at < since for at in stamps) and bool(times)
            if passed or not falls:
                break
    whole = not passed and counts <= {len(found)}
    proven = falls and (whole or (passed and await _turns(fetch, list_key, stamp, times)))
    rows = list(found.values()) if proven else await read_all(fetch, list_key, page_size)
    return [row for row in rows if (moment(row.get(stamp)) or since) >= since]


async def _turns(fetch: Fetch, list_key: str, stamp: str, times: Sequence[datetime]) -> bool:
    """Whether a list that was asked for in falling order of a time begins with the oldest when it is to rise."""
    rising = {"pageinate": "true", "page_no": "1", "page_size": "1", "order": stamp, "orderdesc": "false"}
    first = next((moment(row.get(stamp)) for row in listed_rows(await fetch(rising), list_key)), None)
    return first is not None and first < times[0] and first <= times[-1]


async def _read_once(fetch: Fetch, list_key: str, page_size: int) -> Reading:
    found: dict[Any, Row] = {}
    counts: set[int] = set()
    repeated = False
    async for page in _pages(fetch, list_key, page_size, {"order": "id"}):
        found |= {key: row for key, row in page.rows.items() if key not in found}
        counts |= page.counts
        repeated = page.repeated
    return Reading(found, counts, kept_back=repeated and max(counts, default=0) > len(found))


async def _pages(fetch: Fetch, list_key: str, page_size: int, order: Mapping[str, str]) -> AsyncGenerator[Page, None]:
    """Read page after page to the proven end."""
    known: set[Any] = set()
    first, page_no = 0, 0
    while True:
        page_no += 1
        paging = {"pageinate": "true", "page_no": str(page_no), "page_size": str(page_size)}
        answer = await fetch({**paging, **order})
        rows = {whole_number(row.get("id")): row for row in listed_rows(answer, list_key)}
        total = whole_number(answer.get("record_count")) if isinstance(answer, Mapping) else None
        counts = {total} if isinstance(total, int) else set()
        first = first or len(rows)
        cut = len(rows) >= first and len(rows) % ROUND == 0
        fresh, before = rows.keys() - known, len(known)
        known |= rows.keys()
        yield Page(rows, counts, repeated=page_no > 1 and cut and not fresh and len(rows) == before)
        if not fresh or (counts and len(known) >= max(counts) and not cut):
            return


def _holds_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) and "id" in row for row in value)
