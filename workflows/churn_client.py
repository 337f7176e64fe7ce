"""Winding down: a client that leaves becomes inactive, its tickets are closed and its contracts end."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Final

from pydantic import BaseModel, Field

from worker.errors import NeedsOperator
from worker.events import Event
from worker.run import Run
from workflows.attempts import Attempts
from workflows.canonical import ChurnedClient, churned_client
from workflows.churn_guard import ask, doubts
from workflows.close_tickets import Closing, close_the_refused, close_tickets
from workflows.closing_rules import ClosingRules, closing_rules
from workflows.end_billing import end_invoices, for_finance, open_own_ticket
from workflows.end_contracts import end_contracts, runs_past
from workflows.ensure import Ensured, Skippable, ensure_note, listed, remark_all
from workflows.halopsa import Halo
from workflows.hand_over import hand_over_tickets, part_with_assets, remove_access
from workflows.leaving_client import Leaving, deactivate, find_client, last_day_of, leaves_at
from workflows.msp import Msp
from workflows.open_tickets import open_tickets
from workflows.snapshot import Snapshot, take_snapshot

LEAVING_MARK: Final = re.compile(r"Parhelion run (\S+): leaving")
"""How a run's note that a client leaves ends."""


class Churned(BaseModel):
    """What a churn did, by ids in HaloPSA.

    Attributes:
        client_id: the client.
        last_service_day: until when it was served.
        superseded_by: the run that does it on another day instead; nothing else was done then.
        closed_ticket_ids: tickets that are closed.
        kept_ticket_ids: tickets that were handed over.
        ended_contract_ids: contracts that end on the day.
        ended_invoice_ids: recurring invoices that were ended.
        recurring_invoice_ids: recurring invoices that go on, for finance to look at.
        asset_ids: what was in use.
        contact_ids: who was there; they stay.
        portal_access: contact → level of access to the portal that was taken away.
    """

    client_id: int
    last_service_day: date
    superseded_by: str = ""
    closed_ticket_ids: list[int] = Field(default_factory=list)
    kept_ticket_ids: list[int] = Field(default_factory=list)
    ended_contract_ids: list[int] = Field(default_factory=list)
    ended_invoice_ids: list[int] = Field(default_factory=list)
    recurring_invoice_ids: list[int] = Field(default_factory=list)
    asset_ids: list[int] = Field(default_factory=list)
    contact_ids: list[int] = Field(default_factory=list)
    portal_access: dict[int, int] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Departure:
    """A client that leaves.

    Attributes:
        churn: what the event says.
        client: who leaves.
        last_day: the last service day.
        leaves_at: when that is over (UTC); None: now.
        rules: what closing takes in this tenant.
        mark: tells this run's notes from all others.
    """

    churn: ChurnedClient
    client: Leaving
    last_day: date
    leaves_at: datetime | None
    rules: ClosingRules
    mark: str


async def churn_client(run: Run, msp: Msp, event: Event) -> Churned:
    """Wind a client down once its last service day is over.

    Raises:
        InvalidEvent: the event lacks what is needed, or holds what cannot be.
        NeedsOperator: a person must decide or mend something in HaloPSA; all that could be done is done.
        NotYet: HaloPSA does not have the client.
        RetryLater: HaloPSA cannot be asked now.
    """
    churn, halo, policy = churned_client(event), msp.halo, msp.policy
    last_day = last_day_of(churn, run.now, policy.zone)
    client = await run.step("client", find_client, halo, churn.client)
    await run.known_as(f"halo:{client.id}")
    if run.newer:
        if await run.step(f"superseded:{run.newer}", leaves_by_run, halo, client.id, run.newer):
            return Churned(client_id=client.id, last_service_day=last_day, superseded_by=run.newer)
        question = f"{client.name} is to be wound down, but run {run.newer} of a later event changed it. Go on?"
        await run.approval("late", question, within=timedelta(hours=policy.approval_hours))
    rules = await run.step("closing-rules", closing_rules, halo, policy)
    leaving = Departure(churn, client, last_day, leaves_at(churn, policy.zone), rules, f"Parhelion run {run.id}")
    snapshot, moved_to = await _until_it_leaves(run, msp, leaving)
    if moved_to:
        return Churned(client_id=client.id, last_service_day=last_day, superseded_by=moved_to)
    churned = await _wind_down(run, msp, event, leaving, snapshot)
    noted = await run.step(
        "report", ensure_note, halo, client.id, f"{leaving.mark}: wound down", report(event, churned, snapshot)
    )
    await remark_all(run, "report", noted)
    return churned


async def _until_it_leaves(run: Run, msp: Msp, leaving: Departure) -> tuple[Snapshot, str]:
    """Note that the client leaves, let a person decide where that is due, and wait for the day; then look anew.

    Returns:
        What the client has; the run that winds it down on another day instead, if there is one.
    """
    halo, client, hours = msp.halo, leaving.client, msp.policy.approval_hours
    snapshot = await run.step("snapshot", take_snapshot, halo, client.id, leaving.rules)
    noted = await run.step(
        "leaving", ensure_note, halo, client.id, _leaving_mark(run.id), leaving_note(leaving, snapshot)
    )
    await remark_all(run, "leaving", noted)
    agreed = doubts(client, leaving.churn, leaving.last_day, snapshot, msp.policy)
    asked = await ask(run, "guard", client, agreed, hours=hours)
    if leaving.leaves_at:
        await run.sleep_until(
            "last-service-day-over", leaving.leaves_at, f"the last service day of {client.name} to end"
        )
    if not (asked or leaving.leaves_at):
        return snapshot, ""
    if moved_to := await run.step("moved", leaves_by_later_run, halo, client.id, noted.id if noted else 0):
        return snapshot, moved_to
    snapshot = await run.step("fresh-snapshot", take_snapshot, halo, client.id, leaving.rules)
    found = doubts(client, leaving.churn, leaving.last_day, snapshot, msp.policy)
    if await ask(run, "guard-again", client, [doubt for doubt in found if doubt not in agreed], hours=hours):
        snapshot = await run.step("agreed-snapshot", take_snapshot, halo, client.id, leaving.rules)
    return snapshot, ""


async def _wind_down(run: Run, msp: Msp, event: Event, leaving: Departure, snapshot: Snapshot) -> Churned:
    halo, client, policy, last_day = msp.halo, leaving.client, msp.policy.churn_client, leaving.last_day
    if policy.order == "inactive-first":
        await run.step("inactive", deactivate, halo, client.id)
    reason = f"Closed because the client left on {last_day}. {leaving.churn.reason}".rstrip()
    closing = Closing(client.id, reason, leaving.mark, leaving.rules)
    tickets = await close_tickets(run, halo, snapshot.tickets, closing)
    attempts = Attempts(run)
    ending = snapshot.contracts if policy.contracts == "end" else []
    ended, running = await end_contracts(attempts, halo, ending, last_day)
    invoices = snapshot.recurring_invoices if policy.recurring_invoices == "end" else []
    ended_invoices = await end_invoices(attempts, halo, invoices, last_day)
    await _hand_over(attempts, msp, event, leaving, snapshot)
    if policy.order == "inactive-last":
        await run.step("inactive", deactivate, halo, client.id)
    attempts.name_refusals()
    tickets = await close_the_refused(run, halo, tickets, closing)
    kept = [ticket.id for ticket in snapshot.kept_tickets]
    await run.step(
        "verify",
        verify_churn,
        halo,
        leaving,
        left_open=tickets.skipped,
        left_running=running if policy.contracts == "end" else [contract.id for contract in snapshot.contracts],
    )
    return Churned(
        client_id=client.id,
        last_service_day=last_day,
        closed_ticket_ids=tickets.ids,
        kept_ticket_ids=kept,
        ended_contract_ids=ended,
        ended_invoice_ids=ended_invoices,
        recurring_invoice_ids=[
            one.id for one in snapshot.recurring_invoices if not one.disabled and one.id not in ended_invoices
        ],
        asset_ids=snapshot.asset_ids,
        contact_ids=snapshot.contact_ids,
        portal_access=snapshot.portal_access if policy.remove_portal_access else {},
    )


async def _hand_over(attempts: Attempts, msp: Msp, event: Event, leaving: Departure, snapshot: Snapshot) -> None:
    """Hand over what is not closed or ended: tickets, billing, assets, and the portal."""
    halo, policy, client = msp.halo, msp.policy.churn_client, leaving.client
    if snapshot.kept_tickets and (policy.hand_over.team or policy.hand_over.agent):
        await attempts.step("hand-over", hand_over_tickets, halo, client.id, snapshot.kept_tickets, policy)
    if policy.final_billing:
        facts = for_finance(snapshot.contracts, snapshot.recurring_invoices, leaving.last_day)
        text = "\n".join([f"{client.name} ({client.id}) has left.", *facts])
        await attempts.step(
            "final-billing", open_own_ticket, halo, policy.final_billing, event.data, text, attempts.run.id
        )
    if snapshot.asset_ids and policy.assets != "report":
        await attempts.step("assets", part_with_assets, halo, snapshot.asset_ids, policy)
    if policy.rmm == "task" and policy.rmm_task:
        text = f"{client.name} ({client.id}) has left. Assets: {listed(snapshot.asset_ids)}"
        await attempts.step("rmm", open_own_ticket, halo, policy.rmm_task, event.data, text, attempts.run.id)
    if snapshot.portal_access and policy.remove_portal_access:
        await attempts.step("portal-access", remove_access, halo, list(snapshot.portal_access))


async def leaves_by_run(halo: Halo, client_id: int, run_id: str) -> bool:
    """Whether a run has put the note on the client that it leaves: then that run winds it down."""
    return any(_leaving_mark(run_id) in note.text for note in await halo.notes.find(client_id=client_id))


async def leaves_by_later_run(halo: Halo, client_id: int, note_id: int) -> str:
    """Find the last run that has noted, after this one did, that the client leaves: a later event moved the day.

    Args:
        halo: HaloPSA.
        client_id: the client.
        note_id: this run's note; 0 where it may write none.

    Returns:
        The run's id; empty if there is none.
    """
    if not note_id:
        return ""
    later = [note for note in await halo.notes.find(client_id=client_id) if note.id > note_id]
    marks = [mark[1] for note in sorted(later, key=attrgetter("id")) if (mark := LEAVING_MARK.search(note.text))]
    return marks[-1] if marks else ""


def _leaving_mark(run_id: str) -> str:
    return f"Parhelion run {run_id}: leaving"


async def verify_churn(
    halo: Halo, leaving: Departure, *, left_open: Collection[int], left_running: Collection[int]
) -> Skippable:
    """Read back that nothing of the client is left open, but for the tickets and contracts that were left out.

    Raises:
        NeedsOperator: names what is.
    """
    client_id, rules = leaving.client.id, leaving.rules
    client = await halo.clients.get(client_id)
    tickets = await open_tickets(halo, client_id, rules)
    contracts = await halo.contracts.find(client_id=client_id)
    to_close = [one.id for one in tickets if one.id not in left_open and one.type_id not in rules.keep_type_ids]
    running = [one.id for one in contracts if runs_past(one, leaving.last_day) and one.id not in left_running]
    left = [] if client.inactive else [f"client {client_id} is active"]
    left += [f"ticket {ticket_id} is open" for ticket_id in to_close]
    left += [f"contract {contract_id} runs on" for contract_id in running]
    if left:
        raise NeedsOperator(
            f"After the churn HaloPSA still shows: {', '.join(left)}.",
            mend="close or end these in HaloPSA, then retry the run.",
        )
    return Ensured(id=client_id)


def leaving_note(leaving: Departure, snapshot: Snapshot) -> str:
    """Say in words for HaloPSA's users that the client leaves, and what it has."""
    return "\n".join(
        [
            f"Leaving; last service day: {leaving.last_day}. {leaving.churn.reason}".rstrip(),
            f"Open tickets: {snapshot.open_tickets}",
            f"Contracts: {len(snapshot.contracts)}",
            f"Recurring invoices: {len(snapshot.recurring_invoices)}",
            f"Assets: {len(snapshot.asset_ids)}",
            f"Contacts: {len(snapshot.contact_ids)}",
        ]
    )


def report(event: Event, churned: Churned, snapshot: Snapshot) -> str:
    """Say in words for HaloPSA's users what a churn did and what it left to people."""
    going_on = [invoice for invoice in snapshot.recurring_invoices if invoice.id in churned.recurring_invoice_ids]
    return "\n".join(
        [
            f"Wound down; last service day: {churned.last_service_day}",
            f"Event {event.id} of {event.occurred_at:%Y-%m-%d %H:%M} UTC",
            f"Tickets closed: {listed(churned.closed_ticket_ids)}",
            f"Tickets handed over: {listed(churned.kept_ticket_ids)}",
            f"Contracts ended: {listed(churned.ended_contract_ids)}",
            f"Recurring invoices ended: {listed(churned.ended_invoice_ids)}",
            f"Contacts, which stay: {len(churned.contact_ids)}",
            f"Without the portal now: {listed(list(churned.portal_access))}",
            f"For finance, recurring invoices that go on: {listed(churned.recurring_invoice_ids)}",
            *(
                f"Invoice {one.id}: contract {one.contract_ref or '-'}, next on {one.next_on or '-'}"
                for one in going_on
            ),
            f"Assets: {listed(churned.asset_ids)}",
            *(f"Look yourself, it could not be read: {what}" for what in snapshot.not_read),
        ]
    )
