"""The contract of a won deal, by the deal's kind: made, made as another's successor, or the running one extended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from worker.run import Run
from workflows.asked import ask
from workflows.canonical import Deal
from workflows.ensure import ClientRef, Skippable, ensure_contract
from workflows.ensure.contract import Predecessor, extend_contract, going_on
from workflows.ensure.contract_fields import ContractFields
from workflows.halopsa import Halo
from workflows.msp import Msp
from workflows.policy import Policy
from workflows.policy.onboarding import DealKind


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was agreed.

    Attributes:
        deal: the deal.
        won_on: when it was won.
        kind: its kind.
        data: the event's data, for the places in the policy's texts.
    """

    deal: Deal
    won_on: date
    kind: str
    data: Mapping[str, Any]

    def rules(self, policy: Policy) -> DealKind:
        """Return what the policy says of such deals."""
        rules: DealKind = getattr(policy.deals, self.kind)
        return rules


async def settle_contract(run: Run, msp: Msp, client: ClientRef, site_id: int, agreed: Agreed) -> Skippable:
    """Make or extend the contract, as the policy says.

    Args:
        run: the run.
        msp: HaloPSA and the policy.
        client: whose contract it is.
        site_id: its main site.
        agreed: what it is about.

    Returns:
        The contract; None where there is to be none, or an operator left it out.
    """
    halo, what = msp.halo, agreed.rules(msp.policy).contract
    if what == "none":
        return None
    previous = None
    if what == "extend" or agreed.kind == "renewal":
        found = await run.step("previous-contracts", going_on, halo, client.id, agreed.deal.id)
        found = [one for one in found if one.running or what == "create"]
        previous = await _the_one(run, msp, client, agreed, found)
    if what == "extend" and previous:
        return await run.step("contract", extend_contract, halo, previous, agreed.deal, agreed.won_on)
    return await run.step("contract", make_contract, halo, client, site_id, agreed, msp.policy, previous)


async def make_contract(  # noqa: PLR0917 - a step's arguments
    halo: Halo, client: ClientRef, site_id: int, agreed: Agreed, policy: Policy, previous: Predecessor | None
) -> Skippable:
    """Make the deal's contract, unless it is there."""
    fields = ContractFields(halo, agreed.deal, agreed.rules(policy), policy, agreed.data)
    values = await fields.values()
    made = await ensure_contract(halo, client, site_id, agreed.deal, agreed.won_on, previous=previous, **values)
    if made is None or not made.created:
        return made
    remarks = list(fields.remarks)
    if previous and previous.running:
        remarks += _of_rolling(previous)
    return made.model_copy(update={"remarks": remarks})


def _of_rolling(previous: Predecessor) -> list[str]:
    """Say what a person has to see to where a contract goes on beside its successor, or where nobody knows."""
    if previous.rolling is None:
        return [f"whether contract {previous.id} rolls on beside its successor could not be read: end it if so"]
    return [f"contract {previous.id} rolls on beside its successor: end it"] if previous.rolling else []


async def _the_one(
    run: Run, msp: Msp, client: ClientRef, agreed: Agreed, found: Sequence[Predecessor]
) -> Predecessor | None:
    """Say which contract the deal goes on from; a person does where there are several."""
    if len(found) <= 1:
        return found[0] if found else None
    listed = "; ".join(f"{one.id} {one.ref!r} (ends {one.end or 'never'})" for one in found)
    question = (
        f"Which contract of {client.name} ({client.id}) does deal {agreed.deal.id} {agreed.deal.name!r} go on from: "
        f"{listed}? Use one by its id, or make a new one that goes on from none?"
    )
    chosen = await ask(
        run, "which-contract", question, partial(_read_contract, found=found), hours=msp.policy.approval_hours
    )
    return chosen[0] if chosen else None


def _read_contract(answer: Any, found: Sequence[Predecessor]) -> list[Predecessor] | None:
    """Read a person's answer: the contract, or an empty list for none."""
    given = answer if isinstance(answer, dict) else {}
    if given.get("create_new") is True:
        return []
    return [one for one in found if one.id == given.get("use")] or None
