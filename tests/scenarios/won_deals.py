"""Won deals in a row, and what a tenant has of them."""

from typing import Any

from tests.memory_run import Notebook
from tests.tenant import Tenant, event
from workflows.policy import Policy

Fields = dict[str, Any]


def policy(**sections: Any) -> Policy:
    return Policy.model_validate(sections)


def next_deal(deal: Fields, kind: str = "", **of_deal: Any) -> Fields:
    """A further deal of the same client."""
    return deal | {"deal": {"id": "D-1002", "name": "More", "kind": kind, **of_deal}}


async def onboarded(tenant: Tenant, deal: Fields) -> Any:
    deal["deal"].setdefault("kind", "new")
    return await tenant.finish(event("deal.won", deal))


async def further(tenant: Tenant, data: Fields, **answers: Any) -> Any:
    given = {step.replace("_", "-"): answer for step, answer in answers.items()}
    return await tenant.finish(event("deal.won", data), Notebook(run=f"r-{data['deal']['id']}", answers=given))


def contracts(tenant: Tenant) -> dict[str, Fields]:
    return {row["ref"]: row for row in tenant.rows("ClientContract")}
