"""Clients: found by the CRM's key or by name, else made."""

from collections import Counter
from collections.abc import Sequence

from worker.errors import NeedsOperator
from workflows import canonical
from workflows.canonical import normalised_name
from workflows.ensure.ensured import ClientRef, Ensured
from workflows.halopsa import Halo, HaloRefused
from workflows.halopsa.models import Client


def match_client(rows: Sequence[Client], key: str, name: str, *, own_doubles: bool) -> Client | None:
    """Find a client by the CRM's key, else by its normalised name.

    Args:
        rows: all clients, inactive ones included.
        key: the CRM's key; may be empty.
        name: the name; may be empty.
        own_doubles: several clients with the key are this run's own; the eldest counts.

    Raises:
        NeedsOperator: several match, or the one that has the name bears another key.
    """
    found = [row for row in rows if key and row.key == key]
    if not found:
        found = [row for row in rows if name and normalised_name(row.name) == normalised_name(name)]
    if len(found) > 1 and not own_doubles:
        raise _undecided(f"Several clients in HaloPSA match {name or key!r}", found, key)
    match = min(found, key=lambda row: row.id, default=None)
    if match and key and match.key not in ("", key):
        raise _undecided(f"The client in HaloPSA named {name!r} bears another key than {key!r}", found, key)
    return match


async def ensure_client(halo: Halo, client: canonical.Client, main_site: canonical.Site | None) -> ClientRef:
    """Find the client or make it, with its main site in the same request.

    Raises:
        NeedsOperator: it is not clear which client is meant, or it is inactive.
    """
    # All clients are compared here: HaloPSA's search may find everything or too little.
    rows = await halo.clients.find()
    match = match_client(rows, client.id, client.name, own_doubles=halo.in_doubt)
    if match is None:
        return await _create_client(halo, client, main_site, rows)
    if match.inactive:
        raise _undecided(f"The client {client.name!r} is inactive in HaloPSA", [match], client.id)
    known = await halo.clients.get(match.id)
    return ClientRef(
        id=known.id,
        name=known.name,
        main_site_id=known.main_site_id,
        keyed=bool(match.key) or not client.id,
        # The only write of this step is the one that makes the client.
        created=halo.in_doubt,
        in_doubt=halo.in_doubt,
    )


async def ensure_key(halo: Halo, client: ClientRef, key: str) -> Ensured:
    """Give a client that was known by its name alone the CRM's key."""
    await halo.clients.update(client.id, key=key)
    return Ensured(id=client.id)


def client_key(row: Client) -> tuple[str, str]:
    """Return what tells a client of HaloPSA from all others."""
    return row.key, normalised_name(row.name)


async def _create_client(
    halo: Halo, client: canonical.Client, site: canonical.Site | None, others: Sequence[Client]
) -> ClientRef:
    manager, remarks = await _account_manager(halo, client.account_manager_email)
    groups = Counter(row.group_id for row in others if row.group_id)
    made = await halo.clients.create(
        name=client.name,
        key=client.id or None,
        group_id=min(groups, key=lambda group: (-groups[group], group), default=None),
        website=client.website,
        notes=client.notes,
        email=client.email,
        phone=client.phone,
        accounts_email=client.billing_email,
        account_manager_id=manager,
        site_name=site.name if site else None,
        site_phone=(site.phone if site else None) or client.phone,
        site_line1=site.line1 if site else None,
        site_line2=site.line2 if site else None,
        site_city=site.city if site else None,
        site_region=site.region if site else None,
        site_postcode=site.postcode if site else None,
        site_country=site.country if site else None,
    )
    return ClientRef(
        id=made.id,
        name=client.name,
        main_site_id=made.main_site_id,
        created=True,
        in_doubt=halo.in_doubt,
        remarks=remarks,
    )


async def _account_manager(halo: Halo, email: str | None) -> tuple[int | None, list[str]]:
    if email is None:
        return None, []
    try:
        agents = await halo.agents.find()
    except HaloRefused as refusal:
        return None, [f"account manager {email} not set: {refusal.what}"]
    match = next((agent for agent in agents if agent.email.casefold() == email.casefold() and not agent.disabled), None)
    return (match.id, []) if match else (None, [f"account manager {email} not set: HaloPSA has no such agent"])


def _undecided(what: str, found: Sequence[Client], key: str) -> NeedsOperator:
    candidates = ", ".join(
        f"{row.id} {row.name!r} (key {row.key!r}{', inactive' if row.inactive else ''})" for row in found
    )
    return NeedsOperator(
        f"{what}: {candidates}.",
        mend=f"decide which client is meant, give it alone the key {key!r} where HaloPSA keeps the CRM's keys and make "
        "it active, or rename the others; then retry the run.",
    )
