"""A won deal that is open again: its onboarding stops, or somebody is asked to look; nothing is undone."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from pydantic import BaseModel, Field

from worker.events import Event
from worker.run import Halted, Run
from workflows.canonical import ReopenedDeal, reopened_deal
from workflows.end_billing import open_own_ticket
from workflows.ensure import ClientRef, listed
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.known_client import seek_known
from workflows.msp import Msp
from workflows.report import Line, file_report
from workflows.routes import onboarding_route

SAID: Final[Mapping[Halted, str]] = {
    "none": "no onboarding of it is known",
    "newer": "it has been won again by a later event",
    "cancelled": "its onboarding had written nothing and is cancelled",
    "paused": "its onboarding is paused before its next write: resume it or cancel it",
    "finished": "its onboarding is finished, and nothing of it is undone",
}


class Reopened(BaseModel):
    """What became of a reopened deal's onboarding.

    Attributes:
        onboarding: see `worker.run.Run.halt`.
        client_id: the client in HaloPSA; None where it does not stand there.
        contract_ids: the deal's contracts, which stay.
        ticket_ids: the ticket that asks somebody to look, where the policy has one.
    """

    onboarding: Halted
    client_id: int | None = None
    contract_ids: list[int] = Field(default_factory=list)
    ticket_ids: list[int] = Field(default_factory=list)


async def deal_reopened(run: Run, msp: Msp, event: Event) -> Reopened:
    """Stop the onboarding of a deal that is open again; where it is finished, ask somebody to look.

    Raises:
        InvalidEvent: the event lacks what is needed.
        NeedsOperator: a person must decide or mend something in HaloPSA.
        RetryLater: HaloPSA cannot be asked now.
    """
    reopened, halo = reopened_deal(event), msp.halo
    what = f"Deal {reopened.deal.id} {reopened.deal.name}".rstrip() + " is open again"
    onboarding = await run.halt("onboarding", "onboard_client", onboarding_route(event).fact, what)
    await run.remark("outcome", f"{what}; {SAID[onboarding]}")
    if onboarding in {"none", "newer"}:
        return Reopened(onboarding=onboarding)
    client = await run.step("client", seek_known, halo, reopened.client)
    contracts = await run.step("contracts", contracts_of, halo, client.id, reopened.deal.id) if client else []
    lines = [Line(what="onboarding", done="left" if onboarding == "finished" else "ended", why=SAID[onboarding])]
    if contracts:
        lines.append(Line(what="contract", done="left", ids=contracts, name=reopened.deal.id))
    if onboarding == "finished":
        lines.append(await _ask_somebody(run, msp, event, _question(reopened, client, contracts)))
    if client:
        about = (client.id, client.name)
        await file_report(run, halo, event, workflow=deal_reopened.__name__, title=what, client=about, lines=lines)
    return Reopened(
        onboarding=onboarding,
        client_id=client.id if client else None,
        contract_ids=contracts,
        ticket_ids=[number for line in lines if line.what == "ticket" for number in line.ids],
    )


async def contracts_of(halo: Halo, client_id: int, deal_id: str) -> list[int]:
    """List a deal's contracts; none where the API agent may not see contracts."""
    try:
        contracts = await halo.contracts.find(client_id=client_id)
    except (HaloForbidden, HaloNotFound):
        return []
    return [contract.id for contract in contracts if contract.ref.strip() == deal_id]


async def _ask_somebody(run: Run, msp: Msp, event: Event, question: str) -> Line:
    """Open the policy's ticket, or wait until a person has looked."""
    task = msp.policy.deal_reopened.task
    if task is None:
        within = timedelta(hours=msp.policy.approval_hours)
        seen = await run.approval("look", f"{question} Look what is to be done, then approve.", within=within)
        return Line(what="person", done="asked", name=seen.by, why=seen.reason)
    opened = await run.step("task", open_own_ticket, msp.halo, msp.policy, task, event.data, text=question, mark=run.id)
    if opened is None:
        return Line(what="ticket", done="skipped", why="by an operator")
    return Line(what="ticket", done="made", ids=[opened.id], why="for the owner of the deal")


def _question(reopened: ReopenedDeal, client: ClientRef | None, contracts: list[int]) -> str:
    stands = f"client {client.name} ({client.id}) stands in HaloPSA" if client else "HaloPSA shows no such client"
    return (
        f"Deal {reopened.deal.id} is open again after its onboarding; {stands}; contracts of the deal: "
        f"{listed(contracts)}; owner of the deal: {reopened.deal.owner_email or 'unknown'}. Nothing was undone."
    )
