"""Winding down: a client that leaves becomes inactive, its tickets are closed and its contracts end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from pydantic import BaseModel, Field

from worker.events import Event
from worker.run import Run
from workflows.attempts import Attempts
from workflows.came_back import doubt_about_return
from workflows.canonical import churned_client
from workflows.churn_changes import of, planned_changes
from workflows.churn_guard import ask, ask_whether_won, doubts, won_meanwhile
from workflows.churn_report import Outcome, leaving_note, said_by_the_event
from workflows.close_tickets import Closing, close_the_refused, close_tickets
from workflows.closing_rules import closing_rules
from workflows.end_billing import end_invoices, for_finance, open_own_ticket
from workflows.end_contracts import end_contracts
from workflows.ended_before import find_end
from workflows.ensure import Skippable, ensure_note, listed, remark_all
from workflows.hand_over import hand_over_tickets, part_with_assets, remove_access
from workflows.leaving_client import Departure, deactivate, last_day_of, leaves_at, today_in
from workflows.msp import Msp
from workflows.report import file_report
from workflows.restore import Change, keep_changes
from workflows.rmm import notify
from workflows.snapshot import Snapshot, take_snapshot
from workflows.verify_churn import verify_churn, verify_inactive
from workflows.which_leaves import settle_leaving


class Churned(BaseModel):
    """What a churn did, by ids in HaloPSA.

    Attributes:
        client_id: the client.
        last_service_day: until when it was served.
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
    closed_ticket_ids: list[int] = Field(default_factory=list)
    kept_ticket_ids: list[int] = Field(default_factory=list)
    ended_contract_ids: list[int] = Field(default_factory=list)
    ended_invoice_ids: list[int] = Field(default_factory=list)
    recurring_invoice_ids: list[int] = Field(default_factory=list)
    asset_ids: list[int] = Field(default_factory=list)
    contact_ids: list[int] = Field(default_factory=list)
    portal_access: dict[int, int] = Field(default_factory=dict)


async def churn_client(run: Run, msp: Msp, event: Event) -> Churned:
    """Wind a client down once its last service day is over.

    Raises:
        InvalidEvent: the event lacks what is needed, or holds what cannot be.
        NeedsOperator: a person must decide or mend something in HaloPSA; all that could be done is done.
        NotYet: HaloPSA does not have the client.
        RetryLater: HaloPSA cannot be asked now.
    """
    churn, halo, policy = churned_client(event), msp.halo, msp.policy
    client = await settle_leaving(run, halo, churn.client, policy)
    await remark_all(run, "client", client)
    await run.known_as(f"halo:{client.id}")
    superseded = await run.supersede("moved", f"a later event says when {client.name} leaves")
    if run.newer:
        question = f"{client.name} is to be wound down, but run {run.newer} of a later event changed it. Go on?"
        await run.approval("late", question, within=timedelta(hours=policy.approval_hours))
    last_day = last_day_of(churn, run.now, policy.zone)
    rules = await run.step("closing-rules", closing_rules, halo, policy, event.data)
    if client.inactive:
        until = max(last_day, run.now.astimezone(policy.zone).date())
        ended = await run.step("ended-before", find_end, halo, client.id, rules, until, policy.churn_client)
        if ended:
            await run.remark("ended", f"{client.name} is wound down already: {ended}. Nothing is left to do.")
            return Churned(client_id=client.id, last_service_day=last_day)
    leaving = Departure(
        churn=churn,
        client=client,
        last_day=last_day,
        leaves_at=leaves_at(churn, policy.zone),
        rules=rules,
        mark=f"Parhelion run {run.id}",
        superseded=superseded,
    )
    snapshot = await _until_it_leaves(run, msp, event, leaving)
    if churn.last_service_day is None and churn.effective_at is None:
        leaving = replace(leaving, last_day=await run.step("last-day", today_in, policy.zone))
    return await _wind_down(run, msp, event, leaving, snapshot)


async def _until_it_leaves(run: Run, msp: Msp, event: Event, leaving: Departure) -> Snapshot:
    """Note that the client leaves, let a person decide where that is due, and wait for the day; then look anew."""
    halo, client, hours = msp.halo, leaving.client, msp.policy.approval_hours
    access = msp.policy.churn_client.remove_portal_access
    snapshot = await run.step("snapshot", take_snapshot, halo, client.id, leaving.rules, access=access)
    noted = await run.step(
        "leaving", ensure_note, halo, client.id, f"{leaving.mark}: leaving", leaving_note(leaving, snapshot)
    )
    await remark_all(run, "leaving", noted)
    agreed = doubts(client, leaving.churn, leaving.last_day, snapshot, msp.policy)
    agreed += await doubt_about_return(run, halo, client.id, event, leaving.leaves_at)
    asked = await ask(run, "guard", client, agreed, hours=hours)
    if leaving.leaves_at:
        awaited = f"{leaving.last_day}, the last service day of {client.name}, to end"
        await run.sleep_until("last-service-day-over", leaving.leaves_at, awaited)
    if not (asked or leaving.leaves_at):
        return snapshot
    before = snapshot
    snapshot = await run.step("fresh-snapshot", take_snapshot, halo, client.id, leaving.rules, access=access)
    found = doubts(client, leaving.churn, leaving.last_day, snapshot, msp.policy)
    again = await ask(run, "guard-again", client, [doubt for doubt in found if doubt not in agreed], hours=hours)
    news = await run.step("news", won_meanwhile, halo, client.id, before, snapshot, noted)
    if await ask_whether_won(run, client, news, hours=hours) or again:
        snapshot = await run.step("agreed-snapshot", take_snapshot, halo, client.id, leaving.rules, access=access)
    return snapshot


async def _wind_down(run: Run, msp: Msp, event: Event, leaving: Departure, snapshot: Snapshot) -> Churned:
    halo, client, policy, attempts = msp.halo, leaving.client, msp.policy.churn_client, Attempts(run)
    changes = await run.step("changes", planned_changes, halo, client.id, snapshot, leaving.last_day, policy)
    await keep_changes(run, halo, client.id, changes)
    if policy.order == "inactive-first":
        await run.step("inactive", deactivate, halo, client.id, seen_active=bool(of("client", changes)))
    reason = f"Closed because the client left on {leaving.last_day}. {leaving.churn.reason}".rstrip()
    closing = Closing(client.id, reason, leaving.mark, leaving.rules)
    tickets = await close_tickets(run, halo, snapshot.tickets, closing)
    ended = await end_contracts(attempts, halo, of("contract", changes))
    ended_invoices = await end_invoices(attempts, halo, of("recurring invoice", changes))
    await _hand_over(attempts, msp, leaving, snapshot, changes)
    opened = await _open_tickets(attempts, msp, event, leaving, snapshot)
    told_rmm = await notify(attempts, msp.rmm, leaving, snapshot) if policy.rmm == "webhook" else False
    attempts.name_refusals()
    tickets = await close_the_refused(run, halo, tickets, closing)
    outcome = Outcome(leaving, snapshot, changes, tickets, ended, opened, told_rmm, attempts.skipped, policy.order)
    verified = await run.step("verify", verify_churn, halo, outcome, policy)
    await remark_all(run, "verify", verified)
    await _report(run, msp, event, outcome, verified)
    if policy.order == "inactive-last":
        # An inactive client may not even take a note.
        await run.step("inactive", deactivate, halo, client.id)
        await run.step("verify-inactive", verify_inactive, halo, client.id)
    return Churned(
        client_id=client.id,
        last_service_day=leaving.last_day,
        closed_ticket_ids=tickets.ids,
        kept_ticket_ids=[ticket.id for ticket in snapshot.kept_tickets],
        ended_contract_ids=[contract.id for contract in ended],
        ended_invoice_ids=ended_invoices,
        recurring_invoice_ids=[
            one.id for one in snapshot.recurring_invoices if not one.disabled and one.id not in ended_invoices
        ],
        asset_ids=snapshot.asset_ids,
        contact_ids=snapshot.contact_ids,
        portal_access=snapshot.portal_access if policy.remove_portal_access else {},
    )


async def _hand_over(
    attempts: Attempts, msp: Msp, leaving: Departure, snapshot: Snapshot, changes: Sequence[Change]
) -> None:
    """Hand over what is not closed or ended: tickets, assets, and the portal."""
    halo, policy = msp.halo, msp.policy.churn_client
    if snapshot.kept_tickets and (policy.hand_over.team or policy.hand_over.agent):
        await attempts.step("hand-over", hand_over_tickets, halo, leaving.client.id, snapshot.kept_tickets, policy)
    if assets := of("asset", changes):
        await attempts.step("assets", part_with_assets, halo, assets)
    if access := of("contact", changes):
        await attempts.step("portal-access", remove_access, halo, access)


async def _open_tickets(
    attempts: Attempts, msp: Msp, event: Event, leaving: Departure, snapshot: Snapshot
) -> dict[str, int]:
    """Open the tickets for the MSP's own people.

    Returns:
        What they are for → their ids.
    """
    policy, client = msp.policy.churn_client, leaving.client
    finance = for_finance(snapshot.contracts, snapshot.recurring_invoices, leaving.last_day)
    wanted = {
        "final-billing": (policy.final_billing, finance),
        "rmm": (policy.rmm_task if policy.rmm == "task" else None, [f"Assets: {listed(snapshot.asset_ids)}"]),
    }
    opened: dict[str, int] = {}
    for step, (template, facts) in wanted.items():
        if template:
            text = "\n".join([f"{client.name} ({client.id}) has left.", *said_by_the_event(leaving), *facts])
            mark = f"{attempts.run.id} {step}"
            made = await attempts.step(
                step, open_own_ticket, msp.halo, msp.policy, template, event.data, text=text, mark=mark
            )
            opened |= {step: made.id} if made else {}
    return opened


async def _report(run: Run, msp: Msp, event: Event, outcome: Outcome, verified: Skippable) -> None:
    leaving, snapshot = outcome.leaving, outcome.snapshot
    finance = for_finance(snapshot.contracts, snapshot.recurring_invoices, leaving.last_day)
    await file_report(
        run,
        msp.halo,
        event,
        workflow="churn_client",
        title=f"Wound down; last service day: {leaving.last_day}",
        client=(leaving.client.id, leaving.client.name),
        lines=outcome.lines(),
        remarks=[
            *said_by_the_event(leaving),
            *leaving.client.remarks,
            *([] if msp.policy.churn_client.final_billing else finance),
            *(
                f"look yourself, it could not be read: {what}"
                for what in [*snapshot.not_read, *snapshot.unknown_access]
            ),
            *(verified.remarks if verified else []),
        ],
    )
