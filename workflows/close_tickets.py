"""Closing the tickets of a client that leaves, each with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from worker.errors import NeedsOperator
from worker.run import Run
from workflows.ensure import Ensured, Skippable, named
from workflows.halopsa import Halo, HaloNotFound, HaloRefused
from workflows.halopsa.dialects import UNASSIGNED_AGENT_ID
from workflows.policy import Policy


class OpenTicket(BaseModel):
    """What closing a ticket needs to know of it."""

    id: int
    type_id: int
    agent_id: int
    parent_id: int


@dataclass(frozen=True, slots=True)
class Closing:
    """Why and how tickets are closed.

    Attributes:
        client_id: whose tickets they are.
        reason: for the action on each ticket.
        mark: tells this run's actions from all others.
        policy: the status that closes and the outcome of the action.
    """

    client_id: int
    reason: str
    mark: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of several changes: those that HaloPSA refused, in words, and those that an operator left out."""

    refused: list[str]
    skipped: list[str]


async def close_tickets(run: Run, halo: Halo, tickets: Sequence[OpenTicket], closing: Closing) -> Outcome:
    """Close the tickets one after another; a refused one holds up nothing else."""
    outcome = Outcome([], [])
    for ticket in children_first(tickets):
        try:
            if await run.step(f"ticket:{ticket.id}", close_ticket, halo, ticket, closing) is None:
                outcome.skipped.append(f"ticket {ticket.id}")
        except HaloRefused as refusal:
            outcome.refused.append(f"Ticket {ticket.id}: {refusal.what}")
    return outcome


async def close_ticket(halo: Halo, ticket: OpenTicket, closing: Closing) -> Skippable:
    """Close a ticket with the reason in an internal action; nobody at the client is written to.

    HaloPSA closes no ticket that nobody is assigned to, and finds none whose type and client are not sent along.

    Args:
        halo: HaloPSA.
        ticket: as it was a moment ago.
        closing: why and how.

    Raises:
        HaloRefused: HaloPSA does not let this ticket be closed.
        NeedsOperator: there is no such status.
    """
    noted = False
    if halo.in_doubt:
        if await _needs_no_closing(halo, ticket, closing):
            return Ensured(id=ticket.id)
        noted = any(closing.mark in action.note for action in await halo.actions.find(ticket_id=ticket.id))
    status_id = await _closed_status_id(halo, closing.policy.churn_client.closed_status)
    agent_id = await _closer(halo) if ticket.agent_id in (0, UNASSIGNED_AGENT_ID) else None
    try:
        if not noted:
            await halo.actions.create(
                ticket_id=ticket.id,
                note=f"{closing.reason}\n{closing.mark}",
                outcome_id=closing.policy.churn_client.note_outcome_id,
                hidden=True,
                send_email=False,
                skip_rules=True,
            )
        await halo.tickets.update(
            ticket.id,
            status_id=status_id,
            type_id=ticket.type_id,
            client_id=closing.client_id,
            agent_id=agent_id,
            skip_rules=True,
        )
    except HaloRefused:
        if not await _needs_no_closing(halo, ticket, closing):
            raise
    return Ensured(id=ticket.id)


def children_first(tickets: Sequence[OpenTicket]) -> list[OpenTicket]:
    """Order tickets so that children come before their parents: HaloPSA closes no parent of an open child."""
    parents = {ticket.id: ticket.parent_id for ticket in tickets}

    def depth(ticket_id: int) -> int:
        seen: set[int] = set()
        while ticket_id in parents and ticket_id not in seen:
            seen.add(ticket_id)
            ticket_id = parents[ticket_id]
        return len(seen)

    return sorted(tickets, key=lambda ticket: (-depth(ticket.id), ticket.id))


async def _closer(halo: Halo) -> int | None:
    """Say who closes what nobody is assigned to; None leaves it to HaloPSA, which then says what it misses."""
    if halo.closer_agent_id is not None:
        return halo.closer_agent_id
    try:
        agents = await halo.signed_in.find()
    except HaloRefused:
        return None
    return agents[0].id if agents else None


async def _needs_no_closing(halo: Halo, ticket: OpenTicket, closing: Closing) -> bool:
    """Whether somebody has closed, deleted or given the ticket to another client in the meantime."""
    try:
        now = await halo.tickets.get(ticket.id)
    except HaloNotFound:
        return True
    return now.closed or now.client_id != closing.client_id


async def _closed_status_id(halo: Halo, wanted: int | str) -> int:
    if isinstance(wanted, int):
        return wanted
    status = named(await halo.statuses.find(), wanted)
    if status is None:
        raise NeedsOperator(
            f"HaloPSA has no ticket status {wanted!r}.",
            mend="name the status that closes tickets in the policy, then retry the run.",
        )
    return status.id
