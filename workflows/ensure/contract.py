"""Contracts: found by the deal's id, else made, or the running one extended."""

import calendar
from datetime import date, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from workflows import canonical
from workflows.ensure.ensured import ClientRef, Ensured, Skippable, eldest, must_look
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.halopsa.models import Contract

FAR_AHEAD: Final = 2090
"""Contracts that roll may bear an end in such a year instead of none."""


class Predecessor(BaseModel):
    """The contract that a deal goes on from.

    Attributes:
        id: HaloPSA's.
        ref: the deal that it came from.
        end: its last day; None where it has none, or one that never comes.
        note: its note.
        running: whether it is in force.
        rolling: whether it goes on after its last day; None: nobody knows.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    ref: str
    end: date | None
    note: str
    running: bool
    rolling: bool | None = False


async def ensure_contract(
    halo: Halo,
    client: ClientRef,
    site_id: int,
    deal: canonical.Deal,
    won_on: date,
    *,
    previous: Predecessor | None = None,
    **more: Any,
) -> Skippable:
    """Find the deal's contract by its reference, or make it; never two for one deal.

    Args:
        halo: HaloPSA.
        client: whose contract it is.
        site_id: the client's main site.
        deal: its id is the contract's reference; without an end or a term the contract rolls.
        won_on: the earliest start, if the deal names none; the day after the end of the previous one may be later.
        previous: the contract that it goes on from.
        **more: further fields by our names.
    """
    if must_look(halo, client):
        known = [row for row in await halo.contracts.find(client_id=client.id) if row.ref.strip() == deal.id]
        if known:
            return Ensured(id=eldest(known).id, created=halo.in_doubt, in_doubt=halo.in_doubt)
    terms = deal.contract
    start = terms.starts_on or _goes_on_from(previous, won_on)
    end = terms.ends_on or (term_end(start, terms.term_months) if terms.term_months else None)
    made = await halo.contracts.create(
        ref=deal.id,
        client_id=client.id,
        site_id=site_id,
        start=start,
        end=end,
        rolling=terms.auto_renew or end is None,
        term_months=terms.term_months,
        previous_id=previous.id if previous else None,
        **more,
    )
    shown = (made.ref, made.client_id) == (deal.id, client.id)
    return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt, shown=shown)


async def extend_contract(halo: Halo, previous: Predecessor, deal: canonical.Deal, won_on: date) -> Skippable:
    """Let a contract go on to the deal's end, once; without an end or a term it rolls."""
    mark = _extended_by(deal.id)
    if mark in previous.note.splitlines():
        return Ensured(id=previous.id)
    terms = deal.contract
    start = _goes_on_from(previous, won_on) if previous.end else terms.starts_on or won_on
    end = terms.ends_on or (term_end(start, terms.term_months) if terms.term_months else None)
    note = "\n".join(filter(None, [previous.note, mark]))
    await halo.contracts.update(previous.id, end=end, rolling=terms.auto_renew or end is None, note=note)
    return Ensured(id=previous.id, changes={"end": (previous.end, end or "rolls on")})


async def going_on(halo: Halo, client_id: int, deal_id: str) -> list[Predecessor]:
    """Find the contracts that a deal may go on from: the running ones, else the one that ended last.

    Where the deal's own contract stands already there are none; where it has extended one, that is the only one.
    """
    rows = await halo.contracts.find(client_id=client_id)
    if any(row.ref.strip() == deal_id for row in rows):
        return []
    extended = [row for row in rows if _extended_by(deal_id) in row.note.splitlines()]
    running = [row for row in rows if _runs(row)]
    last = sorted(rows, key=lambda row: (row.end or date.min, row.id))[-1:]
    return [_predecessor(await with_rolling(halo, row)) for row in extended or running or last]


async def with_rolling(halo: Halo, contract: Contract) -> Contract:
    """Read a contract by itself: HaloPSA's lists do not say whether it rolls on.

    Returns:
        The contract as it was given where the API agent may not read it, as reading one alone takes more rights.
    """
    if contract.rolling is not None:
        return contract
    try:
        return await halo.contracts.get(contract.id)
    except (HaloForbidden, HaloNotFound):
        return contract


def term_end(start: date, months: int) -> date:
    """Return the last day of a term that begins on `start`."""
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return date(year, month + 1, day) - timedelta(days=1)


def _goes_on_from(previous: Predecessor | None, won_on: date) -> date:
    """Return the day after a contract's end; what ended before, or rolls on since, is gone on from as of today."""
    return max(previous.end + timedelta(days=1), won_on) if previous and previous.end else won_on


def _extended_by(deal_id: str) -> str:
    return f"Extended by deal {deal_id}"


def _runs(row: Contract) -> bool:
    return row.active and not row.expired


def _predecessor(row: Contract) -> Predecessor:
    end = row.end if row.end and row.end.year < FAR_AHEAD else None
    rolling = True if end is None else row.rolling
    return Predecessor(id=row.id, ref=row.ref, end=end, note=row.note, running=_runs(row), rolling=rolling)
