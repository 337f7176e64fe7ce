"""Whether a client that is said to have left is wound down already, or is being wound down by a run."""

import html
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from worker.errors import Ignored
from workflows.end_contracts import may_roll, runs_past
from workflows.ensure.contract import with_rolling
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.halopsa.models import Note, Ticket

OWN_MARK: Final = "Parhelion run "
ENDED: Final = re.compile(r"Parhelion run \S{1,100}: changes \d+ of \d+|\(churn_client\)")
"""What a churn writes on a client that it does wind down: what it is about to change, and its report."""
NOTICE: Final = re.compile(r"Parhelion run \S{1,100}: leaving")
"""What a churn notes before it asks anybody: it proves nothing, since a person may still say no."""
BESIDE: Final = ("(update_client)", "(onboard_contact)", "(depart_contact)", "(deal_reopened)")
"""What reports say of themselves that leave open whether a client leaves."""
DAY: Final = timedelta(days=1)
"""So long what is told of a client may come from its churn: messages are late, and days end later in other zones."""


async def refuse_wound_down(halo: Halo, client_id: int, now: datetime, *, agent_known: bool) -> int | None:
    """Ignore a client that has been wound down, and one that a run is winding down.

    Args:
        halo: HaloPSA.
        client_id: who is said to have left.
        now: the present time.
        agent_known: whether HaloPSA tells who changed the client; then it was not us.

    Returns:
        The note of the client's last end, which tells this leaving from the one before; 0 where there was none, None
        where its notes cannot be read.

    Raises:
        Ignored: as above.
    """
    notes = await _own_notes(halo, client_id)
    said = _last_end(notes or [])
    ours = Ignored("a run of Parhelion is winding the client down, or has done so")
    if said and said.at and now - said.at <= DAY:
        raise ours
    # HaloPSA ignores query names that it does not know, and lists closed tickets then.
    tickets = [ticket for ticket in await halo.tickets.find(client_id=client_id) if not ticket.closed]
    runs_on = await _has_contract(halo, client_id, now)
    if not tickets and not runs_on:
        raise Ignored("the client has no open tickets and no running contracts: there is nothing to wind down")
    if said and not _is_back(said, tickets, runs_on=runs_on, agent_known=agent_known):
        raise ours
    return None if notes is None else max((note.id for note in notes if _is_end(note)), default=0)


async def _own_notes(halo: Halo, client_id: int) -> list[Note] | None:
    """Give what runs have noted on a client, in order; None where its notes cannot be read."""
    try:
        notes = await halo.notes.find(client_id=client_id)
    except (HaloForbidden, HaloNotFound):
        return None
    return [note for note in sorted(notes, key=lambda note: note.id) if OWN_MARK in note.text]


def _last_end(notes: Sequence[Note]) -> Note | None:
    """Give the note of a client's end, unless a run has noted a return or a won deal since."""
    told = [note for note in notes if not _is_beside(html.unescape(note.text))]
    return told[-1] if told and _is_end(told[-1]) else None


def _is_beside(text: str) -> bool:
    return NOTICE.search(text) is not None or any(run in text for run in BESIDE)


def _is_end(note: Note) -> bool:
    return ENDED.search(html.unescape(note.text)) is not None


async def _has_contract(halo: Halo, client_id: int, now: datetime) -> bool:
    """Whether a contract may go on beyond tomorrow; one that a churn has ended may end a day later in its zone."""
    tomorrow = (now + DAY).date()
    for contract in await halo.contracts.find(client_id=client_id):
        shown = await with_rolling(halo, contract) if may_roll(contract) else contract
        if runs_past(shown, tomorrow) or may_roll(shown):
            return True
    return False


def _is_back(said: Note, tickets: Sequence[Ticket], *, runs_on: bool, agent_known: bool) -> bool:
    """Whether a client plainly came back after what a churn noted on it."""
    since = said.at
    if since is None:
        return agent_known and runs_on
    return runs_on or any(ticket.opened_at and ticket.opened_at > since for ticket in tickets)
