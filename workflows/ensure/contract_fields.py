"""What a deal and the policy say about a contract, in the fields of HaloPSA's contracts."""

from collections.abc import Mapping
from typing import Any

from worker.errors import NeedsOperator
from workflows.canonical import Deal, DealLine
from workflows.ensure.ticket import filled_fields
from workflows.halopsa import Halo
from workflows.policy import Policy
from workflows.policy.onboarding import DealKind
from workflows.resolve import chosen


class ContractFields:
    """Finds HaloPSA's entries for a contract; what HaloPSA does not have is remarked and left out.

    What the deal says goes before what the policy says of its kind.

    Args:
        halo: HaloPSA.
        deal: the deal.
        kind: what the policy says of such deals.
        policy: the MSP's words for HaloPSA's entries.
        data: the event's data, for the places in the policy's texts.

    Attributes:
        remarks: what could not be set, and why.
    """

    def __init__(self, halo: Halo, deal: Deal, kind: DealKind, policy: Policy, data: Mapping[str, Any]) -> None:
        self._halo, self._deal, self._kind, self._policy, self._data = halo, deal, kind, policy, data
        self.remarks: list[str] = []

    async def values(self) -> dict[str, Any]:
        """Return the fields by our names; None is not to be set."""
        terms, kind = self._deal.contract, self._kind
        return {
            "type_id": self._number("contract type", terms.type) or kind.contract_type_id,
            "pdf_template_id": self._number("contract template", terms.template) or kind.pdf_template_id,
            "sla_id": await self._sla(),
            "billing_period_id": self._billing_period(),
            "billing_plans": [{"plan_id": kind.billing_plan_id}] if kind.billing_plan_id else None,
            "period_charge": recurring_amount(self._deal),
            "custom_fields": filled_fields(kind.custom_fields, self._data) or None,
            "note": note(self._deal) or None,
        }

    def _number(self, what: str, given: str | None) -> int | None:
        """Read a number of HaloPSA's, which keeps no list of these that the API could be asked for."""
        if given is None or given.isdecimal():
            return int(given) if given else None
        self.remarks.append(f"{what} {given} not set: it must be HaloPSA's number")
        return None

    async def _sla(self) -> int | None:
        wanted = self._deal.contract.sla or self._kind.sla
        if wanted is None:
            return None
        try:
            return chosen(await self._halo.slas.find(), wanted, "SLA").id
        except NeedsOperator as refusal:
            self.remarks.append(f"SLA {wanted} not set: {refusal.what}")
            return None

    def _billing_period(self) -> int | None:
        periods = {word.casefold(): number for word, number in self._policy.halopsa.billing_periods.items()}
        words = [word for word in (self._deal.contract.billing_period, self._kind.billing_period) if word]
        found = next((periods[word.casefold()] for word in words if word.casefold() in periods), None)
        if words and found is None:
            self.remarks.append(f"billing period {words[0]} not set: the policy has no such word in billing_periods")
        return found


def recurring_amount(deal: Deal) -> float | None:
    """Return what is charged for each billing period: the deal's word, else the sum of its recurring lines."""
    if deal.recurring_amount is not None:
        return deal.recurring_amount
    lines = [line.quantity * line.unit_price for line in deal.lines if line.recurring and line.unit_price is not None]
    return round(sum(lines), 2) if lines else None


def note(deal: Deal) -> str:
    """Say in words what the fields of a contract have no place for."""
    one_off = f"One-off: {deal.one_off_amount:g} {deal.currency or ''}".rstrip() if deal.one_off_amount else ""
    notice = deal.contract.notice_days
    return "\n".join(
        filter(
            None,
            [
                deal.name,
                f"Purchase order: {deal.po_number}" if deal.po_number else "",
                f"Notice: {notice} days" if notice is not None else "",
                one_off,
                *map(_line, deal.lines),
                deal.url,
            ],
        )
    )


def _line(line: DealLine) -> str:
    price = "" if line.unit_price is None else f" at {line.unit_price:g}{'' if line.recurring else ' once'}"
    return f"{line.quantity:g} × {line.name or line.sku}{price}"  # noqa: RUF001 - the sign for "times"
