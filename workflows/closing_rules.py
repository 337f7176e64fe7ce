"""What closing takes in this tenant: the policy's names, looked up in HaloPSA."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from workflows.ensure.ticket import field_values
from workflows.halopsa import Halo
from workflows.halopsa.models import Ticket
from workflows.policy import Policy
from workflows.resolve import chosen


class ClosingRules(BaseModel):
    """How tickets are closed, by HaloPSA's ids.

    Attributes:
        status_id: the status that closes.
        type_status_ids: ticket type → the status that closes its tickets, where the type has its own.
        type_fields: ticket type → the fields that closing one needs, as a ticket's update takes them.
        keep_type_ids: types of tickets that are handed over instead.
        outcome_id: the outcome of internal notes.
        closer_agent_id: who is assigned to tickets that nobody has; None: who signs in.
    """

    status_id: int
    type_status_ids: dict[int, int] = Field(default_factory=dict)
    type_fields: dict[int, dict[str, Any]] = Field(default_factory=dict)
    keep_type_ids: list[int] = Field(default_factory=list)
    outcome_id: int = 7
    closer_agent_id: int | None = None

    def closing(self, type_id: int) -> dict[str, Any]:
        """Return the fields that close a ticket of a type."""
        return {**self.type_fields.get(type_id, {}), "status_id": self.type_status_ids.get(type_id, self.status_id)}

    def is_open(self, ticket: Ticket) -> bool:
        """Whether a ticket is open: rows may lack HaloPSA's word that it is closed, and have the status alone."""
        return not ticket.closed and ticket.status_id not in (self.status_id, *self.type_status_ids.values())


async def closing_rules(halo: Halo, policy: Policy, data: Mapping[str, Any] | None = None) -> ClosingRules:
    """Look up what the policy says of closing.

    Args:
        halo: HaloPSA.
        policy: the rules.
        data: an event's, for the places in the fields' texts; None leaves them empty.

    Raises:
        NeedsOperator: HaloPSA does not have what the policy names.
    """
    churn, kinds = policy.churn_client, policy.ticket_types
    types = {name: await _type_id(halo, name) for name in (*churn.keep_types, *kinds)}
    own = {types[name]: rules.closed_status for name, rules in kinds.items() if rules.closed_status is not None}
    agent = churn.closer_agent
    return ClosingRules(
        status_id=await closed_status_id(halo, churn.closed_status),
        type_status_ids={type_id: await closed_status_id(halo, status) for type_id, status in own.items()},
        type_fields={types[name]: field_values(rules.close_fields, data or {}) for name, rules in kinds.items()},
        keep_type_ids=[types[name] for name in churn.keep_types],
        outcome_id=churn.note_outcome_id,
        closer_agent_id=None if agent is None else chosen(await halo.agents.find(), agent, "agent").id,
    )


async def closed_status_id(halo: Halo, wanted: int | str) -> int:
    """Find the status that closes tickets.

    Raises:
        NeedsOperator: HaloPSA does not have it.
    """
    return wanted if isinstance(wanted, int) else chosen(await halo.statuses.find(), wanted, "ticket status").id


async def _type_id(halo: Halo, wanted: int | str) -> int:
    if isinstance(wanted, int) or wanted.isdecimal():
        return int(wanted)
    return chosen(await halo.ticket_types.find(), wanted, "ticket type").id
