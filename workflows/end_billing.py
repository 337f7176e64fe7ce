"""What ends of a client's billing, and what is handed to finance."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from workflows.attempts import Attempts
from workflows.end_contracts import runs_past
from workflows.ensure import Ensured, Skippable
from workflows.halopsa import Halo
from workflows.halopsa.models import Contract, RecurringInvoice
from workflows.policy.parts import OwnTicket
from workflows.policy.template import filled
from workflows.resolve import chosen


async def end_invoices(
    attempts: Attempts, halo: Halo, invoices: Sequence[RecurringInvoice], last_day: date
) -> list[int]:
    """End recurring invoices.

    Returns:
        The ids of those that ended.
    """
    going_on = [invoice.id for invoice in invoices if not invoice.disabled]
    return [one for one in going_on if await attempts.step(f"invoice:{one}", end_invoice, halo, one, last_day)]


async def end_invoice(halo: Halo, invoice_id: int, last_day: date) -> Skippable:
    """Let a recurring invoice end on the last service day; a contract's end does not end it."""
    await halo.recurring_invoices.update(invoice_id, end=last_day, disabled=True)
    return Ensured(id=invoice_id)


async def open_own_ticket(halo: Halo, template: OwnTicket, data: Mapping[str, Any], text: str, mark: str) -> Skippable:
    """Open a ticket under the MSP's own client, once.

    Args:
        halo: HaloPSA.
        template: what it looks like.
        data: the event's, for the template's places.
        text: what follows the template's own text.
        mark: tells it from all others; stands behind its headline, where lists show it.

    Raises:
        NeedsOperator: HaloPSA does not have what the template names.
    """
    own = chosen(await halo.clients.find(), template.client, "client").id
    summary = f"{filled(template.summary, data)} [{mark}]"
    if halo.in_doubt:
        known = [one.id for one in await halo.tickets.find(client_id=own) if one.summary == summary]
        if known:
            return Ensured(id=min(known))
    team, agent = template.team, template.agent
    made = await halo.tickets.create(
        client_id=own,
        type_id=chosen(await halo.ticket_types.find(), template.ticket_type, "ticket type").id,
        summary=summary,
        details="\n".join(filter(None, [filled(template.details, data), text])),
        team=None if team is None else chosen(await halo.teams.find(), team, "team").name,
        agent_id=None if agent is None else chosen(await halo.agents.find(), agent, "agent").id,
        skip_rules=True,
    )
    return Ensured(id=made.id, created=True)


def for_finance(contracts: Sequence[Contract], invoices: Sequence[RecurringInvoice], last_day: date) -> list[str]:
    """Say in words what finance has to look at.

    Args:
        contracts: the client's, as they were before they were ended.
        invoices: its recurring invoices.
        last_day: the last service day.
    """
    lines = [f"Last service day: {last_day}"]
    for contract in contracts:
        left = _months(last_day, contract.end) if contract.end and runs_past(contract, last_day) else 0
        lines.append(
            f"Contract {contract.id} {contract.ref}: from {contract.start or '-'} to {contract.end or 'no end'}"
            f"{f', {left} months of its term left' if left else ''}"
        )
    for invoice in invoices:
        state = "disabled" if invoice.disabled else f"next on {invoice.next_on or '-'}"
        lines.append(f"Recurring invoice {invoice.id}: contract {invoice.contract_ref or '-'}, {state}")
    return lines


def _months(first: date, last: date) -> int:
    return max(0, (last.year - first.year) * 12 + last.month - first.month)
