"""Tickets that Parhelion opens itself: found by their mark, else opened."""

from collections.abc import Mapping
from typing import Any

from workflows.ensure.ensured import Ensured, Skippable, eldest
from workflows.halopsa import Halo
from workflows.halopsa.dialects.entity import AS_NAMED
from workflows.policy import Policy
from workflows.policy.parts import CUSTOM_FIELD, FieldValue, TicketTemplate
from workflows.policy.template import filled
from workflows.resolve import chosen


async def ensure_ticket(
    halo: Halo,
    client_id: int,
    template: TicketTemplate,
    policy: Policy,
    data: Mapping[str, Any],
    *,
    mark: str,
    text: str = "",
    look: bool = True,
) -> Skippable:
    """Find an open ticket by its mark, or open it.

    Args:
        halo: HaloPSA.
        client_id: whose ticket it is.
        template: what it looks like.
        policy: says what tickets of its type need.
        data: the event's, for the template's places.
        mark: tells it from all others; stands behind its headline, where lists show it.
        text: what follows the template's own text.
        look: whether it may be there already although this step has not written yet.

    Raises:
        NeedsOperator: HaloPSA does not have what the template names.
    """
    summary = f"{filled(template.summary, data)} [{mark}]"
    if look or halo.in_doubt:
        known = [row for row in await halo.tickets.find(client_id=client_id) if row.summary == summary]
        if known:
            return Ensured(id=eldest(known).id, created=halo.in_doubt, in_doubt=halo.in_doubt)
    kind = chosen(await halo.ticket_types.find(), template.ticket_type, "ticket type")
    needed = [rules.open_fields for name, rules in policy.ticket_types.items() if _names(name, kind.id, kind.name)]
    fields = {name: value for given in (*needed, template.fields) for name, value in given.items()}
    team, agent = template.team, template.agent
    made = await halo.tickets.create(
        client_id=client_id,
        type_id=kind.id,
        summary=summary,
        details="\n".join(filter(None, [filled(template.details, data), text])),
        team=None if team is None else chosen(await halo.teams.find(), team, "team").name,
        agent_id=None if agent is None else chosen(await halo.agents.find(), agent, "agent").id,
        skip_rules=True,
        **field_values(fields, data),
    )
    return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt)


def filled_fields(fields: Mapping[str, FieldValue], data: Mapping[str, Any]) -> dict[str, FieldValue]:
    """Fill the places of the fields that are texts."""
    return {name: filled(value, data) if isinstance(value, str) else value for name, value in fields.items()}


def field_values(fields: Mapping[str, FieldValue], data: Mapping[str, Any]) -> dict[str, dict[str, FieldValue]]:
    """Bring fields of the policy, which bear HaloPSA's names, into the form in which a ticket's writes take them.

    Args:
        fields: names and values; custom fields by name or id.
        data: the event's, for the places of those that are texts.
    """
    values = filled_fields(fields, data)
    custom = {name: value for name, value in values.items() if CUSTOM_FIELD.fullmatch(name)}
    named = {name: value for name, value in values.items() if name not in custom}
    return ({AS_NAMED: named} if named else {}) | ({"custom_fields": custom} if custom else {})


def _names(key: str, type_id: int, name: str) -> bool:
    return key.casefold() in (str(type_id), name.strip().casefold())
