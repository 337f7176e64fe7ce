"""Onboarding: from a won deal to a client with its main site, contacts and contract in HaloPSA."""

from collections.abc import Callable, Hashable, Sequence

from pydantic import BaseModel

from worker.errors import NeedsOperator
from worker.events import Event
from worker.run import Run
from workflows.canonical import Asset, Contact, WonDeal, normalised_name, won_deal
from workflows.ensure import (
    ClientRef,
    Ensured,
    Skippable,
    client_key,
    contact_key,
    ensure_asset,
    ensure_client,
    ensure_contact,
    ensure_contract,
    ensure_key,
    ensure_main_site,
    ensure_note,
    ensure_site,
    listed,
    remark_all,
)
from workflows.halopsa import Halo
from workflows.halopsa.collection import Collection
from workflows.halopsa.models import Numbered, Record
from workflows.msp import Msp


class Made(BaseModel):
    """Everything that one onboarding ensured; the main site and the primary contact come first.

    What an operator left out is not here.
    """

    client: ClientRef
    sites: list[Ensured]
    contacts: list[Ensured]
    contract: Ensured | None
    assets: list[Ensured]


class Verified(BaseModel):
    """What a look at the finished work brought: doubles that were set inactive."""

    retired: list[str]


class Onboarded(BaseModel):
    """What stands in HaloPSA after an onboarding, by its ids there; `remarks` says what is not as the event has it."""

    client_id: int
    client_created: bool
    site_ids: list[int]
    contact_ids: list[int]
    contract_id: int | None
    asset_ids: list[int]
    remarks: list[str]


async def onboard_client(run: Run, msp: Msp, event: Event) -> Onboarded:
    """Make sure that the client of a won deal stands in HaloPSA, once.

    Raises:
        InvalidEvent: the event lacks what is needed, or holds what cannot be.
        NeedsOperator: a person must decide or mend something in HaloPSA.
        RetryLater: HaloPSA cannot be asked now.
    """
    deal, halo = won_deal(event), msp.halo
    main = deal.sites[0] if deal.sites else None
    client = await run.step("client", ensure_client, halo, deal.client, main)
    await run.known_as(f"halo:{client.id}")
    if not client.keyed:
        await run.step("key", ensure_key, halo, client, deal.client.id)
    main_site = await run.step("main-site", ensure_main_site, halo, client, main, deal.client.phone)
    sites: list[Skippable] = [main_site]
    sites += [
        await run.step(f"site:{normalised_name(site.name)}", ensure_site, halo, client, site) for site in deal.sites[1:]
    ]
    place = {site.key: made.id for site, made in zip(deal.sites, sites, strict=False) if site.key and made}
    contacts = [
        await run.step(
            f"contact:{contact.key}",
            ensure_contact,
            halo,
            client,
            place.get(contact.site, main_site.id),
            contact,
            main=contact is deal.contacts[0],
        )
        for contact in deal.contacts
    ]
    won_on = event.occurred_at.date()
    contract = await run.step("contract", ensure_contract, halo, client, main_site.id, deal.deal, won_on)
    assets = [
        await run.step(f"asset:{asset.tag}", ensure_asset, halo, client, place.get(asset.site, main_site.id), asset)
        for asset in deal.assets
    ]
    made = Made(client=client, sites=_there(sites), contacts=_there(contacts), contract=contract, assets=_there(assets))
    verified = await run.step("verify", verify_onboarding, halo, made) or Verified(retired=[])
    for double in verified.retired:
        await run.remark(f"retired:{double}", f"set inactive: {double}")
    onboarded = _result(deal, made, verified, place)
    mark = f"Parhelion run {run.id}: onboarded"
    noted = await run.step("report", ensure_note, halo, client.id, mark, report(event, deal, onboarded))
    await remark_all(run, "report", noted)
    return onboarded


async def verify_onboarding(halo: Halo, made: Made) -> Verified | None:
    """Read back what the run made, and set doubles inactive that a lost answer may have left.

    What was found was read already, and so was what HaloPSA's answer showed; what an operator put in by hand is theirs
    to vouch for.

    Raises:
        NeedsOperator: something is not there.
    """
    client_id = made.client.id
    contacts = await halo.contacts.find(client_id=client_id)
    made_contracts = [one for one in _there([made.contract]) if one.in_doubt or not one.shown]
    contracts = await halo.contracts.find(client_id=client_id) if made_contracts else []
    missing = _missing("contact", made.contacts, contacts) + _missing("contract", made_contracts, contracts)
    if missing:
        raise NeedsOperator(
            f"HaloPSA does not show under client {client_id} what was made there: {', '.join(missing)}.",
            mend="look for it in HaloPSA and whether the API agent may see it, then retry the run.",
        )
    retired = await _retire(halo.contacts, contacts, made.contacts, contact_key, inactive=True)
    retired += await _retire(halo.contracts, contracts, made_contracts, lambda row: row.ref.strip(), active=False)
    if any(site.in_doubt for site in made.sites):
        sites = await halo.sites.find(client_id=client_id)
        retired += await _retire(halo.sites, sites, made.sites, lambda row: normalised_name(row.name), inactive=True)
    if any(asset.in_doubt for asset in made.assets):
        assets = await halo.assets.find(client_id=client_id)
        retired += await _retire(halo.assets, assets, made.assets, lambda row: row.tag, inactive=True)
    if made.client.in_doubt:
        clients = await halo.clients.find()
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


def report(event: Event, deal: WonDeal, onboarded: Onboarded) -> str:
    """Say in words for HaloPSA's users what an onboarding did."""
    how = "made" if onboarded.client_created else "known already"
    lines = [
        f"Onboarded from won deal {deal.deal.id} {deal.deal.name}".rstrip(),
        f"Event {event.id} of {event.occurred_at:%Y-%m-%d %H:%M} UTC",
        f"Client {onboarded.client_id}: {how}",
        f"Sites: {listed(onboarded.site_ids)}",
        f"Contacts: {listed(onboarded.contact_ids)}",
        f"Contract: {onboarded.contract_id or 'none'}",
        f"Assets: {listed(onboarded.asset_ids)}",
        *(f"Note: {remark}" for remark in onboarded.remarks),
    ]
    return "\n".join(lines)


def _result(deal: WonDeal, made: Made, verified: Verified, place: dict[str, int]) -> Onboarded:
    ensured = [made.client, *made.sites, *made.contacts, *_there([made.contract]), *made.assets]
    placed: list[Contact | Asset] = [*deal.contacts, *deal.assets]
    lost = [part for part in placed if part.site and part.site not in place]
    return Onboarded(
        client_id=made.client.id,
        client_created=made.client.created,
        site_ids=[site.id for site in made.sites],
        contact_ids=[contact.id for contact in made.contacts],
        contract_id=made.contract.id if made.contract else None,
        asset_ids=[asset.id for asset in made.assets],
        remarks=[
            *deal.skipped,
            *(remark for one in ensured for remark in one.remarks),
            *(f"{part.key} stands at the main site: the event has no site {part.site!r}" for part in lost),
            *(f"set inactive: {retired}" for retired in verified.retired),
        ],
    )


def _missing(what: str, made: Sequence[Ensured], rows: Sequence[Record]) -> list[str]:
    shown = {row.id for row in rows}
    return [f"{what} {one.id}" for one in made if one.created and one.id not in shown]


def _there(steps: Sequence[Skippable]) -> list[Ensured]:
    return [made for made in steps if made]
