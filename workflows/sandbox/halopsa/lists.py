"""Lists: filters, order, pages and envelopes."""

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from workflows.sandbox.answers import Refused, require
from workflows.sandbox.faults import Faults
from workflows.sandbox.halopsa.entity import Entity
from workflows.sandbox.halopsa.fields import read_date
from workflows.sandbox.halopsa.permissions import Grant, sees
from workflows.sandbox.halopsa.store import Record, Store

Query = Mapping[str, str]

ROWS_BY_DEFAULT = 50
_TOO_MANY = 3
_LAST_DATE = "9999"
_ORDERS = ("", "2", "3", "4", "5")
_EQUALS, _CONTAINS = 2, 4
_INVALID_ADVANCED_SEARCH = "Invalid advanced search parameter(s)"


def list_records(store: Store, entity: Entity, query: Query, grant: Grant) -> tuple[Record, list[Record]]:
    """Answer a list request. Query names that HaloPSA does not know are ignored, so that all rows come back.

    Args:
        store: the tenant.
        entity: what is listed.
        query: names in lower case.
        grant: what the token stands for.

    Returns:
        The envelope without its rows, and the rows of the page: shown, and shortened to what lists hold.

    Raises:
        Refused: a number is none, or ``advanced_search`` names a field that it does not allow.
    """
    faults = store.faults
    ignored = faults.ignore | {"search"} if faults.ignore_search else faults.ignore
    query = {name: value for name, value in query.items() if name not in ignored}
    found = _matching(store, entity, query, _searched(entity, query, _filtered(store, entity, query)))
    visible = [record for record in _by_state(entity, query, found) if sees(grant, entity.name, record)]
    paged = is_true(query, "pageinate") or not entity.manner.pages_by_name
    page, envelope = (_page if paged else _head)(entity, query, faults, _ordered(entity, query, visible))
    return envelope, [_row(entity, query, entity.show(store, record)) for record in page]


def is_true(query: Query, name: str) -> bool:
    """Whether the query says ``true`` under this name."""
    return _true(query.get(name, ""))


def _filtered(store: Store, entity: Entity, query: Query) -> list[Record]:
    table = store[entity.name]
    wanted = [(field, _numbers(name, query[name])) for name, field in entity.filters.items() if name in query]
    indexed = next(((field, values) for field, values in wanted if table.is_indexed(field)), None)
    if indexed:
        field, values = indexed
        found = [record for value in values for record in table.where(field, value)]
    else:
        found = list(table.rows.values())
    for field, values in wanted:
        found = [record for record in found if record.get(field) in values]
    return found


def _matching(store: Store, entity: Entity, query: Query, found: list[Record]) -> list[Record]:
    for name, holds in entity.matches.items():
        if name in query:
            found = [record for record in found if holds(store, record, query[name])]
    if entity.stamp and query.keys() & {"lastupdatefromdate", "lastupdatetodate"}:
        start, end = _date(query, "lastupdatefromdate", ""), _date(query, "lastupdatetodate", _LAST_DATE)
        found = [record for record in found if start <= record.get(entity.stamp, "") <= end]
    return found


def _by_state(entity: Entity, query: Query, found: list[Record]) -> list[Record]:
    for name, holds in entity.flags.items():
        if is_true(query, name):
            found = [record for record in found if holds(record)]
    if not entity.manner.hides_inactive:
        return found
    default = f"{query.get('includeactive', 'true')},{query.get('includeinactive', 'false')}"
    active, _, inactive = query.get("activeinactive", default).partition(",")
    shown = {True: _true(active), False: _true(inactive)}
    return [record for record in found if shown[not record.get("inactive", False) and record.get("active", True)]]


def _searched(entity: Entity, query: Query, found: list[Record]) -> list[Record]:
    if text := query.get("search", "").lower():
        found = _unique(record for name in entity.searched for record in found if text in record.get(name, "").lower())
    for condition in _conditions(entity, query.get("advanced_search", "")):
        name, text = condition["filter_name"], str(condition["filter_value"]).lower()
        matches = str.__eq__ if condition["filter_type"] == _EQUALS else str.__contains__
        found = [record for record in found if matches(record.get(name, "").lower(), text)]
    return found


def _unique(found: Iterable[Record]) -> list[Record]:
    return list({record["id"]: record for record in found}.values())


def _conditions(entity: Entity, text: str) -> list[dict[str, Any]]:
    try:
        conditions: list[dict[str, Any]] = json.loads(text or "[]")
        known = {(condition["filter_name"], condition["filter_type"]) for condition in conditions}
    except (ValueError, TypeError, KeyError):
        raise Refused(_INVALID_ADVANCED_SEARCH) from None
    allowed = {(field, kind) for field in entity.advanced for kind in (_EQUALS, _CONTAINS)}
    require(known <= allowed, _INVALID_ADVANCED_SEARCH)
    return conditions


def _ordered(entity: Entity, query: Query, found: list[Record]) -> list[Record]:
    wanted = [
        (query[f"order{nth}"].lower(), _true(query.get(f"orderdesc{nth}", "")))
        for nth in _ORDERS
        if query.get(f"order{nth}")
    ]
    rows = list(found)
    for field, downwards in reversed(wanted or [(entity.order.removeprefix("-"), entity.order.startswith("-"))]):
        rows.sort(key=partial(_sort_key, field), reverse=downwards)
    return rows


def _sort_key(field: str, record: Record) -> tuple[bool, Any]:
    value = record.get(field)
    return (value is None, str(value).lower() if isinstance(value, str | list | dict) else value)


def _head(entity: Entity, query: Query, faults: Faults, rows: list[Record]) -> tuple[list[Record], Record]:
    """The first rows and the envelope around them: without ``pageinate=true`` page number and size mean nothing."""
    size = min(max(_number(query, "count", ROWS_BY_DEFAULT), 0), _cap(entity, faults))
    return rows[:size], _count(faults, rows, rows[:size])


def _page(entity: Entity, query: Query, faults: Faults, rows: list[Record]) -> tuple[list[Record], Record]:
    """The rows of one page and the envelope around them."""
    number = max(_number(query, "page_no", 1), 1)
    size = min(max(_number(query, "page_size", ROWS_BY_DEFAULT), 1), _cap(entity, faults))
    first = (number - 1) * (max(size - 1, 1) if faults.shift_rows else size)
    page = rows[first : first + size]
    return page, {"page_no": number, "page_size": size} | _count(faults, rows, page)


def _cap(entity: Entity, faults: Faults) -> int:
    return min(faults.page_cap, entity.page_cap or faults.page_cap)


def _count(faults: Faults, rows: list[Record], page: list[Record]) -> Record:
    counts = {"right": len(rows), "high": len(rows) + _TOO_MANY, "low": len(page)}
    return {} if faults.record_count == "missing" else {"record_count": counts[faults.record_count]}


def _row(entity: Entity, query: Query, shown: Record) -> Record:
    """What a list keeps of a shown record; custom fields come only by the ids in ``include_custom_fields``."""
    row = entity.row(shown)
    for name, field in entity.on_request.items():
        if not is_true(query, name):
            row.pop(field, None)
    if "customfields" in row:
        ids = _numbers("include_custom_fields", query.get("include_custom_fields", "0"))
        row["customfields"] = [custom for custom in row["customfields"] if custom["id"] in ids]
    return row


def _number(query: Query, name: str, default: int) -> int:
    return _numbers(name, query[name]).pop() if query.get(name) else default


def _numbers(name: str, text: str) -> set[int]:
    try:
        return {int(part) for part in text.split(",")}
    except ValueError:
        raise Refused({name: [f"The value '{text}' is not valid."]}) from None


def _date(query: Query, name: str, default: str) -> str:
    return str(read_date(query[name], name)) if name in query else default


def _true(text: str) -> bool:
    return text.lower() == "true"
