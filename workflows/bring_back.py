"""Bringing back what a client's end changed, but for what a person has changed since."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from operator import attrgetter
from typing import Any, Final

from pydantic import BaseModel, Field

from worker.errors import NeedsOperator
from workflows.ensure import Ensured, Skippable
from workflows.ensure.contact import with_access
from workflows.ensure.contract import with_rolling
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.halopsa.collection import Collection
from workflows.halopsa.models import Contact, Contract, Record
from workflows.restore import MARK, Change, Value, kept_changes
from workflows.update_each import update_each

BROUGHT_BACK: Final = "Brought back after its end"
"""How the report of a reactivation begins."""
NEVER: Final = date(1899, 12, 30)
"""HaloPSA's date for "never"."""
COLLECTIONS: Final[Mapping[str, Callable[[Halo], Collection[Any]]]] = {
    "contract": attrgetter("contracts"),
    "recurring invoice": attrgetter("recurring_invoices"),
    "asset": attrgetter("assets"),
    "contact": attrgetter("contacts"),
}
"""What is brought back beside the client itself."""


class LeftBehind(BaseModel):
    """What a client's end left behind.

    Attributes:
        inactive: whether the client is.
        back: what is to be brought back: field → the value now and the value that it had.
        stays: what a person has changed since: field → the value that the client's end wrote and the value now.
        gone: what HaloPSA does not show any more.
        remarks: what nobody knows.
    """

    inactive: bool
    back: list[Change] = Field(default_factory=list)
    stays: list[Change] = Field(default_factory=list)
    gone: list[Change] = Field(default_factory=list)
    remarks: list[str] = Field(default_factory=list)


async def find_left_behind(halo: Halo, client_id: int) -> LeftBehind:
    """Compare what the client's end wrote with what HaloPSA has now.

    Raises:
        NeedsOperator: a note cannot be read any more.
    """
    left = LeftBehind(inactive=(await halo.clients.get(client_id)).inactive)
    if await was_brought_back(halo, client_id):
        return left.model_copy(update={"remarks": ["an earlier run has brought it back already"]})
    kept = await kept_changes(halo, client_id)
    if not kept:
        return left.model_copy(update={"remarks": ["nothing says what its end changed: look at what belongs to it"]})
    for what in COLLECTIONS:
        of_kind = {change.ids[0]: change for change in kept if change.what == what}
        rows = await _rows(halo, what, client_id, of_kind) if of_kind else {}
        left.remarks.extend(unread for number, row in rows.items() for unread in _unread(of_kind[number], row))
        left.gone.extend(_alike(change for number, change in of_kind.items() if number not in rows))
        compared = [(change, _stays(change, rows[number])) for number, change in of_kind.items() if number in rows]
        left.stays.extend(_alike(stays for _, stays in compared if stays.fields))
        left.back.extend(_alike(_back(one, rows[one.ids[0]]) for one, stays in compared if not stays.fields))
    left.remarks.extend(
        f"{change.what} {change.ids[0]}: nothing says what {name} was before"
        for change in kept
        for name, (before, _) in change.fields.items()
        if _is_unknown(name, before)
    )
    return left


async def bring_back(halo: Halo, changes: list[Change]) -> Skippable:
    """Give records of one kind the values that they had.

    Raises:
        NeedsOperator: HaloPSA refuses some of them.
    """
    values = {
        record_id: {name: NEVER if name == "end" and then is None else then for name, (_, then) in one.fields.items()}
        for one in changes
        for record_id in one.ids
    }
    refused = await update_each(COLLECTIONS[changes[0].what](halo), values)
    if refused:
        raise NeedsOperator(" ".join(f"{changes[0].what} {record_id}: {why}" for record_id, why in refused.items()))
    return Ensured(id=0)


async def still_missing(halo: Halo, client_id: int, brought_back: list[Change]) -> list[str]:
    """Read back what was brought back, and name the records that do not have their former values."""
    missing = []
    for what in COLLECTIONS:
        of_kind = [(number, change) for change in brought_back if change.what == what for number in change.ids]
        rows = await _rows(halo, what, client_id, [number for number, _ in of_kind]) if of_kind else {}
        missing += [f"{what} {number}" for number, change in of_kind if _lacks(rows.get(number), change)]
    return missing


async def activate(halo: Halo, client_id: int) -> Ensured:
    """Set the client active."""
    await halo.clients.update(client_id, inactive=False)
    return Ensured(id=client_id)


async def was_brought_back(halo: Halo, client_id: int) -> bool:
    """Whether the notes on a client tell that it was brought back after its last end."""
    notes = await halo.notes.find(client_id=client_id)
    ends = [note.id for note in notes if MARK.search(note.text)]
    returns = [note.id for note in notes if BROUGHT_BACK in html.unescape(note.text)]
    return bool(returns) and max(returns) > max(ends, default=0)


async def _rows(halo: Halo, what: str, client_id: int, wanted: Iterable[int]) -> dict[int, Record]:
    """Read those of the records that are the client's, and those that belong to another by now."""
    collection = COLLECTIONS[what](halo)
    listed: dict[int, Record] = {row.id: row for row in await collection.find(client_id=client_id)}
    rows: dict[int, Record] = {}
    for record_id in wanted:
        try:
            row = listed.get(record_id) or await collection.get(record_id)
        except (HaloForbidden, HaloNotFound):
            continue
        rows[record_id] = await _whole(halo, row)
    return rows


async def _whole(halo: Halo, row: Record) -> Record:
    """Read what HaloPSA's lists do not show."""
    match row:
        case Contract():
            return await with_rolling(halo, row)
        case Contact():
            return await with_access(halo, row)
        case _:
            return row


def _stays(change: Change, row: Record) -> Change:
    """Pick the fields that have neither the value before the client's end nor the one after it."""
    now = {name: getattr(row, name) for name in change.fields}
    stays = {
        name: (after, now[name])
        for name, (before, after) in change.fields.items()
        if now[name] not in (before, after) and not _is_unknown(name, now[name])
    }
    return change.model_copy(update={"fields": stays})


def _unread(change: Change, row: Record) -> list[str]:
    """Say what HaloPSA does not show, so that nobody sees whether a person has changed it and whether it comes back."""
    return [
        f"{change.what} {row.id}: {name} could not be read; it is to be {before}: look yourself"
        for name, (before, _) in change.fields.items()
        if _is_unknown(name, getattr(row, name)) and not _is_unknown(name, before)
    ]


def _back(change: Change, row: Record) -> Change:
    """Pick the fields that are still as the client's end left them."""
    now = {name: getattr(row, name) for name in change.fields}
    back = {
        name: (now[name], before)
        for name, (before, _) in change.fields.items()
        if now[name] != before and not _is_unknown(name, before)
    }
    return change.model_copy(update={"fields": back})


def _lacks(row: Record | None, change: Change) -> bool:
    now = {name: getattr(row, name, None) for name in change.fields}
    return any(now[name] != then and not _is_unknown(name, now[name]) for name, (_, then) in change.fields.items())


def _is_unknown(name: str, value: Value) -> bool:
    """Whether nobody knows what a field holds; no end is an end that is known."""
    return value is None and name != "end"


def _alike(changes: Iterable[Change]) -> Sequence[Change]:
    """Put records together that are changed alike; those that are not changed are left out."""
    ids: dict[str, list[int]] = {}
    first: dict[str, Change] = {}
    for change in changes:
        if change.fields:
            alike = change.model_dump_json(exclude={"ids"})
            first.setdefault(alike, change)
            ids.setdefault(alike, []).extend(change.ids)
    return [first[alike].model_copy(update={"ids": ids[alike]}) for alike in first]
