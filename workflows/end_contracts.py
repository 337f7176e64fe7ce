"""Ending the contracts of a client that leaves on its last service day."""

from collections.abc import Sequence
from datetime import date

from workflows.attempts import Attempts, change_each
from workflows.ensure import Ensured
from workflows.halopsa import Halo
from workflows.halopsa.models import Contract
from workflows.restore import Change, Value


def contract_changes(contracts: Sequence[Contract], last_day: date) -> list[Change]:
    """Say what is to be changed so that contracts end on the last service day and do not roll on.

    One that ended earlier keeps its end, unless it may have rolled on since; one that starts later becomes inactive and
    ends on its first day.
    """
    return [
        Change(what="contract", ids=[one.id], fields=_changed(one, last_day))
        for one in contracts
        if runs_past(one, last_day) or may_roll(one)
    ]


async def end_contracts(attempts: Attempts, halo: Halo, changes: Sequence[Change]) -> list[Ensured]:
    """End contracts.

    Returns:
        Those that end.
    """
    return await change_each(attempts, "contract:", halo.contracts, changes)


def runs_past(contract: Contract, last_day: date) -> bool:
    """Whether a contract goes on after the last service day, or begins only then."""
    return contract.active and (contract.rolling is True or contract.end is None or contract.end > last_day)


def begins_after(contract: Contract, last_day: date) -> bool:
    """Whether a contract begins when the service is over."""
    return contract.start is not None and contract.start > last_day


def may_roll(contract: Contract) -> bool:
    """Whether a contract may roll on after its end, which HaloPSA says only of a contract that is read by itself."""
    return contract.active and contract.rolling is None and not contract.expired


def _changed(contract: Contract, last_day: date) -> dict[str, tuple[Value, Value]]:
    fields: dict[str, tuple[Value, Value]] = {}
    end = max(last_day, contract.start or last_day)
    if contract.end != end:
        fields["end"] = (contract.end, end)
    if begins_after(contract, last_day):
        fields["active"] = (True, False)
    if contract.rolling is not False:
        fields["rolling"] = (contract.rolling, False)
    return fields
