"""What must be looked at by a person before a client is wound down."""

from collections.abc import Collection
from datetime import date, timedelta
from typing import Final

from worker.run import Run
from workflows.canonical import ChurnedClient
from workflows.ensure import ClientRef
from workflows.leaving_client import Leaving
from workflows.policy import Policy
from workflows.snapshot import Snapshot

UNKNOWN: Final = "unknown"
"""HaloPSA's name for the client of what comes from nobody it knows."""


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
