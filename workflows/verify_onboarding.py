"""Verifying an onboarding: what was made is read back, and doubles are set inactive."""

from collections.abc import Callable, Hashable, Sequence

from pydantic import BaseModel, Field

from worker.errors import NeedsOperator
from workflows.canonical import normalised_name
from workflows.ensure import ClientRef, Ensured, client_key, contact_key
from workflows.halopsa import Halo
from workflows.halopsa.collection import Collection
from workflows.halopsa.models import Numbered, Record


class Made(BaseModel):
    """Everything that one onboarding ensured; the main site and the primary contact come first.

    What an operator left out is not here.
    """

    client: ClientRef
    sites: list[Ensured] = Field(default_factory=list)
    contacts: list[Ensured] = Field(default_factory=list)
    contract: Ensured | None = None
    assets: list[Ensured] = Field(default_factory=list)
    ticket: Ensured | None = None


class Verified(BaseModel):
    """What a look at the finished work brought: doubles that were set inactive."""

    retired: list[str]


async def verify_onboarding(halo: Halo, made: Made) -> Verified | None:
    """Read back what the run made, and set doubles inactive that a lost answer may have left.

    What was found was read already, and so was what HaloPSA's answer showed; what an operator put in by hand is theirs
    to vouch for.

    Raises:
        NeedsOperator: something is not there.
    """
    client_id = made.client.id
    made_contacts = _to_read(made.contacts)
    contacts = await halo.contacts.find(client_id=client_id) if made_contacts else []
    made_contracts = _to_read([made.contract] if made.contract else [])
    contracts = await halo.contracts.find(client_id=client_id) if made_contracts else []
    missing = _missing("contact", made_contacts, contacts) + _missing("contract", made_contracts, contracts)
    if missing:
        raise NeedsOperator(
            f"HaloPSA does not show under client {client_id} what was made there: {', '.join(missing)}.",
            mend="look for it in HaloPSA and whether the API agent may see it, then retry the run.",
        )
    retired = await _retire(halo.contacts, contacts, made_contacts, contact_key, inactive=True)
    retired += await _retire(halo.contracts, contracts, made_contracts, lambda row: row.ref.strip(), active=False)
    if any(site.in_doubt for site in made.sites):
        sites = await halo.sites.find(client_id=client_id)
        retired += await _retire(halo.sites, sites, made.sites, lambda row: normalised_name(row.name), inactive=True)
    if any(asset.in_doubt for asset in made.assets):
        assets = await halo.assets.find(client_id=client_id)
        retired += await _retire(halo.assets, assets, made.assets, lambda row: row.tag, inactive=True)
    if made.client.in_doubt:
        clients = [row for row in await halo.clients.find() if row.id not in made.client.besides]
        aside = f"{made.client.name} (double of {client_id})"
        retired += await _retire(halo.clients, clients, [made.client], client_key, inactive=True, key="", name=aside)
    return Verified(retired=retired)


async def _retire(
    collection: Collection[Numbered],
    rows: Sequence[Numbered],
    kept: Sequence[Ensured],
    identity: Callable[[Numbered], Hashable],
    **change: bool | str,
) -> list[str]:
    """Set inactive what an unknown outcome made beside a record that is kept.

    The first look of the record's step had found nothing, so whatever is like it now and in use is this run's own.
    """
    retired = []
    in_doubt = {one.id for one in kept if one.in_doubt}
    ours = {identity(row): row.id for row in rows if row.id in in_doubt}
    for row in rows:
        if identity(row) in ours and row.id != ours[identity(row)] and row.in_use:
            await collection.update(row.id, **change)
            retired.append(f"{type(row).__name__.lower()} {row.id}, a double of {ours[identity(row)]}")
    return retired


def _missing(what: str, made: Sequence[Ensured], rows: Sequence[Record]) -> list[str]:
    shown = {row.id for row in rows}
    return [f"{what} {one.id}" for one in made if one.created and one.id not in shown]


def _to_read(made: Sequence[Ensured]) -> list[Ensured]:
    return [one for one in made if one.in_doubt or (one.created and not one.shown)]
