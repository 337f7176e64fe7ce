"""Contracts: found by the deal's id, else made."""

import calendar
from datetime import date, timedelta

from workflows import canonical
from workflows.ensure.ensured import ClientRef, Ensured, Skippable, eldest, must_look
from workflows.halopsa import Halo


async def ensure_contract(halo: Halo, client: ClientRef, site_id: int, deal: canonical.Deal, won_on: date) -> Skippable:
    """Find the deal's contract by its reference, or make it; never two for one deal.

    Args:
        halo: HaloPSA.
        client: whose contract it is.
        site_id: the client's main site.
        deal: its id is the contract's reference; without an end or a term the contract rolls.
        won_on: when the contract starts if the deal does not say.
    """
    if must_look(halo, client):
        known = [row for row in await halo.contracts.find(client_id=client.id) if row.ref.strip() == deal.id]
        if known:
            return Ensured(id=eldest(known).id, in_doubt=halo.in_doubt)
    terms = deal.contract
    start = terms.starts_on or won_on
    end = terms.ends_on or (term_end(start, terms.term_months) if terms.term_months else None)
    made = await halo.contracts.create(
        ref=deal.id,
        client_id=client.id,
        site_id=site_id,
        start=start,
        end=end,
        rolling=terms.auto_renew or end is None,
        term_months=terms.term_months,
        note=deal.name or None,
    )
    shown = (made.ref, made.client_id) == (deal.id, client.id)
    return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt, shown=shown)


def term_end(start: date, months: int) -> date:
    """Return the last day of a term that begins on `start`."""
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return date(year, month + 1, day) - timedelta(days=1)
