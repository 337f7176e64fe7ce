"""Winding down: a client that leaves becomes inactive, its tickets are closed and its contracts end."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from pydantic import BaseModel, Field

from worker.errors import NeedsOperator, NotYet
from worker.events import Event
from worker.run import Run
from workflows.canonical import ChurnedClient, LeavingClient, churned_client
from workflows.close_tickets import Closing, OpenTicket, Outcome, close_tickets
from workflows.ensure import ClientRef, Ensured, Skippable, ensure_note, listed, match_client, remark_all
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound, HaloRefused
from workflows.halopsa.client import Collection
from workflows.halopsa.models import Contract, R, RecurringInvoice
from workflows.msp import Msp

DECIDE_WITHIN: Final = timedelta(days=1)


class Snapshot(BaseModel):
    """What a client has in HaloPSA that a churn touches or reports; `not_read` says what could not be read."""

    tickets: list[OpenTicket]
    contracts: list[Contract]
    recurring_invoices: list[RecurringInvoice]
    asset_ids: list[int]
    contact_ids: list[int]
    not_read: list[str] = Field(default_factory=list)


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
    churn, halo, policy = churned_client(event), msp.halo, msp.policy
    last_day = churn.last_day(run.now.date())
    client = await run.step("client", find_client, halo, churn.client)
    await run.known_as(f"halo:{client.id}")
    if run.newer:
        question = f"{client.name} is to be wound down, but run {run.newer} of a later event changed it. Go on?"
        await run.approval("late", question, within=DECIDE_WITHIN)
    mark = f"Parhelion run {run.id}"
    snapshot = await run.step("snapshot", take_snapshot, halo, client.id)
    leaving = leaving_note(churn, last_day, snapshot)
    noted = await run.step("leaving", ensure_note, halo, client.id, f"{mark}: leaving", leaving)
    await remark_all(run, "leaving", noted)
    if churn.leaves_at:
        await run.sleep_until("last-service-day-over", churn.leaves_at, f"the last service day of {client.name} to end")
        snapshot = await run.step("fresh-snapshot", take_snapshot, halo, client.id)
    if policy.churn_client.order == "inactive-first":
        await run.step("inactive", deactivate, halo, client.id)
    closing = Closing(client.id, f"Closed because the client left on {last_day}. {churn.reason}".rstrip(), mark, policy)
    tickets = await close_tickets(run, halo, snapshot.tickets, closing)
    ending = [contract for contract in snapshot.contracts if runs_past(contract, last_day) or may_roll(contract)]
    contracts = await _end_contracts(run, halo, ending, last_day)
    refused = tickets.refused + contracts.refused
    if policy.churn_client.order == "inactive-last":
        await run.step("inactive", deactivate, halo, client.id)
    if refused:
        raise NeedsOperator(
            f"HaloPSA refused {len(refused)} of the changes; all others are made. {' '.join(refused)}",
            mend="mend in HaloPSA what it says, or make these changes there; then retry the run.",
        )
    left_out = tickets.skipped + contracts.skipped
    await run.step("verify", verify_churn, halo, client.id, last_day, left_out=left_out)
    churned = _result(client.id, last_day, snapshot, ending, left_out)
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


async def take_snapshot(halo: Halo, client_id: int) -> Snapshot:
    """Read what the client has: open tickets, contracts, recurring invoices, assets and contacts.

    What is only reported may be out of the API agent's sight.
    """
    not_read: list[str] = []
    tickets = [ticket for ticket in await halo.tickets.find(client_id=client_id) if not ticket.closed]
    return Snapshot(
        tickets=[OpenTicket.model_validate(ticket, from_attributes=True) for ticket in tickets],
        contracts=await halo.contracts.find(client_id=client_id),
        recurring_invoices=await _if_allowed(halo.recurring_invoices, client_id, not_read),
        asset_ids=[asset.id for asset in await _if_allowed(halo.assets, client_id, not_read) if asset.in_use],
        contact_ids=[one.id for one in await _if_allowed(halo.contacts, client_id, not_read) if one.in_use],
        not_read=not_read,
    )


async def _if_allowed(collection: Collection[R], client_id: int, not_read: list[str]) -> list[R]:
    try:
        return await collection.find(client_id=client_id)
    except (HaloForbidden, HaloNotFound) as refusal:
        not_read.append(refusal.what)
        return []


async def deactivate(halo: Halo, client_id: int) -> Ensured:
    """Set the client inactive."""
    if not (await halo.clients.get(client_id)).inactive:
        await halo.clients.update(client_id, inactive=True)
    return Ensured(id=client_id)


async def end_contract(halo: Halo, contract: Contract, last_day: date) -> Skippable:
    """Let a contract end on the last service day, and not roll on; one that ends earlier keeps its end."""
    limit = _limit(contract, last_day)
    end = limit if runs_past(contract, last_day) else contract.end
    await halo.contracts.update(contract.id, end=end, rolling=False)
    return Ensured(id=contract.id)


async def verify_churn(halo: Halo, client_id: int, last_day: date, *, left_out: Sequence[str]) -> Skippable:
    """Read back that nothing of the client is left open, but for the tickets and contracts that were left out.

    Raises:
        NeedsOperator: names what is.
    """
    client = await halo.clients.get(client_id)
    tickets = [ticket for ticket in await halo.tickets.find(client_id=client_id) if not ticket.closed]
    contracts = await halo.contracts.find(client_id=client_id)
    left = [] if client.inactive else [f"client {client_id} is active"]
    left += [f"{name} is open" for name in (f"ticket {one.id}" for one in tickets) if name not in left_out]
    running = [contract for contract in contracts if runs_past(contract, last_day)]
    left += [f"{name} runs on" for name in (f"contract {one.id}" for one in running) if name not in left_out]
    if left:
        raise NeedsOperator(
            f"After the churn HaloPSA still shows: {', '.join(left)}.",
            mend="close or end these in HaloPSA, then retry the run.",
        )
    return Ensured(id=client_id)


def runs_past(contract: Contract, last_day: date) -> bool:
    """Whether a contract goes on after the last service day; one that starts later ends on its first day."""
    return contract.active and (
        contract.rolling is True or contract.end is None or contract.end > _limit(contract, last_day)
    )


def may_roll(contract: Contract) -> bool:
    """Whether a contract may roll on after its end: HaloPSA's listings do not always say."""
    return contract.active and contract.rolling is None and not contract.expired


def leaving_note(churn: ChurnedClient, last_day: date, snapshot: Snapshot) -> str:
    """Say in words for HaloPSA's users that the client leaves, and what it has."""
    return "\n".join(
        [
            f"Leaving; last service day: {last_day}. {churn.reason}".rstrip(),
            f"Open tickets: {len(snapshot.tickets)}",
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


async def _end_contracts(run: Run, halo: Halo, contracts: Sequence[Contract], last_day: date) -> Outcome:
    """End the contracts one after another; a refused one holds up nothing else."""
    outcome = Outcome([], [])
    for contract in contracts:
        try:
            if await run.step(f"contract:{contract.id}", end_contract, halo, contract, last_day) is None:
                outcome.skipped.append(f"contract {contract.id}")
        except HaloRefused as refusal:
            outcome.refused.append(f"Contract {contract.id}: {refusal.what}")
    return outcome


def _limit(contract: Contract, last_day: date) -> date:
    return max(last_day, contract.start or last_day)


def _result(
    client_id: int, last_day: date, snapshot: Snapshot, ended: Sequence[Contract], left_out: Sequence[str]
) -> Churned:
    return Churned(
        client_id=client_id,
        last_service_day=last_day,
        closed_ticket_ids=[one.id for one in snapshot.tickets if f"ticket {one.id}" not in left_out],
        ended_contract_ids=[one.id for one in ended if f"contract {one.id}" not in left_out],
        recurring_invoice_ids=[invoice.id for invoice in snapshot.recurring_invoices if not invoice.disabled],
        asset_ids=snapshot.asset_ids,
        contact_ids=snapshot.contact_ids,
    )
