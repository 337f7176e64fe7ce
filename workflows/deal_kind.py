"""What a won deal is: said by the policy or the event, else by a person."""

from typing import Any

from worker.events import Event
from worker.run import Run
from workflows.asked import ask
from workflows.canonical import Deal
from workflows.ensure import ClientRef, is_prospect
from workflows.halopsa import Halo
from workflows.msp import Msp
from workflows.policy import Policy
from workflows.policy.onboarding import KINDS, Kind


def kind_by_rule(event: Event, deal: Deal, policy: Policy) -> Kind | None:
    """Say what a deal is; None where neither the policy nor the event says."""
    system = event.origin.partition("/")[0] or event.source
    return policy.deals.kind_of(source=system, pipeline=deal.pipeline, name=deal.name, type=deal.kind)


async def settled_kind(run: Run, msp: Msp, deal: Deal, client: ClientRef, kind: Kind | None) -> Kind:
    """Say what a deal of this client is; where nothing says it, a person does.

    Args:
        run: what may wait.
        msp: HaloPSA and the policy.
        deal: the deal.
        client: the client as it was found or made.
        kind: what the policy or the event says.
    """
    if kind:
        return kind
    if client.created:
        return "new"
    if msp.policy.deals.unmapped != "ask":
        return msp.policy.deals.unmapped
    if await run.step("first-deal", is_first, msp.halo, client.id, deal.id):
        return "new"
    return await _asked(run, deal, client, hours=msp.policy.approval_hours)


async def is_first(halo: Halo, client_id: int, deal_id: str) -> bool:
    """Whether a deal is a known client's first one: its contract stands already, or the client was a prospect."""
    contracts = await halo.contracts.find(client_id=client_id)
    made = any(contract.ref.strip() == deal_id for contract in contracts)
    return made or await is_prospect(halo, await halo.clients.get(client_id))


async def _asked(run: Run, deal: Deal, client: ClientRef, *, hours: int) -> Kind:
    question = (
        f"What is deal {deal.id} {deal.name!r} of {client.name} ({client.id}), which HaloPSA has already? Answer "
        f'{{"kind": …}} with one of {", ".join(KINDS)}; a plain yes takes it as an addition.'
    )
    return await ask(run, "deal-kind", question, read_kind, hours=hours)


def read_kind(answer: Any) -> Kind | None:
    """Read a person's answer: ``{"kind": "renewal"}`` or the word alone; a plain yes takes the deal as an addition."""
    given = answer.get("kind") if isinstance(answer, dict) else "addition" if answer in (None, True) else answer
    word = given.strip().casefold() if isinstance(given, str) else ""
    return next((kind for kind in KINDS if kind == word), None)
