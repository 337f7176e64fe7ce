"""The open tickets of a client, in the order in which HaloPSA lets them be closed."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from workflows.closing_rules import ClosingRules, closed_status_id
from workflows.halopsa import Halo
from workflows.halopsa.models import Ticket

__all__ = ["BATCH", "CHUNK", "OpenTicket", "children_first", "closed_status_id", "in_chunks", "open_tickets"]

CHUNK: Final = 50
"""Tickets in one request: HaloPSA must be able to close them all within the budget of a bulk call."""
BATCH: Final = 1000
"""Tickets in one step's result: what a step keeps is limited."""


class OpenTicket(NamedTuple):
    """What closing a ticket needs to know of it."""

    id: int
    type_id: int
    agent_id: int
    parent_id: int


async def open_tickets(halo: Halo, client_id: int, rules: ClosingRules) -> list[OpenTicket]:
    """Read the open tickets of a client, children before their parents."""
    found = await halo.tickets.find(client_id=client_id)
    return children_first([_shortened(ticket) for ticket in found if rules.is_open(ticket)])


def children_first(tickets: Sequence[OpenTicket]) -> list[OpenTicket]:
    """Order tickets so that children come before their parents: HaloPSA closes no parent of an open child.

    Tickets of one type stand together, since what HaloPSA demands for closing depends on the type.
    """
    depth = _depths(tickets)
    return sorted(tickets, key=lambda ticket: (-depth[ticket.id], ticket.type_id, ticket.id))


def in_chunks(tickets: Sequence[OpenTicket]) -> Iterator[list[OpenTicket]]:
    """Cut tickets that stand in order into chunks; a parent and its child are never in the same one."""
    depth = _depths(tickets)
    for _, level in groupby(tickets, key=lambda ticket: depth[ticket.id]):
        alike = list(level)
        yield from (alike[start : start + CHUNK] for start in range(0, len(alike), CHUNK))


def _depths(tickets: Sequence[OpenTicket]) -> dict[int, int]:
    """Count for each ticket how many of the others stand above it, itself included; circles do no harm."""
    parents = {ticket.id: ticket.parent_id for ticket in tickets}

    def depth(ticket_id: int) -> int:
        seen: set[int] = set()
        while ticket_id in parents and ticket_id not in seen:
            seen.add(ticket_id)
            ticket_id = parents[ticket_id]
        return len(seen)

    return {ticket_id: depth(ticket_id) for ticket_id in parents}


def _shortened(ticket: Ticket) -> OpenTicket:
    return OpenTicket(ticket.id, ticket.type_id, ticket.agent_id, ticket.parent_id)
