"""Steps that make sure something stands in HaloPSA: look first, write only what is missing.

HaloPSA knows neither unique names nor idempotency keys, so every record that is made here can be found again by what
was written with it: a client by the CRM's key or its name, a site by its name, a contact by its e-mail address or
name, a contract by the deal's id, an asset by its tag, a note by its mark.
"""

import calendar
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from worker.errors import NeedsOperator
from worker.run import Run
from workflows import canonical
from workflows.canonical import normalised_name
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound, HaloRefused, models


class Ensured(BaseModel):
    """A record that stands in HaloPSA.

    Attributes:
        id: HaloPSA's.
        created: whether this run made it.
        in_doubt: whether a write whose outcome was unknown may have made a second one.
        remarks: what could not be set, and why.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    created: bool = False
    in_doubt: bool = False
    remarks: list[str] = Field(default_factory=list)


Skippable = Ensured | None
"""What a step gives that an operator may leave out: None stands for the record that is not there."""


class ClientRef(Ensured):
    """A client that stands in HaloPSA.

    Attributes:
        name: HaloPSA's.
        main_site_id: 0 where HaloPSA did not say.
        keyed: whether it bears the CRM's key.
    """

    name: str
    main_site_id: int = 0
    keyed: bool = True

    @property
    def undisputed(self) -> bool:
        """Whether this run alone made the client, so that nothing stands under it but what the run put there."""
        return self.created and not self.in_doubt


def match_client(rows: Sequence[models.Client], key: str, name: str, *, own_doubles: bool) -> models.Client | None:
    """Find a client by the CRM's key, else by its normalised name.

    Args:
        rows: all clients, inactive ones included.
        key: the CRM's key; may be empty.
        name: the name; may be empty.
        own_doubles: several clients with the key are this run's own; the eldest counts.

    Raises:
        NeedsOperator: several match, or the one that has the name bears another key.
    """
    found = [row for row in rows if key and row.ref.strip() == key]
    if not found:
        found = [row for row in rows if name and normalised_name(row.name) == normalised_name(name)]
    if len(found) > 1 and not own_doubles:
        raise _undecided(f"Several clients in HaloPSA match {name or key!r}", found, key)
    match = min(found, key=lambda row: row.id, default=None)
    if match and key and match.ref.strip() not in ("", key):
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
        keyed=bool(match.ref.strip()) or not client.id,
        # The only write of this step is the one that makes the client.
        created=halo.in_doubt,
        in_doubt=halo.in_doubt,
    )


async def ensure_key(halo: Halo, client: ClientRef, key: str) -> Ensured:
    """Give a client that was known by its name alone the CRM's key."""
    await halo.clients.update(client.id, ref=key)
    return Ensured(id=client.id)


async def ensure_main_site(halo: Halo, client: ClientRef, site: canonical.Site | None, phone: str | None) -> Ensured:
    """Give the client's main site its name, address and telephone number.

    HaloPSA makes a client's first site itself, so that one is adopted. A site of the wanted name is taken for it too.
    """
    site_id = client.main_site_id
    if not site_id or _must_look(halo, client):
        site_id = await _main_site_id(halo, client, site.name if site else "")
    wanted, remarks = await _site_fields(halo, site, phone)
    if not site_id:
        made = await halo.sites.create(**{"name": "Main", **wanted}, client_id=client.id)
        return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt, remarks=remarks)
    # An address that the event does not give says nothing about the one that a known client has.
    if site or (client.undisputed and phone):
        await halo.sites.update(site_id, **wanted)
    return Ensured(id=site_id, in_doubt=halo.in_doubt, remarks=remarks)


async def ensure_site(halo: Halo, client: ClientRef, site: canonical.Site) -> Skippable:
    """Find a further site by its name within the client, or make it."""
    if _must_look(halo, client):
        rows = await halo.sites.find(client_id=client.id)
        known = [row for row in rows if normalised_name(row.name) == normalised_name(site.name)]
        if known:
            return Ensured(id=_eldest(known).id, in_doubt=halo.in_doubt)
    wanted, remarks = await _site_fields(halo, site)
    made = await halo.sites.create(**wanted, client_id=client.id)
    return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt, remarks=remarks)


async def ensure_contact(
    halo: Halo, client: ClientRef, site_id: int, contact: canonical.Contact, *, main: bool
) -> Skippable:
    """Find a contact by its key within the client, or make it; one that was inactive becomes active.

    Neither portal access nor a welcome e-mail is asked for.
    """
    if _must_look(halo, client):
        rows = await halo.contacts.find(client_id=client.id)
        known = [row for row in rows if contact_key(row) == contact.key]
        if known:
            match = _eldest(known)
            if match.inactive:
                await halo.contacts.update(match.id, inactive=False)
            return Ensured(id=match.id, in_doubt=halo.in_doubt)
    made = await halo.contacts.create(
        name=contact.name,
        client_id=client.id,
        site_id=site_id,
        first_name=contact.first_name,
        last_name=contact.last_name,
        email=contact.email,
        phone=contact.phone,
        mobile=contact.mobile,
        job_title=contact.job_title,
        vip=contact.vip,
        main=main,
    )
    return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt)


async def ensure_contract(halo: Halo, client: ClientRef, site_id: int, deal: canonical.Deal, won_on: date) -> Skippable:
    """Find the deal's contract by its reference, or make it; never two for one deal.

    Args:
        halo: HaloPSA.
        client: whose contract it is.
        site_id: the client's main site.
        deal: its id is the contract's reference; without an end or a term the contract rolls.
        won_on: when the contract starts if the deal does not say.
    """
    if _must_look(halo, client):
        known = [row for row in await halo.contracts.find(client_id=client.id) if row.ref.strip() == deal.id]
        if known:
            return Ensured(id=_eldest(known).id, in_doubt=halo.in_doubt)
    terms = deal.contract
    start = terms.starts_on or won_on
    end = terms.ends_on or (term_end(start, terms.term_months) if terms.term_months else None)
    made = await halo.contracts.create(
        ref=deal.id,
        client_id=client.id,
        site_id=site_id,
        start=start,
        end=end,
        rolling=terms.auto_renew or end is None,
        term_months=terms.term_months,
        note=deal.name or None,
    )
    return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt)


async def ensure_asset(halo: Halo, client: ClientRef, site_id: int, asset: canonical.Asset) -> Skippable:
    """Find an asset by its tag within the client, or make it.

    Raises:
        NeedsOperator: HaloPSA does not know the asset's type.
    """
    if _must_look(halo, client):
        known = [row for row in await halo.assets.find(client_id=client.id) if row.tag == asset.tag]
        if known:
            return Ensured(id=_eldest(known).id, in_doubt=halo.in_doubt)
    kind = named(await halo.asset_types.find(), asset.type)
    if kind is None:
        raise NeedsOperator(
            f"HaloPSA has no asset type {asset.type!r} for asset {asset.tag!r}.",
            mend="add the type in HaloPSA, then retry the run.",
        )
    notes = f"Serial number: {asset.serial}" if asset.serial else None
    made = await halo.assets.create(tag=asset.tag, type_id=kind.id, client_id=client.id, site_id=site_id, notes=notes)
    return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt)


async def ensure_note(halo: Halo, client_id: int, mark: str, text: str) -> Skippable:
    """Write a note on the client once. Where notes are not allowed, the run goes on and remarks it.

    Args:
        halo: HaloPSA.
        client_id: whose note it is.
        mark: tells the note from all others; becomes its last line.
        text: what it says.
    """
    if halo.in_doubt:
        known = [row for row in await halo.notes.find(client_id=client_id) if mark in row.text]
        if known:
            return Ensured(id=_eldest(known).id)
    try:
        made = await halo.notes.create(client_id=client_id, text=f"{text}\n{mark}", at=datetime.now(UTC))
    except (HaloForbidden, HaloNotFound) as refusal:
        return Ensured(id=0, remarks=[f"not noted on the client: {refusal.what}"])
    return Ensured(id=made.id, created=True)


async def remark_all(run: Run, step: str, ensured: Skippable) -> None:
    """Put what a step could not do into the run's history."""
    for remark in ensured.remarks if ensured else []:
        await run.remark(f"{step}:remark", remark)


def client_key(row: models.Client) -> tuple[str, str]:
    """Return what tells a client of HaloPSA from all others."""
    return row.ref.strip(), normalised_name(row.name)


def contact_key(row: models.Contact) -> str:
    """Return what tells a contact of HaloPSA from its client's others, as `canonical.Contact.key` does."""
    return row.email.strip().casefold() or normalised_name(row.name)


def named(choices: Sequence[models.Choice], name: str) -> models.Choice | None:
    """Find an entry by its name, upper and lower case alike."""
    return next((choice for choice in choices if choice.name.strip().casefold() == name.strip().casefold()), None)


def listed(ids: Sequence[int]) -> str:
    """Write ids for people."""
    return ", ".join(str(one) for one in ids) or "none"


def term_end(start: date, months: int) -> date:
    """Return the last day of a term that begins on `start`."""
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return date(year, month + 1, day) - timedelta(days=1)


async def _create_client(
    halo: Halo, client: canonical.Client, site: canonical.Site | None, others: Sequence[models.Client]
) -> ClientRef:
    manager, remarks = await _account_manager(halo, client.account_manager_email)
    groups = Counter(row.toplevel_id for row in others if row.toplevel_id)
    made = await halo.clients.create(
        name=client.name,
        ref=client.id or None,
        toplevel_id=min(groups, key=lambda group: (-groups[group], group), default=None),
        website=client.website,
        notes=client.notes,
        accounts_email=client.billing_email,
        account_manager_id=manager,
        site_name=site.name if site else None,
        site_phone=(site.phone if site else None) or client.phone,
        site_line1=site.line1 if site else None,
        site_line2=site.line2 if site else None,
        site_city=site.city if site else None,
        site_region=site.region if site else None,
        site_postcode=site.postcode if site else None,
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


async def _site_fields(
    halo: Halo, site: canonical.Site | None, phone: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    if site is None:
        return {"phone": phone}, []
    country, remarks = await _country_code(halo, site.country)
    fields = site.model_dump(include={"name", "line1", "line2", "city", "region", "postcode"})
    return {**fields, "phone": site.phone or phone, "country_code": country}, remarks


async def _country_code(halo: Halo, country: str | None) -> tuple[str | None, list[str]]:
    if country is None:
        return None, []
    try:
        match = named(await halo.countries.find(), country)
    except HaloRefused as refusal:
        return None, [f"country {country} not set: {refusal.what}"]
    return (str(match.id), []) if match else (None, [f"country {country} not set: HaloPSA's list does not have it"])


async def _main_site_id(halo: Halo, client: ClientRef, name: str) -> int:
    rows = [row for row in await halo.sites.find(client_id=client.id) if not row.inactive]
    namesakes = [row for row in rows if normalised_name(row.name) == normalised_name(name)]
    if namesakes or not client.main_site_id:
        return _eldest(namesakes or rows).id if rows else 0
    return client.main_site_id


def _must_look(halo: Halo, client: ClientRef) -> bool:
    return halo.in_doubt or not client.undisputed


def _eldest(rows: Sequence[models.R]) -> models.R:
    """Pick the one in use that HaloPSA made first."""
    return min(rows, key=lambda row: (not row.in_use, row.id))


def _undecided(what: str, found: Sequence[models.Client], key: str) -> NeedsOperator:
    candidates = ", ".join(
        f"{row.id} {row.name!r} (key {row.ref!r}{', inactive' if row.inactive else ''})" for row in found
    )
    return NeedsOperator(
        f"{what}: {candidates}.",
        mend=f"decide which client is meant, give it alone the key {key!r} in its reference field and make it active, "
        "or rename the others; then retry the run.",
    )
