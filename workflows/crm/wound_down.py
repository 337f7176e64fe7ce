"""Whether a client that is said to have left is wound down already, or is being wound down by a run."""

import html
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from worker.errors import Ignored
from workflows.end_contracts import may_roll, runs_past
from workflows.ensure.contract import with_rolling
from workflows.halopsa import Halo
from workflows.halopsa.models import Note, Ticket

OWN_MARK: Final = "Parhelion run "
LEAVING: Final = re.compile(r"Parhelion run \S+: (leaving(?! withdrawn)|changes \d+ of \d+)|\(churn_client\)")
"""What a churn writes on a client: its notice, what it is about to change, and its report."""
BESIDE: Final = ("(update_client)", "(onboard_contact)", "(depart_contact)", "(deal_reopened)")
"""What reports say of themselves that leave open whether a client leaves."""
DAY: Final = timedelta(days=1)
"""So long what is told of a client may come from its churn: messages are late, and days end later in other zones."""


async def refuse_wound_down(halo: Halo, client_id: int, now: datetime, *, agent_known: bool) -> None:
    """Ignore a client that has been wound down, and one that a run is winding down.

    Args:
        halo: HaloPSA.
        client_id: who is said to have left.
        now: the present time.
        agent_known: whether HaloPSA tells who changed the client; then it was not us.

    Raises:
        Ignored: as above.
    """
    said = _last_word(await halo.notes.find(client_id=client_id))
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


def _last_word(notes: Sequence[Note]) -> Note | None:
    """Give the note of a churn that is the last of what runs have noted on a client about its leaving."""
    own = [note for note in sorted(notes, key=lambda note: note.id) if OWN_MARK in note.text]
    told = [note for note in own if not any(run in html.unescape(note.text) for run in BESIDE)]
    return told[-1] if told and LEAVING.search(html.unescape(told[-1].text)) else None


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
