"""Ending the contracts of a client that leaves on its last service day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from worker.run import Run
from workflows.ensure import Ensured, Skippable
from workflows.halopsa import Halo, HaloRefused
from workflows.halopsa.models import Contract


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the contracts.

    Attributes:
        ids: those that end.
        skipped: those that an operator left out.
        refused: what HaloPSA said, by contract.
    """

    ids: list[int]
    skipped: list[int]
    refused: dict[int, str]


async def end_contracts(run: Run, halo: Halo, contracts: Sequence[Contract], last_day: date) -> Ended:
    """End those contracts that would go on; a refused one holds up nothing else."""
    ended = Ended([], [], {})
    for contract in contracts:
        if not (runs_past(contract, last_day) or may_roll(contract)):
            continue
        try:
            done = await run.step(f"contract:{contract.id}", end_contract, halo, contract, last_day)
            (ended.ids if done else ended.skipped).append(contract.id)
        except HaloRefused as refusal:
            ended.refused[contract.id] = refusal.what
    return ended


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
