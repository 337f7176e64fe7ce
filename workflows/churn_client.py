"""Winding down: a client that leaves becomes inactive, its tickets are closed and its contracts end."""

from collections.abc import Collection
from datetime import date, timedelta
from typing import Final

from pydantic import BaseModel

from worker.errors import NeedsOperator, NotYet
from worker.events import Event
from worker.run import Run
from workflows.canonical import ChurnedClient, LeavingClient, churned_client
from workflows.close_tickets import Closed, Closing, close_the_refused, close_tickets
from workflows.end_contracts import Ended, end_contracts, runs_past
from workflows.ensure import ClientRef, Ensured, Skippable, ensure_note, listed, match_client, remark_all
from workflows.halopsa import Halo
from workflows.msp import Msp
from workflows.open_tickets import open_tickets
from workflows.policy import ChurnClient
from workflows.snapshot import Snapshot, take_snapshot

DECIDE_WITHIN: Final = timedelta(days=1)


class Churned(BaseModel):
    """What a churn did, by ids in HaloPSA; recurring invoices and assets are left for people."""

    client_id: int
    last_service_day: date
    closed_ticket_ids: list[int]
    ended_contract_ids: list[int]
    recurring_invoice_ids: list[int]
    asset_ids: list[int]
    contact_ids: list[int]


async def churn_client(run: Run, msp: Msp, event: Event) -> Churned:
    """Wind a client down once its last service day is over.

    Raises:
        InvalidEvent: the event lacks what is needed, or holds what cannot be.
        NeedsOperator: a person must decide or mend something in HaloPSA; all that could be done is done.
        NotYet: HaloPSA does not have the client.
        RetryLater: HaloPSA cannot be asked now.
    """
    churn, halo, policy = churned_client(event), msp.halo, msp.policy.churn_client
    last_day = churn.last_day(run.now.date())
    client = await run.step("client", find_client, halo, churn.client)
    await run.known_as(f"halo:{client.id}")
    if run.newer:
        question = f"{client.name} is to be wound down, but run {run.newer} of a later event changed it. Go on?"
        await run.approval("late", question, within=DECIDE_WITHIN)
    mark = f"Parhelion run {run.id}"
    snapshot = await run.step("snapshot", take_snapshot, halo, client.id, policy)
    leaving = leaving_note(churn, last_day, snapshot)
    noted = await run.step("leaving", ensure_note, halo, client.id, f"{mark}: leaving", leaving)
    await remark_all(run, "leaving", noted)
    if churn.leaves_at:
        await run.sleep_until("last-service-day-over", churn.leaves_at, f"the last service day of {client.name} to end")
        snapshot = await run.step("fresh-snapshot", take_snapshot, halo, client.id, policy)
    if policy.order == "inactive-first":
        await run.step("inactive", deactivate, halo, client.id)
    closing = Closing(client.id, f"Closed because the client left on {last_day}. {churn.reason}".rstrip(), mark, policy)
    tickets = await close_tickets(run, halo, snapshot.tickets, closing)
    contracts = await end_contracts(run, halo, snapshot.contracts, last_day)
    if policy.order == "inactive-last":
        await run.step("inactive", deactivate, halo, client.id)
    _name_refusals(tickets, contracts)
    tickets = await close_the_refused(run, halo, tickets, closing)
    left_out = {"left_open": tickets.skipped, "left_running": contracts.skipped}
    await run.step("verify", verify_churn, halo, client.id, last_day, policy, **left_out)
    churned = _result(client.id, last_day, snapshot, tickets, contracts)
    wound_down = report(event, churned, snapshot)
    noted = await run.step("report", ensure_note, halo, client.id, f"{mark}: wound down", wound_down)
    await remark_all(run, "report", noted)
    return churned


async def find_client(halo: Halo, client: LeavingClient) -> ClientRef:
    """Find the one client that leaves; it may be inactive already.

    Raises:
        NeedsOperator: it is not clear which client is meant.
        NotYet: none matches.
    """
    match = match_client(await halo.clients.find(), client.id, client.name, own_doubles=False)
    if match is None:
        raise NotYet(
            f"HaloPSA has no client with the key {client.id!r} or the name {client.name!r}.",
            mend="give the client that is meant the key in its reference field, or correct the event; then retry.",
        )
    return ClientRef(id=match.id, name=match.name)


async def deactivate(halo: Halo, client_id: int) -> Ensured:
    """Set the client inactive."""
    if not (await halo.clients.get(client_id)).inactive:
        await halo.clients.update(client_id, inactive=True)
    return Ensured(id=client_id)


async def verify_churn(
    halo: Halo,
    client_id: int,
    last_day: date,
    policy: ChurnClient,
    *,
    left_open: Collection[int],
    left_running: Collection[int],
) -> Skippable:
    """Read back that nothing of the client is left open, but for the tickets and contracts that were left out.

    Raises:
        NeedsOperator: names what is.
    """
    client = await halo.clients.get(client_id)
    tickets = await open_tickets(halo, client_id, policy.closed_status)
    contracts = await halo.contracts.find(client_id=client_id)
    left = [] if client.inactive else [f"client {client_id} is active"]
    left += [f"ticket {one.id} is open" for one in tickets if one.id not in left_open]
    left += [
        f"contract {one.id} runs on" for one in contracts if runs_past(one, last_day) and one.id not in left_running
    ]
    if left:
        raise NeedsOperator(
            f"After the churn HaloPSA still shows: {', '.join(left)}.",
            mend="close or end these in HaloPSA, then retry the run.",
        )
    return Ensured(id=client_id)


def leaving_note(churn: ChurnedClient, last_day: date, snapshot: Snapshot) -> str:
    """Say in words for HaloPSA's users that the client leaves, and what it has."""
    return "\n".join(
        [
            f"Leaving; last service day: {last_day}. {churn.reason}".rstrip(),
            f"Open tickets: {snapshot.open_tickets}",
            f"Contracts: {len(snapshot.contracts)}",
            f"Recurring invoices: {len(snapshot.recurring_invoices)}",
            f"Assets: {len(snapshot.asset_ids)}",
            f"Contacts: {len(snapshot.contact_ids)}",
        ]
    )


def report(event: Event, churned: Churned, snapshot: Snapshot) -> str:
    """Say in words for HaloPSA's users what a churn did and what it left to people."""
    invoices = [invoice for invoice in snapshot.recurring_invoices if not invoice.disabled]
    return "\n".join(
        [
            f"Wound down; last service day: {churned.last_service_day}",
            f"Event {event.id} of {event.occurred_at:%Y-%m-%d %H:%M} UTC",
            f"Tickets closed: {listed(churned.closed_ticket_ids)}",
            f"Contracts ended: {listed(churned.ended_contract_ids)}",
            f"Contacts, left as they are: {len(churned.contact_ids)}",
            f"For finance, recurring invoices that go on: {listed(churned.recurring_invoice_ids)}",
            *(
                f"Invoice {one.id}: contract {one.contract_ref or '-'}, next on {one.next_on or '-'}"
                for one in invoices
            ),
            f"To be returned or reassigned, assets: {listed(churned.asset_ids)}",
            *(f"Look yourself, it could not be read: {what}" for what in snapshot.not_read),
        ]
    )


def _name_refusals(tickets: Closed, contracts: Ended) -> None:
    """Fail where contracts were refused; tickets alone are tried once more."""
    if contracts.refused:
        words = [f"Contract {contract_id}: {refusal}" for contract_id, refusal in contracts.refused.items()]
        words += [f"Ticket {ticket.id}: {refusal}" for ticket, refusal in tickets.refused.items()]
        raise NeedsOperator(
            f"HaloPSA refused {len(words)} of the changes; all others are made. {' '.join(words)}",
            mend="mend in HaloPSA what it says, or make these changes there; then retry the run.",
        )


def _result(client_id: int, last_day: date, snapshot: Snapshot, tickets: Closed, contracts: Ended) -> Churned:
    return Churned(
        client_id=client_id,
        last_service_day=last_day,
        closed_ticket_ids=tickets.ids,
        ended_contract_ids=contracts.ids,
        recurring_invoice_ids=[invoice.id for invoice in snapshot.recurring_invoices if not invoice.disabled],
        asset_ids=snapshot.asset_ids,
        contact_ids=snapshot.contact_ids,
    )
