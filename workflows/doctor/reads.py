"""Whether HaloPSA lets every record be read that a workflow reads."""

from collections.abc import Sequence
from typing import Any, Final

from workflows.doctor.examination import Check, Verdict
from workflows.doctor.patient import NO_SOURCE, TRIAL_NAME, Patient
from workflows.doctor.rights import (
    READ_ASSETS,
    READ_CONTRACTS,
    READ_CUSTOMERS,
    READ_INVOICES,
    READ_LISTS,
    READ_NOTES,
    READ_OPPORTUNITIES,
    READ_TICKETS,
)
from workflows.halopsa.client import COUNTRIES
from workflows.resolve import LOOKUPS, references


async def clients(patient: Patient) -> Verdict:
    """Read all clients, page by page, until HaloPSA's count is reached."""
    patient.clients = await patient.halo.clients.find()
    if not patient.clients:
        return Verdict("warning", "HaloPSA shows no client", READ_CUSTOMERS.remedy(patient.granted))
    inactive = sum(client.inactive for client in patient.clients)
    return Verdict("ok", f"clients: {len(patient.clients)}, {inactive} of them inactive; the list is complete")


async def client(patient: Patient) -> Verdict:
    """Read one client."""
    if not patient.sample_id:
        return Verdict("skipped", "there is no client to look at")
    found = await patient.halo.clients.get(patient.sample_id)
    return Verdict("ok", f"client {found.id}, {found.name}")


async def sites(patient: Patient) -> Verdict:
    """Read a client's sites."""
    return _counted(await patient.halo.sites.find(client_id=patient.sample_id), "sites", patient)


async def contacts(patient: Patient) -> Verdict:
    """Read a client's contacts."""
    return _counted(await patient.halo.contacts.find(client_id=patient.sample_id), "contacts", patient)


async def contracts(patient: Patient) -> Verdict:
    """Read a client's contracts."""
    return _counted(await patient.halo.contracts.find(client_id=patient.sample_id), "contracts", patient)


async def contract(patient: Patient) -> Verdict:
    """Read one contract: HaloPSA refuses that where the list is open to all, for want of the contract rights."""
    found = await patient.halo.contracts.find(client_id=patient.sample_id)
    if not found:
        return Verdict("skipped", f"client {patient.sample_id} has no contract to look at")
    return Verdict("ok", f"contract {(await patient.halo.contracts.get(found[0].id)).id}")


async def tickets(patient: Patient) -> Verdict:
    """Read a client's open tickets."""
    return _counted(await patient.halo.tickets.find(client_id=patient.sample_id), "open tickets", patient)


async def actions(patient: Patient) -> Verdict:
    """Read the actions of a ticket."""
    found = await patient.halo.tickets.find(client_id=patient.sample_id)
    if not found:
        return Verdict("skipped", f"client {patient.sample_id} has no open ticket to look at")
    return _counted(await patient.halo.actions.find(ticket_id=found[0].id), f"actions on ticket {found[0].id}", patient)


async def assets(patient: Patient) -> Verdict:
    """Read a client's assets."""
    return _counted(await patient.halo.assets.find(client_id=patient.sample_id), "assets", patient)


async def recurring_invoices(patient: Patient) -> Verdict:
    """Read a client's recurring invoices."""
    found = await patient.halo.recurring_invoices.find(client_id=patient.sample_id)
    return _counted(found, "recurring invoices", patient)


async def notes(patient: Patient) -> Verdict:
    """Read a client's notes."""
    return _counted(await patient.halo.notes.find(client_id=patient.sample_id), "notes", patient)


async def agents(patient: Patient) -> Verdict:
    """Read the agents."""
    return _listed(await patient.halo.agents.find(), "agents")


async def statuses(patient: Patient) -> Verdict:
    """Read the ticket statuses."""
    return _listed(await patient.halo.statuses.find(), "ticket statuses")


async def countries(patient: Patient) -> Verdict:
    """Read the countries."""
    return _listed(await patient.halo.lookup(COUNTRIES), "countries")


async def customer_types(patient: Patient) -> Verdict:
    """Read the customer types, where HaloPSA's clients have one."""
    if not patient.halo.clients.has("type_id"):
        return Verdict("skipped", "clients have no customer type in this dialect")
    return _listed(await patient.halo.lookup(LOOKUPS["customer type"]), "customer types")


async def customer_relationships(patient: Patient) -> Verdict:
    """Read the customer relationships, where the policy knows some."""
    if not (patient.policy.clients.relationships and patient.halo.clients.has("relationships")):
        return Verdict("skipped", "the policy names no relationships under [clients]")
    return _listed(await patient.halo.lookup(LOOKUPS["customer relationship"]), "customer relationships")


async def currencies(patient: Patient) -> Verdict:
    """Read the currencies, where clients have currencies of their own."""
    if not any(client.currency_id for client in patient.clients):
        return Verdict("skipped", "no client has a currency of its own")
    return _listed(await patient.halo.currencies.find(), "currencies")


async def slas(patient: Patient) -> Verdict:
    """Read the SLAs."""
    return _listed(await patient.halo.slas.find(), "SLAs")


async def teams(patient: Patient) -> Verdict:
    """Read the teams, where the policy names one."""
    if not any(one.list == "team" for one in references(patient.policy)):
        return Verdict("skipped", "the policy names no team")
    return _listed(await patient.halo.teams.find(), "teams")


async def asset_types(patient: Patient) -> Verdict:
    """Read the asset types."""
    return _listed(await patient.halo.asset_types.find(), "asset types")


async def customer_groups(patient: Patient) -> Verdict:
    """Read the customer groups: every client belongs to one."""
    return _listed(await patient.halo.top_levels.find(), "customer groups")


async def outcomes(patient: Patient) -> Verdict:
    """Read the outcomes of actions; one of them is for internal notes."""
    wanted = patient.policy.churn_client.note_outcome_id
    found = next((one for one in await patient.halo.outcomes.find() if one.id == wanted), None)
    if found is None:
        mend = "Set note_outcome_id under [churn_client] in the policy file to an outcome for internal notes."
        return Verdict("warning", f"HaloPSA's list of outcomes does not have {wanted}", mend)
    return Verdict("ok", f"reasons are noted with the outcome {found.name} ({found.id})")


async def opportunities(patient: Patient) -> Verdict:
    """Read HaloPSA's opportunities, where it is a source of won deals."""
    if patient.webhook_address is None:
        return Verdict("skipped", NO_SOURCE)
    found = await patient.halo.opportunities.find(client_id=patient.sample_id)
    return _counted(found, "open opportunities", patient)


async def leftovers(patient: Patient) -> Verdict:
    """Look for clients of earlier write tests that were not put away."""
    left = [one for one in patient.clients if one.in_use and one.name.startswith(TRIAL_NAME)]
    if left:
        names = ", ".join(f"{one.id} {one.name!r}" for one in left)
        return Verdict("warning", f"of an earlier write test there is still: {names}", "Set them inactive in HaloPSA.")
    return Verdict("ok", "no client of an earlier write test is in use")


SAMPLE: Final = ("token", "clients")

READ_CHECKS: Final[Sequence[Check[Patient]]] = (
    Check("clients", clients, ("onboard_client: client", "churn_client: client"), READ_CUSTOMERS),
    Check(
        "client",
        client,
        ("onboard_client: client, key, verify", "churn_client: inactive, verify"),
        READ_CUSTOMERS,
        SAMPLE,
    ),
    Check("sites", sites, ("onboard_client: before, main-site, site, verify",), READ_CUSTOMERS, SAMPLE),
    Check(
        "contacts",
        contacts,
        ("onboard_client: before, contact, verify", "churn_client: snapshot"),
        READ_CUSTOMERS,
        SAMPLE,
    ),
    Check(
        "contracts",
        contracts,
        ("onboard_client: previous-contracts, contract, verify", "churn_client: snapshot, contract, verify"),
        READ_CONTRACTS,
        SAMPLE,
    ),
    Check(
        "contract",
        contract,
        ("onboard_client: contract", "churn_client: contract"),
        READ_CONTRACTS,
        (*SAMPLE, "contracts"),
        optional=True,
    ),
    Check("tickets", tickets, ("churn_client: snapshot, open-tickets, verify",), READ_TICKETS, SAMPLE),
    Check("actions", actions, ("churn_client: ticket",), READ_TICKETS, (*SAMPLE, "tickets")),
    Check("assets", assets, ("onboard_client: asset, verify", "churn_client: snapshot"), READ_ASSETS, SAMPLE),
    Check("asset-types", asset_types, ("onboard_client: asset",), READ_LISTS, optional=True),
    Check("recurring-invoices", recurring_invoices, ("churn_client: snapshot, final-billing",), READ_INVOICES, SAMPLE),
    Check(
        "notes",
        notes,
        ("onboard_client: report", "churn_client: leaving, report"),
        READ_NOTES,
        SAMPLE,
        optional=True,
    ),
    Check("statuses", statuses, ("churn_client: closing-rules",), READ_LISTS),
    Check("outcomes", outcomes, ("churn_client: reasons, ticket",), READ_LISTS, optional=True),
    Check("customer-groups", customer_groups, ("onboard_client: client",), READ_LISTS, optional=True),
    Check("agents", agents, ("onboard_client: client (account manager)",), READ_LISTS, optional=True),
    Check(
        "customer-types",
        customer_types,
        ("onboard_client: client, client-lacks", "update_client: changes"),
        READ_LISTS,
        optional=True,
    ),
    Check(
        "customer-relationships",
        customer_relationships,
        ("onboard_client: client, client-lacks",),
        READ_LISTS,
        optional=True,
    ),
    Check(
        "currencies",
        currencies,
        ("onboard_client: client", "update_client: changes"),
        READ_LISTS,
        SAMPLE,
        optional=True,
    ),
    Check("slas", slas, ("onboard_client: contract",), READ_LISTS, optional=True),
    Check("teams", teams, ("onboard_client: kick-off", "churn_client: hand-over"), READ_LISTS),
    Check("countries", countries, ("onboard_client: main-site, site (country)",), READ_LISTS, optional=True),
    Check("opportunities", opportunities, ("events from HaloPSA",), READ_OPPORTUNITIES, SAMPLE, optional=True),
    Check("leftovers", leftovers, needs=SAMPLE),
)


def _counted(rows: Sequence[Any], what: str, patient: Patient) -> Verdict:
    return Verdict("ok", f"{what} of client {patient.sample_id}: {len(rows)}")


def _listed(rows: Sequence[Any], what: str) -> Verdict:
    if not rows:
        return Verdict("warning", f"HaloPSA shows no {what}", "Let the agent's role see them, or add them in HaloPSA.")
    return Verdict("ok", f"{what}: {len(rows)}")
