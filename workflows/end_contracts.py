"""Ending the contracts of a client that leaves on its last service day."""

from collections.abc import Sequence
from datetime import date

from workflows.attempts import Attempts, change_each
from workflows.ensure.contract import with_rolling
from workflows.halopsa import Halo
from workflows.halopsa.models import Contract
from workflows.restore import Change, Value


async def contract_changes(halo: Halo, contracts: Sequence[Contract], last_day: date) -> list[Change]:
    """Say what is to be changed so that contracts end on the last service day and do not roll on.

    One that ends earlier keeps its end; one that starts later becomes inactive and ends on its first day.
    """
    changes = []
    for contract in contracts:
        fields = _changed(await with_rolling(halo, contract), last_day) if contract.active else {}
        if fields:
            changes.append(Change(what="contract", ids=[contract.id], fields=fields))
    return changes


async def end_contracts(attempts: Attempts, halo: Halo, changes: Sequence[Change]) -> list[int]:
    """End contracts.

    Returns:
        The ids of those that end.
    """
    return await change_each(attempts, "contract:", halo.contracts, changes)


def runs_past(contract: Contract, last_day: date) -> bool:
    """Whether a contract goes on after the last service day, or begins only then."""
    return contract.active and (contract.rolling is True or contract.end is None or contract.end > last_day)


def begins_after(contract: Contract, last_day: date) -> bool:
    """Whether a contract begins when the service is over."""
    return contract.start is not None and contract.start > last_day


def may_roll(contract: Contract) -> bool:
    """Whether a contract may roll on after its end: HaloPSA's listings do not always say."""
    return contract.active and contract.rolling is None and not contract.expired


def _changed(contract: Contract, last_day: date) -> dict[str, tuple[Value, Value]]:
    fields: dict[str, tuple[Value, Value]] = {}
    if runs_past(contract, last_day) and contract.end != _limit(contract, last_day):
        fields["end"] = (contract.end, _limit(contract, last_day))
    if runs_past(contract, last_day) and begins_after(contract, last_day):
        fields["active"] = (True, False)
    if contract.rolling or may_roll(contract) or (fields and contract.rolling is None):
        fields["rolling"] = (contract.rolling, False)
    return fields


def _limit(contract: Contract, last_day: date) -> date:
    return max(last_day, contract.start or last_day)
