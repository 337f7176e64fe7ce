"""Whether HaloPSA has what the policy and the settings name."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from worker.errors import NeedsOperator
from workflows.doctor.examination import Check, Verdict
from workflows.doctor.patient import NO_SOURCE, Patient
from workflows.doctor.rights import READ_CUSTOMERS, READ_LISTS, READ_WEBHOOKS
from workflows.doctor.sign_in import LOG_IN_AS, signed_in_agent
from workflows.halopsa import HaloForbidden, HaloRefused
from workflows.halopsa.dialects import UNASSIGNED_AGENT_ID
from workflows.halopsa.models import Agent, Webhook
from workflows.resolve import chosen, resolve

CLOSER: Final = (
    "PARHELION_HALO_CLOSER_AGENT_ID must be the id of an agent under Configuration > Agents that is not disabled, and "
    "not 1, which is nobody."
)
NOBODY_CLOSES: Final = "HaloPSA closes no ticket that nobody is assigned to"


async def closing_agent(patient: Patient) -> Verdict:
    """Find who is assigned to tickets that nobody has, when they are closed."""
    wanted = patient.halo.closer_agent_id or patient.policy.churn_client.closer_agent
    if wanted is None:
        return await _signed_in_closes(patient)
    if wanted == UNASSIGNED_AGENT_ID:
        return Verdict("fails", f"agent {wanted} is nobody. {NOBODY_CLOSES}", CLOSER)
    try:
        found = await _agent(patient, wanted)
    except HaloForbidden as error:
        return Verdict("warning", f"agent {wanted} could not be looked up: {error.what}", CLOSER)
    except NeedsOperator as error:
        return Verdict("fails", f"{error.what} {NOBODY_CLOSES}", CLOSER)
    return _may_close(found, CLOSER)


async def closed_status(patient: Patient) -> Verdict:
    """Find the status that closes tickets."""
    known = await patient.halo.statuses.find()
    try:
        found = chosen(known, patient.policy.churn_client.closed_status, "ticket status")
    except NeedsOperator as error:
        names = ", ".join(status.name for status in known)
        mend = f"Set closed_status under [churn_client] in the policy file to the one that closes tickets: {names}"
        return Verdict("fails", error.what, mend)
    return Verdict("ok", f"{found.name} ({found.id})")


async def policy_names(patient: Patient) -> Verdict:
    """Look up every name of the policy in HaloPSA's lists."""
    problems = await resolve(patient.halo, patient.policy)
    if problems:
        return Verdict(
            "fails", "; ".join(map(str, problems)), "Correct the policy file, or add the entries in HaloPSA."
        )
    return Verdict("ok", "HaloPSA has every name of the policy")


async def key_field(patient: Patient) -> Verdict:
    """Find the custom field that holds the CRM's key."""
    place = patient.policy.halopsa.external_key
    if not place.startswith("CF"):
        return Verdict("ok", f"the CRM's key stands in the client's own field {place!r}")
    names = [field.name for field in await patient.halo.custom_fields()]
    if place.casefold() not in map(str.casefold, names):
        mend = f"Add a custom field {place} for customers in HaloPSA's configuration."
        return Verdict("fails", f"HaloPSA has no custom field {place!r} for customers", mend)
    return Verdict("ok", f"the CRM's key stands in the custom field {place!r}")


async def webhook(patient: Patient) -> Verdict:
    """Find the webhook by which HaloPSA tells what happens in it."""
    address = patient.webhook_address
    if address is None:
        return Verdict("skipped", NO_SOURCE)
    ours = [hook for hook in await patient.halo.webhooks.find() if address in hook.url]
    if not ours:
        mend = f"Add a webhook in HaloPSA's configuration that sends to Parhelion's public address, …{address}."
        return Verdict("fails", f"no webhook of HaloPSA sends to {address}", mend)
    if not any(hook.active and not hook.disabled for hook in ours):
        mend = "Enable it in HaloPSA's configuration; HaloPSA disables a webhook after too many failures."
        return Verdict("fails", f"webhook {_names(ours)} is disabled", mend)
    return _last_delivery(ours)


SETUP_CHECKS: Final[Sequence[Check[Patient]]] = (
    Check("closing-agent", closing_agent, ("churn_client: tickets, ticket",), READ_LISTS),
    Check("closed-status", closed_status, ("churn_client: closing-rules",), READ_LISTS, ("token", "statuses")),
    Check("policy-names", policy_names, ("every workflow",), READ_LISTS),
    Check("key-field", key_field, ("onboard_client: client", "churn_client: client"), READ_CUSTOMERS),
    Check("webhook", webhook, ("events from HaloPSA",), READ_WEBHOOKS),
)


async def _signed_in_closes(patient: Patient) -> Verdict:
    mend = f"{LOG_IN_AS} Or: {CLOSER}"
    try:
        me = await signed_in_agent(patient.halo)
    except HaloRefused as error:
        return Verdict("fails", f"{NOBODY_CLOSES}, and there is no agent to assign: {error.what}", mend)
    if me is None or me.id == UNASSIGNED_AGENT_ID:
        return Verdict("fails", f"{NOBODY_CLOSES}, and the application logs in as no agent", mend)
    return _may_close(me, mend)


def _may_close(agent: Agent, mend: str) -> Verdict:
    if agent.disabled:
        return Verdict("fails", f"agent {agent.name} ({agent.id}) is disabled. {NOBODY_CLOSES}", mend)
    return Verdict("ok", f"{agent.name} ({agent.id}) is assigned to what nobody has")


async def _agent(patient: Patient, wanted: int | str) -> Agent:
    """Find an agent, also one that the list leaves out.

    Raises:
        NeedsOperator: there is none.
    """
    try:
        return chosen(await patient.halo.agents.find(), wanted, "agent")
    except NeedsOperator:
        if isinstance(wanted, str):
            raise
        return await patient.halo.agents.get(wanted)


def _last_delivery(hooks: Sequence[Webhook]) -> Verdict:
    failed = [hook for hook in hooks if hook.last_status >= HTTPStatus.MULTIPLE_CHOICES]
    if failed:
        mend = "Look at its deliveries in HaloPSA's configuration, and at the address that it sends to."
        return Verdict(
            "warning", f"the last delivery of {_names(failed)} was answered with {failed[0].last_status}", mend
        )
    return Verdict("ok", f"webhook {_names(hooks)} is active")


def _names(hooks: Sequence[Webhook]) -> str:
    return ", ".join(repr(hook.name or hook.id) for hook in hooks)
