"""What ends of a client's billing, and what is handed to finance."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from workflows.attempts import Attempts, change_each
from workflows.end_contracts import may_roll, runs_past
from workflows.ensure import Skippable
from workflows.ensure.ticket import ensure_ticket
from workflows.halopsa import Halo
from workflows.halopsa.models import Contract, RecurringInvoice
from workflows.policy import Policy
from workflows.policy.parts import OwnTicket
from workflows.resolve import chosen
from workflows.restore import Change

NO_REAL_YEAR: Final = 2090
"""Ends from this year on (2099-12-31) stand for none."""
NOT_LISTED: Final = "Time and items that are not billed yet: look yourself, they are not looked up here."


def invoice_changes(invoices: Sequence[RecurringInvoice], last_day: date) -> list[Change]:
    """Say what is to be changed so that recurring invoices end; a contract's end does not end them."""
    return [
        Change(what="recurring invoice", ids=[one.id], fields={"end": (one.end, last_day), "disabled": (False, True)})
        for one in invoices
        if not one.disabled
    ]


async def end_invoices(attempts: Attempts, halo: Halo, changes: Sequence[Change]) -> list[int]:
    """End recurring invoices.

    Returns:
        The ids of those that ended.
    """
    return [one.id for one in await change_each(attempts, "invoice:", halo.recurring_invoices, changes)]


async def open_own_ticket(
    halo: Halo, policy: Policy, template: OwnTicket, data: Mapping[str, Any], *, text: str, mark: str
) -> Skippable:
    """Open a ticket under the MSP's own client, once.

    Args:
        halo: HaloPSA.
        policy: says what tickets of its type need.
        template: what it looks like.
        data: the event's, for the template's places.
        text: what follows the template's own text.
        mark: tells it from all others.

    Raises:
        NeedsOperator: HaloPSA does not have what the template names.
    """
    own = chosen(await halo.clients.find(), template.client, "client").id
    return await ensure_ticket(halo, own, template, policy, data, mark=mark, text=text, look=False)


def for_finance(contracts: Sequence[Contract], invoices: Sequence[RecurringInvoice], last_day: date) -> list[str]:
    """Say in words what finance has to look at.

    Args:
        contracts: the client's, as they were before they were ended.
        invoices: its recurring invoices.
        last_day: the last service day.
    """
    return [
        f"Last service day: {last_day}",
        *(_of_contract(contract, last_day) for contract in contracts),
        *(f"Recurring invoice {one.id}: {billing_of(one)}" for one in invoices),
        NOT_LISTED,
    ]


def billing_of(invoice: RecurringInvoice) -> str:
    """Say what a recurring invoice bills, and when next."""
    state = "disabled" if invoice.disabled else f"next on {invoice.next_on or '-'}"
    return f"contract {invoice.contract_ref or '-'}, {state}"


def _of_contract(contract: Contract, last_day: date) -> str:
    return ", ".join(
        [
            f"Contract {contract.id} {contract.ref}".rstrip()
            + f": from {contract.start or '-'} to {contract.end or 'no end'}",
            *_term_left(contract, last_day),
            *_prepaid(contract),
        ]
    )


def _prepaid(contract: Contract) -> list[str]:
    if contract.prepaid is None:
        return ["what is prepaid: look yourself"]
    return [f"prepaid and not used: {contract.prepaid:g}"] if contract.prepaid else []


def _term_left(contract: Contract, last_day: date) -> list[str]:
    """Say how much of a contract's term is not served; nothing of one that is over by then."""
    if not runs_past(contract, last_day):
        return ["whether it rolls: look yourself"] if may_roll(contract) else []
    first = max(last_day + timedelta(days=1), contract.start or last_day)
    months = _months(first, contract.end) if contract.end and contract.end.year < NO_REAL_YEAR else 0
    if not months:
        return ["rolls, no fixed term"]
    return [f"{months} month{'s' if months > 1 else ''} of its term left"]


def _months(first: date, last: date) -> int:
    """Count the months from one day to another, both included; one that has begun counts."""
    after = last + timedelta(days=1)
    return max(0, (after.year - first.year) * 12 + after.month - first.month + (after.day > first.day))
