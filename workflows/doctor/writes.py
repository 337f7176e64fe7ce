"""Whether HaloPSA takes every write that a workflow makes, tried on a client that is made for it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, ParamSpec

from worker.errors import NeedsOperator, RetryLater
from workflows.doctor.examination import Check, Verdict, persistently
from workflows.doctor.rights import (
    EDIT_ASSETS,
    EDIT_CONTRACTS,
    EDIT_CUSTOMERS,
    EDIT_NOTES,
    EDIT_TICKETS,
)
from workflows.doctor.ticket_types import opened_types
from workflows.doctor.trial import Trial
from workflows.halopsa import HaloForbidden, HaloRefused

P = ParamSpec("P")

MAIN_CONTACT: Final = (
    "HaloPSA asks for a main contact with every new customer, but contacts are made after their client: switch off in "
    "HaloPSA's configuration that the main contact of a customer is compulsory."
)
ASKS_FOR_MORE: Final = (
    "HaloPSA asks for more than the workflow gives: make what it names optional in HaloPSA's configuration, or give it "
    "in the policy file where that has a place for it."
)
OUTCOME: Final = "Set note_outcome_id under [churn_client] in the policy file to an outcome for internal notes."
OPEN_FIELDS: Final = (
    "Give what HaloPSA asks for as open_fields under [ticket_types.NAME] in the policy file, or change the type under "
    "Configuration > Tickets > Ticket Types."
)
CLOSE_FIELDS: Final = (
    "Give the fields that HaloPSA asks for as close_fields under [ticket_types.NAME] in the policy file. For tickets "
    "that nobody has, name an agent as PARHELION_HALO_CLOSER_AGENT_ID, and under Configuration > Agents > Roles let "
    "the role re-assign tickets and change their status outside of actions."
)
ONE_BY_ONE: Final = "Nothing to mend: tickets are closed one by one, with two requests each, which takes longer."
NOT_KEPT: Final = "Look in HaloPSA for a rule, an automation or a mandatory field that undoes the change."


async def client(trial: Trial) -> Verdict:
    """Make the client, with its main site in the same request."""
    try:
        await trial.make_client()
    except HaloForbidden:
        raise
    except HaloRefused as refusal:
        said = refusal.text.casefold()
        # HaloPSA's screens call a contact user.
        about_contacts = "contact" in said or "user" in said
        return Verdict("fails", refusal.what, MAIN_CONTACT if about_contacts else ASKS_FOR_MORE)
    return Verdict("ok", f"client {trial.client_id} {trial.name!r} is made, to be set inactive again")


async def key(trial: Trial) -> Verdict:
    """Find the CRM's key with the client again."""
    kept = (await trial.halo.clients.get(trial.client_id)).key
    if kept != trial.key:
        mend = "Name another place for the key as external_key in the policy file, or let the role edit that field."
        return Verdict("fails", f"the key {trial.key!r} was sent, HaloPSA kept {kept!r}", mend)
    return Verdict("ok", "the CRM's key is kept with the client")


async def main_site(trial: Trial) -> Verdict:
    """Give the main site that HaloPSA has made its name; make one where there is none."""
    halo, fields = trial.halo, {"name": "Main office", "city": "Nowhere"}
    sites = await halo.sites.find(client_id=trial.client_id)
    if sites:
        trial.main_site_id = min(site.id for site in sites)
        await halo.sites.update(trial.main_site_id, **fields)
        return Verdict("ok", f"main site {trial.main_site_id} is adopted, as HaloPSA had made it")
    trial.main_site_id = (await halo.sites.create(**fields, client_id=trial.client_id, main=True)).id
    return Verdict("ok", f"main site {trial.main_site_id} is made, as HaloPSA had made none")


async def site(trial: Trial) -> Verdict:
    """Make a further site."""
    made = await trial.halo.sites.create(name="Branch", client_id=trial.client_id)
    return Verdict("ok", f"site {made.id} is made")


async def contact(trial: Trial) -> Verdict:
    """Make a contact; its address leads nowhere, so that it cannot get mail."""
    email = f"{trial.key}@parhelion.example"
    # An earlier try may have made it without an answer, and some HaloPSAs refuse a second one with the same address.
    known = [one.id for one in await trial.halo.contacts.find(client_id=trial.client_id) if one.email == email]
    trial.contact_id = known[0] if known else await _new_contact(trial, email)
    return Verdict("ok", f"contact {trial.contact_id} is made")


async def portal_access(trial: Trial) -> Verdict:
    """Take the contact's access to the portal, which it does not have."""
    await trial.take_portal_access()
    trial.works.add("portal")
    return Verdict("ok", f"contact {trial.contact_id} can be changed")


async def contract(trial: Trial) -> Verdict:
    """Make two contracts: one is to end before the client is inactive, one after."""
    for number in (1, 2):
        made = await trial.halo.contracts.create(
            ref=f"{trial.key}-{number}",
            client_id=trial.client_id,
            site_id=trial.main_site_id,
            start=trial.today,
            rolling=True,
        )
        trial.contracts.append(made.id)
    return Verdict("ok", f"contracts {', '.join(map(str, trial.contracts))} are made")


async def note(trial: Trial) -> Verdict:
    """Write a note on the client."""
    await trial.note("Made by Parhelion's doctor to try things out.")
    trial.works.add("noting")
    return Verdict("ok", "a note on the client is written")


async def asset(trial: Trial) -> Verdict:
    """Make an asset of the first type that HaloPSA has."""
    try:
        types = await trial.halo.asset_types.find()
    except HaloRefused:
        types = []
    if not types:
        return Verdict("skipped", "HaloPSA shows no asset type: see asset-types")
    made = await trial.halo.assets.create(
        tag=trial.key, type_id=types[0].id, client_id=trial.client_id, site_id=trial.main_site_id
    )
    return Verdict("ok", f"asset {made.id} of type {types[0].name} is made")


async def ticket(trial: Trial) -> Verdict:
    """Open tickets: two of HaloPSA's own choice of type, and one of each type that the policy names."""
    refused = []
    for type_id in (None, None, *await opened_types(trial.patient)):
        try:
            trial.tickets.append(await trial.open(type_id))
        except HaloForbidden:
            raise
        except HaloRefused as refusal:
            refused.append(f"type {type_id or 'not named'}: {refusal.what}")
    if refused:
        return Verdict("fails", "; ".join(refused), OPEN_FIELDS)
    return Verdict("ok", f"tickets {', '.join(str(one.id) for one in trial.tickets)} are opened")


async def reason(trial: Trial) -> Verdict:
    """Put an internal action on a ticket."""
    ticket_id = trial.tickets[0].id
    await trial.give_reason(ticket_id)
    return Verdict("ok", f"ticket {ticket_id} bears a reason, hidden from its user")


async def arrays(trial: Trial) -> Verdict:
    """Change two tickets in one request, and look whether both have changed."""
    summary = f"{trial.name}, two at once"
    ids = [one.id for one in trial.tickets[:2]]
    try:
        # HaloPSA finds no ticket whose type and client are not sent along.
        await trial.halo.tickets.update_many(
            {
                one.id: {
                    "summary": summary,
                    "type_id": one.type_id,
                    "client_id": trial.client_id,
                    "skip_rules": True,
                }
                for one in trial.tickets[:2]
            }
        )
    except HaloForbidden:
        raise
    except HaloRefused as refusal:
        return Verdict("warning", f"HaloPSA takes no arrays: {refusal.what}", ONE_BY_ONE)
    changed = [one for one in ids if (await trial.halo.tickets.get(one)).summary == summary]
    if changed != ids:
        return Verdict("warning", f"of tickets {ids} in one request HaloPSA changed only {changed}", ONE_BY_ONE)
    return Verdict("ok", "HaloPSA takes arrays whole: tickets are closed many at a time")


async def closing(trial: Trial) -> Verdict:
    """Close tickets that nobody is assigned to: one of each type."""
    tried = trial.tickets[1:]
    refused = [refusal for one in tried if (refusal := await _refusal(f"ticket {one.id}", trial.close, one))]
    if len(refused) < len(tried):
        trial.works.add("closing")
    if refused:
        return Verdict("fails", "; ".join(refused), CLOSE_FIELDS)
    return Verdict("ok", f"closed: {', '.join(f'ticket {one.id} of type {one.type_id}' for one in tried)}")


async def contract_end(trial: Trial) -> Verdict:
    """End a contract."""
    contract_id = min(trial.contracts)
    if not await trial.end(contract_id):
        return Verdict("fails", f"HaloPSA took the change, but contract {contract_id} goes on", NOT_KEPT)
    trial.works.add("ending")
    return Verdict("ok", f"contract {contract_id} is ended")


async def inactive(trial: Trial) -> Verdict:
    """Set the client inactive."""
    await trial.halo.clients.update(trial.client_id, inactive=True)
    if not (await trial.halo.clients.get(trial.client_id)).inactive:
        return Verdict("fails", f"HaloPSA took the change, but client {trial.client_id} is active", NOT_KEPT)
    return Verdict("ok", f"client {trial.client_id} is inactive")


async def writes_to_inactive(trial: Trial) -> Verdict:
    """Write while the client is inactive what a churn writes then, as far as it worked before."""
    attempts = []
    if "closing" in trial.works:
        attempts.append(await _refusal("closing a ticket", trial.close, trial.tickets[0]))
    if "ending" in trial.works:
        attempts.append(await _refusal("ending a contract", trial.end, trial.contracts[0]))
    if "portal" in trial.works:
        attempts.append(await _refusal("changing a contact", trial.take_portal_access))
    if "noting" in trial.works:
        attempts.append(await _refusal("writing a note", trial.note, "Written while inactive."))
    if not attempts:
        return Verdict("skipped", "not tried: none of these writes worked while the client was active")
    refused = [attempt for attempt in attempts if attempt]
    if not refused:
        return Verdict("ok", "an inactive client takes writes: order may be inactive-first or inactive-last")
    seen = f"An inactive client takes no writes: {'; '.join(refused)}"
    if trial.patient.policy.churn_client.order == "inactive-last":
        return Verdict("ok", f"{seen} The policy has order inactive-last, so nothing is written then.")
    return Verdict("fails", seen, 'Set order = "inactive-last" under [churn_client] in the policy file.')


MADE: Final = ("write-client",)
SITE: Final = ("write-client", "write-main-site")

write = partial(Check, mend=ASKS_FOR_MORE)

WRITE_CHECKS: Final[Sequence[Check[Trial]]] = (
    write("write-client", client, ("onboard_client: client",), EDIT_CUSTOMERS, ("token", "clients")),
    write("write-key", key, ("onboard_client: client", "churn_client: client"), EDIT_CUSTOMERS, MADE),
    write("write-main-site", main_site, ("onboard_client: main-site",), EDIT_CUSTOMERS, MADE),
    write("write-site", site, ("onboard_client: site",), EDIT_CUSTOMERS, MADE),
    write("write-contact", contact, ("onboard_client: contact",), EDIT_CUSTOMERS, SITE),
    write("write-portal-access", portal_access, ("churn_client: portal-access",), EDIT_CUSTOMERS, ("write-contact",)),
    write("write-contract", contract, ("onboard_client: contract",), EDIT_CONTRACTS, SITE),
    write(
        "write-note", note, ("onboard_client: report", "churn_client: leaving, report"), EDIT_NOTES, MADE, optional=True
    ),
    write("write-asset", asset, ("onboard_client: asset",), EDIT_ASSETS, (*SITE, "asset-types"), optional=True),
    write(
        "write-ticket",
        ticket,
        ("onboard_client: kick-off ticket", "churn_client: final-billing, rmm"),
        EDIT_TICKETS,
        SITE,
        mend=OPEN_FIELDS,
    ),
    write("write-reason", reason, ("churn_client: reasons, ticket",), EDIT_TICKETS, ("write-ticket",), mend=OUTCOME),
    write("write-array", arrays, ("churn_client: reasons, tickets",), EDIT_TICKETS, ("write-ticket",)),
    write(
        "write-closing", closing, ("churn_client: tickets, ticket",), EDIT_TICKETS, ("write-ticket", "closed-status")
    ),
    write("write-contract-end", contract_end, ("churn_client: contract",), EDIT_CONTRACTS, ("write-contract",)),
    write("write-inactive", inactive, ("churn_client: inactive",), EDIT_CUSTOMERS, MADE),
    write(
        "write-to-inactive",
        writes_to_inactive,
        ("churn_client: tickets, contract, portal-access, report",),
        needs=("write-inactive",),
    ),
)


async def _new_contact(trial: Trial, email: str) -> int:
    made = await trial.halo.contacts.create(
        name="Parhelion Doctor",
        first_name="Parhelion",
        last_name="Doctor",
        email=email,
        client_id=trial.client_id,
        site_id=trial.main_site_id,
        main=True,
    )
    return made.id


async def _refusal(what: str, write: Callable[P, Awaitable[bool | None]], *args: P.args, **kwargs: P.kwargs) -> str:
    """Make a write, and say why it had no effect; empty if it had."""
    try:
        unchanged = await persistently(write, *args, **kwargs) is False
    except NeedsOperator as error:
        return f"{what}: {error.what}"
    except RetryLater as error:
        return f"{what}: {error.reason}"
    return f"{what}: HaloPSA took the change, but shows the old state" if unchanged else ""
