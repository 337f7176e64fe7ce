"""Ending the contracts of a client that leaves on its last service day."""

from collections.abc import Sequence
from datetime import date

from workflows.attempts import Attempts
from workflows.ensure import Ensured, Skippable
from workflows.halopsa import Halo
from workflows.halopsa.models import Contract


async def end_contracts(
    attempts: Attempts, halo: Halo, contracts: Sequence[Contract], last_day: date
) -> tuple[list[int], list[int]]:
    """End those contracts that would go on.

    Returns:
        The ids of those that end, and of those that an operator left out.
    """
    ended, left_out = [], []
    for contract in contracts:
        if runs_past(contract, last_day) or may_roll(contract):
            step = f"contract:{contract.id}"
            if await attempts.step(step, end_contract, halo, contract, last_day):
                ended.append(contract.id)
            elif step in attempts.skipped:
                left_out.append(contract.id)
    return ended, left_out


async def end_contract(halo: Halo, contract: Contract, last_day: date) -> Skippable:
    """Let a contract end on the last service day, and not roll on; one that ends earlier keeps its end."""
    end = _limit(contract, last_day) if runs_past(contract, last_day) else contract.end
    await halo.contracts.update(contract.id, end=end, rolling=False)
    return Ensured(id=contract.id)


def runs_past(contract: Contract, last_day: date) -> bool:
    """Whether a contract goes on after the last service day; one that starts later ends on its first day."""
    return contract.active and (
        contract.rolling is True or contract.end is None or contract.end > _limit(contract, last_day)
    )


def may_roll(contract: Contract) -> bool:
    """Whether a contract may roll on after its end: HaloPSA's listings do not always say."""
    return contract.active and contract.rolling is None and not contract.expired


def _limit(contract: Contract, last_day: date) -> date:
    return max(last_day, contract.start or last_day)
