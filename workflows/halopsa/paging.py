"""Lists, read to their proven end."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from workflows.halopsa.errors import HaloUnavailable
from workflows.halopsa.models import whole_number

Row = dict[str, Any]
Fetch = Callable[[Mapping[str, str]], Awaitable[Any]]


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

    HaloPSA may cut pages shorter than asked without a word, rows shift between pages, and ``record_count`` may be
    missing: then only a page without a new row is the end.

    Args:
        fetch: gets one page by its paging parameters.
        list_key: where the rows are.
        page_size: rows to ask for at once.

    Returns:
        The rows, each id once, in HaloPSA's order.

    Raises:
        HaloUnavailable: an answer is no list, or fewer rows came than HaloPSA counts, so the list is not complete.
    """
    found: dict[Any, Row] = {}
    page_no = 0
    while True:
        page_no += 1
        answer = await fetch({"pageinate": "true", "page_no": str(page_no), "page_size": str(page_size), "order": "id"})
        fresh = {key: row for row in listed_rows(answer, list_key) if (key := whole_number(row.get("id"))) not in found}
        found |= fresh
        total = whole_number(answer.get("record_count")) if isinstance(answer, Mapping) else None
        if isinstance(total, int) and len(found) >= total:
            return list(found.values())
        if not fresh:
            break
    if isinstance(total, int):
        raise HaloUnavailable(f"HaloPSA listed {len(found)} of {total} {list_key}")
    return list(found.values())


def _holds_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) and "id" in row for row in value)
