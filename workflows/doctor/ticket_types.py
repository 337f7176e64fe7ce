"""Which ticket types ask for more than a status before they let a ticket be closed."""

from typing import Final

from workflows.closing_rules import ClosingRules, closing_rules
from workflows.doctor.examination import Check, Verdict, persistently
from workflows.doctor.patient import Patient
from workflows.doctor.rights import READ_LISTS
from workflows.halopsa import HaloRefused
from workflows.halopsa.setup_models import TicketType
from workflows.resolve import chosen, references

AT_MOST: Final = 30
"""Ticket types that are looked at: each takes a request."""
TYPES: Final = "Configuration > Tickets > Ticket Types"


async def ticket_types(patient: Patient) -> Verdict:
    """Look what each ticket type asks for when one of its tickets is closed."""
    listed = await patient.halo.ticket_types.find()
    rules = await closing_rules(patient.halo, patient.policy)
    closing = [one for one in listed if one.id not in rules.keep_type_ids]
    types = [await _in_full(patient, one) for one in closing[:AT_MOST]]
    demands = [f"{one.name}: {demand}" for one in types for demand in _demands(one, rules)]
    if demands:
        mend = (
            "Give the fields as close_fields, and a status of its own as closed_status, under [ticket_types.NAME] in "
            f"the policy file, or change the type under {TYPES}; tickets that wait for an approval are left for people."
        )
        return Verdict("warning", f"tickets of these types would not close: {'; '.join(demands)}", mend)
    unseen = f"; {len(closing) - AT_MOST} of them were not looked at" if len(closing) > AT_MOST else ""
    return Verdict("ok", f"ticket types: {len(listed)}{unseen}")


async def opened_types(patient: Patient) -> list[int]:
    """Return the ticket types that the policy names for tickets which are opened or closed.

    Raises:
        NeedsOperator: HaloPSA does not have one of them.
    """
    wanted = {one.wanted for one in references(patient.policy) if one.list == "ticket type"}
    if not wanted:
        return []
    known = await patient.halo.ticket_types.find()
    kept = (await closing_rules(patient.halo, patient.policy)).keep_type_ids
    return sorted({chosen(known, one, "ticket type").id for one in wanted} - set(kept))


TICKET_TYPES: Final = Check(
    "ticket-types",
    ticket_types,
    ("churn_client: tickets, ticket", "onboard_client: kick-off"),
    READ_LISTS,
    ("token", "closed-status"),
    optional=True,
)


async def _in_full(patient: Patient, one: TicketType) -> TicketType:
    """Read a ticket type by itself: a list leaves out what its tickets need."""
    try:
        return await persistently(patient.halo.ticket_types.get, one.id)
    except HaloRefused:
        return one


def _demands(one: TicketType, rules: ClosingRules) -> list[str]:
    given = rules.closing(one.id)
    names = {name.casefold() for name in (*given, *given.get("custom_fields", {}))}
    mandatory = [field.fieldname for field in one.fields if field.fieldinfo.get("mandatory")]
    missing = [name for name in mandatory if name.casefold() not in names]
    demands = [f"asks for {', '.join(missing)}"] if missing else []
    if one.mandatory_fields and not mandatory and one.id not in rules.type_fields:
        demands.append("asks for fields, HaloPSA does not say which")
    if one.approval_process_id > 0:
        demands.append("has an approval process")
    if one.allowed_status_ids and given["status_id"] not in one.allowed_status_ids:
        demands.append("does not allow the status that closes")
    return demands
