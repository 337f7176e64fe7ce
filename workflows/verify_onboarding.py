"""Verifying an onboarding: what was made is read back, and doubles are set inactive."""

from collections.abc import Callable, Hashable, Sequence

from pydantic import BaseModel, Field

from worker.errors import NeedsOperator
from workflows.canonical import normalised_name
from workflows.ensure import ClientRef, Ensured, client_key, contact_key
from workflows.halopsa import Halo
from workflows.halopsa.collection import Collection
from workflows.halopsa.models import Numbered


class Made(BaseModel):
    """Everything that one onboarding ensured; the main site and the primary contact come first.

    What an operator left out is not here.

    Attributes:
        key: the CRM's key that the run gave the client; empty where it gave none.
    """

    client: ClientRef
    key: str = ""
    sites: list[Ensured] = Field(default_factory=list)
    contacts: list[Ensured] = Field(default_factory=list)
    contract: Ensured | None = None
    assets: list[Ensured] = Field(default_factory=list)
    ticket: Ensured | None = None

    @property
    def contracts(self) -> list[Ensured]:
        """The contract, if there is one."""
        return [self.contract] if self.contract else []


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
    await _confirm_client(halo, made)
    client_id = made.client.id
    contacts = await _look(halo.contacts, client_id, made.contacts)
    contracts = await _look(halo.contracts, client_id, made.contracts)
    sites = await _look(halo.sites, client_id, made.sites)
    assets = await _look(halo.assets, client_id, made.assets)
    missing = [
        *_missing("contact", made.contacts, contacts),
        *_missing("contract", made.contracts, contracts),
        *_missing("site", made.sites, sites),
        *_missing("asset", made.assets, assets),
    ]
    if missing:
        raise NeedsOperator(
            f"HaloPSA does not show under client {client_id} what was made there: {', '.join(missing)}.",
            mend="look for it in HaloPSA and whether the API agent may see it, then retry the run.",
        )
    retired = await _retire(halo.contacts, contacts, made.contacts, contact_key, inactive=True)
    retired += await _retire(halo.contracts, contracts, made.contracts, lambda row: row.ref.strip(), active=False)
    retired += await _retire(halo.sites, sites, made.sites, lambda row: normalised_name(row.name), inactive=True)
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


async def _confirm_client(halo: Halo, made: Made) -> None:
    """Read a client back that HaloPSA's answer did not show as it was to be: it drops fields without a word."""
    if made.client.shown or not (made.client.created or made.key):
        return
    row = await halo.clients.get(made.client.id)
    if made.key and row.key != made.key:
        raise NeedsOperator(
            f"HaloPSA shows {f'the key {row.key!r}' if row.key else 'no key'} on client {row.id} {row.name!r}, where "
            f"{made.key!r} was written: events under {made.key!r} would not find it.",
            mend="see that external_key under [halopsa] in the policy file names a field that this HaloPSA keeps and "
            "the API agent may edit (in the guide's dialect the key is a line of the notes, Parhelion key: …), put the "
            "key there by hand, then retry the run.",
        )


async def _look(collection: Collection[Numbered], client_id: int, made: Sequence[Ensured]) -> list[Numbered]:
    """List a client's records of one kind, if one that was made there has not been seen yet."""
    return await collection.find(client_id=client_id) if any(map(_unseen, made)) else []


def _missing(what: str, made: Sequence[Ensured], rows: Sequence[Numbered]) -> list[str]:
    shown = {row.id for row in rows}
    return [f"{what} {one.id}" for one in made if one.created and _unseen(one) and one.id not in shown]


def _unseen(one: Ensured) -> bool:
    return one.in_doubt or (one.created and not one.shown)
