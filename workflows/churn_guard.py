"""What must be looked at by a person before a client is wound down."""

import html
from collections.abc import Collection
from datetime import date, timedelta
from typing import Final

from worker.run import Run
from workflows.came_back import FIRST_LINE
from workflows.canonical import ChurnedClient
from workflows.ensure import ClientRef, Skippable
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.halopsa.models import Contract
from workflows.leaving_client import Leaving
from workflows.policy import Policy
from workflows.snapshot import Snapshot

UNKNOWN: Final = "unknown"
"""HaloPSA's name for the client of what comes from nobody it knows."""
ONBOARDING: Final = "(onboard_client)"
"""What the report of a won deal's run says of itself."""


def doubts(client: Leaving, churn: ChurnedClient, last_day: date, snapshot: Snapshot, policy: Policy) -> list[str]:
    """Say why a person should decide; an empty list where nothing speaks against going on.

    Args:
        client: the client as it was found.
        churn: what the event says.
        last_day: the last service day.
        snapshot: what the client has.
        policy: the thresholds.
    """
    rules, found = policy.churn_client, []
    if not client.keyed:
        found.append("it was found by its name alone")
    if client.name.casefold() == UNKNOWN:
        found.append("HaloPSA puts under it what belongs to no client")
    if _is_own(client, policy):
        found.append("the policy names it as the MSP's own")
    if snapshot.open_tickets > rules.max_open_tickets:
        found.append(f"it has more than {rules.max_open_tickets} open tickets")
    if rules.ask_about_children and client.child_ids:
        found.append(f"other clients belong to it ({', '.join(str(one) for one in client.child_ids)})")
    running = [one.id for one in snapshot.contracts if one.active and one.end and one.end > last_day]
    if rules.ask_before_term and running and churn.leaves_at is None:
        found.append(f"contracts run on ({', '.join(str(one) for one in running)}), and the event names no last day")
    return found


def _is_own(client: Leaving, policy: Policy) -> bool:
    """Whether tickets for the MSP's own people are opened under the client."""
    tickets = (policy.churn_client.final_billing, policy.churn_client.rmm_task, policy.deal_reopened.task)
    own = {str(ticket.client).casefold() for ticket in tickets if ticket}
    return bool(own & {str(client.id), client.name.casefold()})


async def won_meanwhile(halo: Halo, client_id: int, before: Snapshot, now: Snapshot, noted: Skippable) -> list[str]:
    """Say what speaks for it that the client has been won again; empty where nothing does.

    Args:
        halo: HaloPSA.
        client_id: who leaves.
        before: what it had when the notice was noted.
        now: what it has.
        noted: that note.
    """
    known = {one.id: one for one in before.contracts}
    of_contracts = (_gained(known.get(one.id), one) for one in now.contracts if one.active)
    return [*filter(None, of_contracts), *await _onboarded(halo, client_id, noted)]


def _gained(before: Contract | None, now: Contract) -> str:
    """Say whether a contract is new or goes on for longer; no end is the latest of all."""
    if before is None:
        return f"contract {f'{now.id} {now.ref}'.rstrip()} was made"
    later = before.end is not None and (now.end is None or now.end > before.end)
    if later or (before.rolling is False and now.rolling):
        return f"contract {f'{now.id} {now.ref}'.rstrip()} was extended to {now.end or 'no end'}"
    return ""


async def _onboarded(halo: Halo, client_id: int, noted: Skippable) -> list[str]:
    """Quote the reports of won deals that became notes on the client after another note."""
    if noted is None or not noted.id:
        return []
    try:
        notes = await halo.notes.find(client_id=client_id)
    except (HaloForbidden, HaloNotFound):
        return []
    later = [html.unescape(one.text) for one in notes if one.id > noted.id]
    return [f"it was noted: {FIRST_LINE.split(text, 1)[0]}" for text in later if ONBOARDING in text]


async def ask(run: Run, step: str, client: ClientRef, found: Collection[str], *, hours: int) -> bool:
    """Let a person decide, where there is something to decide.

    Args:
        run: what waits.
        step: the decision's step id.
        client: what it is about.
        found: what speaks against going on, as far as no person has agreed to it.
        hours: when the decision is overdue; it is never taken by itself.

    Returns:
        Whether a person was asked.
    """
    if found:
        question = f"{client.name} ({client.id}) is to be wound down, but {'; '.join(found)}. Go on?"
        await run.approval(step, question, within=timedelta(hours=hours))
    return bool(found)


async def ask_whether_won(run: Run, client: ClientRef, news: Collection[str], *, hours: int) -> bool:
    """Let a person decide whether a client is wound down that may have been won again since its notice.

    Args:
        run: what waits.
        client: who leaves.
        news: what speaks for it.
        hours: when the decision is overdue.

    Returns:
        Whether a person was asked.
    """
    if news:
        question = (
            f"Since the notice of {client.name} ({client.id}) {'; '.join(news)}. Wind the client down all the same?"
        )
        await run.approval("won-meanwhile", question, within=timedelta(hours=hours))
    return bool(news)
