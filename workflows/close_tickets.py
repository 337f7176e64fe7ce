"""Closing the tickets of a client that leaves, each with its reason: in arrays where HaloPSA takes them, else singly.

An answer to an array proves little: HaloPSA may have written some of it, or only the last record. So a look at one
action shows whether an array of reasons was taken, and the list of what is still open shows what was closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from worker.errors import NeedsOperator
from worker.run import Run
from workflows.closing_rules import ClosingRules
from workflows.ensure import Ensured, Skippable
from workflows.halopsa import Halo, HaloNotFound, HaloRefused
from workflows.halopsa.dialects import UNASSIGNED_AGENT_ID
from workflows.halopsa.models import Ticket
from workflows.open_tickets import BATCH, CHUNK, OpenTicket, in_chunks, open_tickets

MAX_ROUNDS: Final = 50
"""Rounds of reading and closing at most: tickets that come faster than they are closed must not keep a run for ever."""
MAX_NAMED: Final = 50
"""Refused tickets that an error's text names; each one's step has its refusal."""
STAYS_OPEN: Final = "HaloPSA took the change, but the ticket is open"


@dataclass(frozen=True, slots=True)
class Closing:
    """Why and how tickets are closed.

    Attributes:
        client_id: whose tickets they are.
        reason: for the action on each ticket.
        mark: tells this run's actions from all others.
        rules: what closing takes in this tenant.
    """

    client_id: int
    reason: str
    mark: str
    rules: ClosingRules


class Tried(BaseModel):
    """What became of one ticket; `refusal` is empty, or HaloPSA's words."""

    id: int
    refusal: str = ""


class Noted(BaseModel):
    """Tickets that bear the reason; `whole` where HaloPSA was seen to write an array as it was sent."""

    ids: list[int]
    whole: bool = False


class StillOpen(BaseModel):
    """Open tickets of the client, by whether they were tried one by one before."""

    fresh: list[OpenTicket]
    tried: list[OpenTicket]


@dataclass(frozen=True, slots=True)
class Closed:
    """What became of the tickets.

    Attributes:
        ids: those that are closed.
        skipped: those that an operator left out.
        refused: those that HaloPSA does not let be closed, with its words.
    """

    ids: list[int]
    skipped: list[int]
    refused: dict[OpenTicket, str]

    @property
    def left_out(self) -> set[int]:
        """Those that stay open."""
        return {*self.skipped, *(ticket.id for ticket in self.refused)}


@dataclass(slots=True)
class Work:
    """What is known while tickets are closed; each claim learns it again from the steps' results.

    Attributes:
        arrays: whether HaloPSA is expected to take arrays.
        proven: whether it has taken one whole.
        noted: tickets that bear the reason.
        closed: tickets that are taken for closed.
        tried: tickets that were tried one by one; None for one that an operator left out.
    """

    run: Run
    halo: Halo
    closing: Closing
    arrays: bool = True
    proven: bool = False
    noted: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    tried: dict[int, Tried | None] = field(default_factory=dict)

    async def close(self, chunk: Sequence[OpenTicket]) -> None:
        """Close tickets that do not depend on one another."""
        if self.arrays and len(chunk) > 1:
            await self._at_once(chunk)
        singly = [ticket for ticket in chunk if ticket.id not in self.closed]
        for ticket in singly:
            noted = ticket.id in self.noted
            self.tried[ticket.id] = await self.run.step(
                f"ticket:{ticket.id}", close_ticket, self.halo, ticket, self.closing, noted=noted
            )
        # An array that fell short without a ticket to blame: HaloPSA takes none here.
        self.arrays &= not singly or any(self.refusal(ticket.id) for ticket in singly)

    async def _at_once(self, chunk: Sequence[OpenTicket]) -> None:
        name = f"{chunk[0].id}-{chunk[-1].id}"
        noted = await self.run.step(f"reasons:{name}", note_reasons, self.halo, chunk, self.closing, proven=self.proven)
        self.noted.update(noted.ids if noted else [])
        self.proven |= noted is not None and noted.whole
        if ready := [ticket for ticket in chunk if ticket.id in self.noted]:
            closed = await self.run.step(f"tickets:{name}", close_noted, self.halo, ready, self.closing)
            self.closed.update(closed or [])

    def found_open(self, tickets: Sequence[OpenTicket]) -> None:
        """Take note of tickets that are open although they should not be: an array was not written after all."""
        found = {ticket.id for ticket in tickets}
        self.arrays &= not found & self.closed
        self.closed -= found

    def refusal(self, ticket_id: int) -> str:
        """What HaloPSA said against closing a ticket."""
        tried = self.tried.get(ticket_id)
        return tried.refusal if tried else ""

    def outcome(self, still_open: Sequence[OpenTicket]) -> Closed:
        """Say what became of all tickets.

        Args:
            still_open: those tried ones that are still open.
        """
        skipped = [ticket_id for ticket_id, tried in self.tried.items() if tried is None]
        refused = {one: self.refusal(one.id) or STAYS_OPEN for one in still_open if one.id not in skipped}
        left = {*skipped, *(ticket.id for ticket in refused)}
        return Closed(sorted(self.closed | self.tried.keys() - left), skipped, refused)


async def close_tickets(run: Run, halo: Halo, tickets: Sequence[OpenTicket], closing: Closing) -> Closed:
    """Close tickets, and what else of the client is found open afterwards; a refused one holds up nothing else.

    Args:
        run: whose work it is.
        halo: HaloPSA.
        tickets: those known to be open, children first.
        closing: why and how.
    """
    work, looked = Work(run, halo, closing), StillOpen(fresh=list(tickets), tried=[])
    for number in range(1, MAX_ROUNDS + 1):
        for chunk in in_chunks(looked.fresh):
            await work.close(chunk)
            if len(looked.fresh) > CHUNK:
                done = f"{len(work.closed | work.tried.keys())} tickets are dealt with"
                await run.remark(f"progress:{chunk[0].id}-{chunk[-1].id}:{number}", done)
        looked = await run.step(f"open-tickets:{number}", look_again, halo, closing, list(work.tried))
        work.found_open(looked.fresh)
        if not looked.fresh:
            break
    return work.outcome(looked.tried)


async def close_the_refused(run: Run, halo: Halo, tickets: Closed, closing: Closing) -> Closed:
    """Try once more, when everything else is done, the tickets that HaloPSA did not let be closed.

    Returns:
        What became of the tickets by then; those that an operator left out are still refused.

    Raises:
        NeedsOperator: names those that stay open, with HaloPSA's words.
    """
    if not tickets.refused:
        return tickets
    refused = [ticket.id for ticket in tickets.refused]
    if await run.step("refused-tickets", close_refused, halo, list(tickets.refused), closing) is None:
        return tickets
    return Closed(sorted(tickets.ids + refused), tickets.skipped, {})


async def look_again(halo: Halo, closing: Closing, tried: Sequence[int]) -> StillOpen:
    """Read which tickets of the client are open by now.

    Args:
        halo: HaloPSA.
        closing: whose tickets.
        tried: ids of those that were tried one by one.
    """
    found = await open_tickets(halo, closing.client_id, closing.rules)
    fresh = [one for one in found if one.id not in tried and one.type_id not in closing.rules.keep_type_ids]
    return StillOpen(fresh=fresh[:BATCH], tried=[ticket for ticket in found if ticket.id in tried])


async def note_reasons(halo: Halo, tickets: Sequence[OpenTicket], closing: Closing, *, proven: bool) -> Noted | None:
    """Put the reason on tickets, in one request.

    Args:
        halo: HaloPSA.
        tickets: where it belongs.
        closing: the reason.
        proven: HaloPSA is known to take arrays whole.

    Returns:
        The tickets that bear the reason; None in place of a result sends all of them one by one.
    """
    known = await _noted_by_array(halo, tickets, closing, refused=False) if halo.in_doubt else []
    missing = [ticket for ticket in tickets if ticket.id not in known]
    if not missing:
        return Noted(ids=known)
    try:
        shown = {row.ticket_id for row in await halo.actions.create_many([_action(one, closing) for one in missing])}
    except HaloRefused:
        return Noted(ids=known + await _noted_by_array(halo, missing, closing, refused=True))
    unseen = [ticket for ticket in missing if ticket.id not in shown]
    # One that is not the last speaks for all: HaloPSA may answer with the last record alone, or write it alone.
    if unseen and not proven and not await _noted(halo, [unseen[len(unseen) // 2]], closing):
        return Noted(ids=known + [ticket.id for ticket in missing if ticket.id in shown])
    return Noted(ids=[ticket.id for ticket in tickets], whole=len(missing) > 1)


async def close_noted(halo: Halo, tickets: Sequence[OpenTicket], closing: Closing) -> list[int] | None:
    """Close tickets that bear the reason, in one request.

    Returns:
        The ids of those that HaloPSA does not show as open; None in place of a result sends them one by one.
    """
    missing = await _still_open(halo, tickets, closing) if halo.in_doubt else list(tickets)
    try:
        changes = {ticket.id: await _closing_change(halo, ticket, closing) for ticket in missing}
        shown = await halo.tickets.update_many(changes) if changes else {}
    except HaloRefused:
        left = await _still_open(halo, missing, closing)
    else:
        left = [one for one in missing if one.id in shown and _shown_open(shown[one.id], closing)]
    return [ticket.id for ticket in tickets if ticket not in left]


async def close_ticket(halo: Halo, ticket: OpenTicket, closing: Closing, *, noted: bool) -> Tried | None:
    """Close a ticket with the reason in an internal action; nobody at the client is written to.

    Args:
        halo: HaloPSA.
        ticket: as it was a moment ago.
        closing: why and how.
        noted: whether it bears the reason already.

    Returns:
        What became of it: a refusal is a result, so that it is not run into again whenever the run goes on.
    """
    if halo.in_doubt:
        if await _needs_no_closing(halo, ticket, closing):
            return Tried(id=ticket.id)
        noted = noted or bool(await _noted(halo, [ticket], closing))
    change = await _closing_change(halo, ticket, closing)
    try:
        if not noted:
            await halo.actions.create(**_action(ticket, closing))
        await halo.tickets.update(ticket.id, **change)
    except HaloRefused as refusal:
        return Tried(id=ticket.id, refusal=refusal.what)
    return Tried(id=ticket.id)


async def close_refused(halo: Halo, refused: Sequence[OpenTicket], closing: Closing) -> Skippable:
    """Try tickets that HaloPSA did not let be closed once more: everything else is done by now, or somebody mended it.

    Raises:
        NeedsOperator: names those that stay open, with HaloPSA's words.
    """
    left: dict[int, str] = {}
    for ticket in await _still_open(halo, refused, closing):
        noted = bool(await _noted(halo, [ticket], closing))
        tried = await close_ticket(halo, ticket, closing, noted=noted)
        if tried and tried.refusal:
            left[ticket.id] = tried.refusal
    if left:
        named = [f"Ticket {ticket_id}: {refusal}" for ticket_id, refusal in left.items()]
        more = f" And {len(named) - MAX_NAMED} more." if len(named) > MAX_NAMED else ""
        raise NeedsOperator(
            f"HaloPSA lets {len(left)} of the tickets not be closed. What comes last waits for them: the reading back, "
            f"the report, and with inactive-last the client itself. {' '.join(named[:MAX_NAMED])}{more}",
            mend="mend in HaloPSA what it says, or close them there; then retry the run.",
        )
    return Ensured(id=closing.client_id)


def _shown_open(ticket: Ticket, closing: Closing) -> bool:
    return bool(ticket.status_id) and closing.rules.is_open(ticket)


def _action(ticket: OpenTicket, closing: Closing) -> dict[str, Any]:
    return {
        "ticket_id": ticket.id,
        "note": f"{closing.reason}\n{closing.mark}",
        "outcome_id": closing.rules.outcome_id,
        "hidden": True,
        "send_email": False,
        "skip_rules": True,
    }


async def _closing_change(halo: Halo, ticket: OpenTicket, closing: Closing) -> dict[str, Any]:
    """Say what closes a ticket.

    HaloPSA closes none that nobody is assigned to, and finds none whose type and client are not sent along.
    """
    unassigned = ticket.agent_id in (0, UNASSIGNED_AGENT_ID)
    return {
        **closing.rules.closing(ticket.type_id),
        "type_id": ticket.type_id,
        "client_id": closing.client_id,
        "agent_id": await _closer(halo, closing.rules) if unassigned else None,
        "skip_rules": True,
    }


async def _closer(halo: Halo, rules: ClosingRules) -> int | None:
    """Say who closes what nobody is assigned to; None leaves it to HaloPSA, which then says what it misses."""
    if known := halo.closer_agent_id or rules.closer_agent_id:
        return known
    try:
        agents = await halo.signed_in.find()
    except HaloRefused:
        return None
    return agents[0].id if agents else None


async def _noted(halo: Halo, tickets: Sequence[OpenTicket], closing: Closing) -> list[int]:
    """Look which of the tickets bear the reason: one request each."""
    return [
        ticket.id
        for ticket in tickets
        if any(closing.mark in action.note for action in await halo.actions.find(ticket_id=ticket.id))
    ]


async def _noted_by_array(halo: Halo, tickets: Sequence[OpenTicket], closing: Closing, *, refused: bool) -> list[int]:
    """Look what an array of reasons has left: three of its tickets speak for all where they agree.

    Args:
        halo: HaloPSA.
        tickets: the array's.
        closing: the reason.
        refused: HaloPSA refused the array, so that one ticket at least does not bear the reason.
    """
    sample = list(dict.fromkeys([tickets[0], tickets[len(tickets) // 2], tickets[-1]]))
    seen = await _noted(halo, sample, closing)
    if not seen:
        return []
    if len(seen) == len(sample) and not refused:
        return [ticket.id for ticket in tickets]
    return await _noted(halo, tickets, closing)


async def _still_open(halo: Halo, tickets: Sequence[OpenTicket], closing: Closing) -> list[OpenTicket]:
    """Look which of the tickets are open, by the list of all that the client has open."""
    found = {ticket.id for ticket in await open_tickets(halo, closing.client_id, closing.rules)}
    return [ticket for ticket in tickets if ticket.id in found]


async def _needs_no_closing(halo: Halo, ticket: OpenTicket, closing: Closing) -> bool:
    """Whether somebody has closed, deleted or given the ticket to another client in the meantime."""
    try:
        now = await halo.tickets.get(ticket.id)
    except HaloNotFound:
        return True
    return now.closed or now.client_id != closing.client_id
