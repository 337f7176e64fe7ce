"""Onboarding: from a won deal to a client with its main site, contacts and contract in HaloPSA."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, Field

from worker.errors import NeedsOperator
from worker.events import Event
from worker.run import Guard, Run
from workflows.came_back import has_ended
from workflows.canonical import Asset, Client, Contact, Site, WonDeal, normalised_name, won_deal
from workflows.deal_contract import Agreed, settle_contract
from workflows.deal_kind import kind_by_rule, settled_kind
from workflows.ensure import (
    ClientRef,
    Ensured,
    Lack,
    Wanted,
    ensure_asset,
    ensure_contact,
    ensure_key,
    ensure_main_site,
    ensure_site,
    ensure_ticket,
    fill,
    find_lack,
    remark_all,
)
from workflows.ensure.contact import Refused, try_contact
from workflows.ensure.standing import look_around
from workflows.ensure.ticket import filled_fields
from workflows.halopsa import Halo
from workflows.msp import Crm, Msp
from workflows.onboarding_report import Ledger
from workflows.policy.onboarding import Kind
from workflows.report import file_report
from workflows.routes import churns_before
from workflows.verify_onboarding import Made, Verified, verify_onboarding
from workflows.which_client import settle_client


class Onboarded(BaseModel):
    """What stands in HaloPSA after an onboarding, by its ids there; `remarks` says what is not as the event has it.

    Attributes:
        kind: what the deal was.
        client_id: None where the deal was ignored.
        client_created: whether the client is new.
        site_ids: the main one first.
        contact_ids: the primary one first.
        contract_id: the deal's contract, or the one that it extended.
        asset_ids: the event's.
        ticket_id: the kick-off.
        remarks: for people.
    """

    kind: Kind
    client_id: int | None = None
    client_created: bool = False
    site_ids: list[int] = Field(default_factory=list)
    contact_ids: list[int] = Field(default_factory=list)
    contract_id: int | None = None
    asset_ids: list[int] = Field(default_factory=list)
    ticket_id: int | None = None
    remarks: list[str] = Field(default_factory=list)


@dataclass(slots=True)
class Onboarding:
    """One onboarding under way.

    Attributes:
        run: the run.
        msp: HaloPSA and the policy.
        event: what started it.
        deal: what the event says.
        client: the client that was found or made.
        kind: what the deal is.
        ledger: what was done.
        made: the records that are there now.
        places: the event's key of a site → the site.
        newcomers: a new contact's key → the contact.
    """

    run: Run
    msp: Msp
    event: Event
    deal: WonDeal
    client: ClientRef
    kind: Kind
    ledger: Ledger
    made: Made
    places: dict[str, int] = field(default_factory=dict)
    newcomers: dict[str, int] = field(default_factory=dict)

    def place(self, part: Contact | Asset) -> int:
        """Return where a contact or asset stands: at the site that the event says, else at the main one."""
        if part.site and part.site not in self.places:
            self.ledger.remarks.append(f"{part.key} stands at the main site: the event has no site {part.site!r}")
        return self.places.get(part.site, self.made.sites[0].id)


async def onboard_client(run: Run, msp: Msp, event: Event) -> Onboarded:
    """Make sure that the client of a won deal stands in HaloPSA, once, with what its kind of deal brings.

    Raises:
        InvalidEvent: the event lacks what is needed, or holds what cannot be.
        NeedsOperator: a person must mend something in HaloPSA.
        NotYet: HaloPSA does not have the client's parent or payer.
        RetryLater: HaloPSA cannot be asked now.
    """
    deal = won_deal(event)
    kind = kind_by_rule(event, deal.deal, msp.policy)
    if kind == "ignore":
        return Onboarded(kind=kind)
    main = deal.sites[0] if deal.sites else None
    wanted = Wanted(_managed(deal), main, msp.policy, may_be_made=kind in {None, "new"}, data=event.data)
    client = await settle_client(run, msp, wanted)
    await run.known_as(f"halo:{client.id}")
    if client.inactive and run.newer:
        question = (
            f"{client.name} is inactive, and run {run.newer} of a later event changed it. Onboard it all the same?"
        )
        await run.approval("late", question, within=timedelta(hours=msp.policy.approval_hours))
    kind = await settled_kind(run, msp, deal.deal, client, kind)
    if kind == "ignore":
        return Onboarded(kind=kind)
    ledger = Ledger(client, remarks=list(deal.skipped))
    key = deal.client.id if client.created or not client.keyed else ""
    work = Onboarding(run, msp, event, deal, client, kind, ledger, Made(client=client, key=key))
    await _enter(work, wanted)
    await (_settle_in(work) if kind == "new" else _find_sites(work))
    await _agree(work)
    verified = await run.step("verify", verify_onboarding, msp.halo, work.made) or Verified(retired=[])
    for double in verified.retired:
        await run.remark(f"retired:{double}", f"set inactive: {double}")
        work.ledger.remarks.append(f"set inactive: {double}")
    await _welcome(work)
    await _tell(work)
    return _result(work)


async def _enter(work: Onboarding, wanted: Wanted) -> None:
    """Bring a known client up to date: active, with the CRM's key, and for a new deal with what it lacks."""
    run, halo, client, lack = work.run, work.msp.halo, work.client, Lack()
    if client.inactive and await run.step("has-ended", has_ended, halo, client.id):
        # A churn that is not at its end asks by itself whether the client was won meanwhile.
        for step, fact in churns_before(work.event).items():
            await run.halt(step, "churn_client", fact, f"{client.name} is won again")
    if not client.created:
        await remark_all(run, "client", client)
        main = wanted.main_site.name if wanted.main_site and work.kind == "new" else ""
        work.ledger.before = await run.step("before", look_around, halo, client, main)
        lack = await run.step("client-lacks", find_lack, halo, client, wanted, whole=work.kind == "new")
    if not client.keyed:
        await run.step("key", ensure_key, halo, client, wanted.client.id)
    if lack.values:
        await run.step("client-data", fill, halo, client, lack)
    work.ledger.add_client(lack)


async def _settle_in(work: Onboarding) -> None:
    """Ensure the sites and contacts of a new deal."""
    run, halo, client, deal = work.run, work.msp.halo, work.client, work.deal
    main, held = deal.sites[0] if deal.sites else None, work.ledger.before.main_site
    main_site = await run.step("main-site", ensure_main_site, halo, client, main, deal.client.phone, held)
    work.made.sites.append(main_site)
    work.ledger.add_main_site(main, main_site)
    if main and main.key:
        work.places[main.key] = main_site.id
    for site in deal.sites[1:]:
        await _ensure_site(work, site)
    await _ensure_contacts(work)


async def _find_sites(work: Onboarding) -> None:
    """Find the main site, and ensure the sites at which the assets of a further deal stand."""
    run, halo, client, deal = work.run, work.msp.halo, work.client, work.deal
    held = work.ledger.before.main_site
    main_site = await run.step("main-site", ensure_main_site, halo, client, None, None, held)
    work.made.sites.append(main_site)
    wanted = {asset.site for asset in deal.assets if asset.site}
    for site in deal.sites:
        if site.key in wanted:
            await _ensure_site(work, site)


async def _ensure_site(work: Onboarding, site: Site) -> None:
    step = f"site:{normalised_name(site.name)}"
    made = await work.run.step(step, ensure_site, work.msp.halo, work.client, site)
    work.ledger.add_site(site, made)
    if made:
        work.made.sites.append(made)
        if site.key:
            work.places[site.key] = made.id


async def _ensure_contacts(work: Onboarding) -> None:
    """Ensure the contacts: a primary one that HaloPSA refuses fails the run, another one is left out and named."""
    rules = work.msp.policy.contacts
    for contact in work.deal.contacts:
        data = {**work.event.data, "contact": contact.model_dump(mode="json")}
        more: dict[str, Any] = {
            "portal_access": rules.portal_access_level if contact.portal_access else None,
            "custom_fields": filled_fields(rules.custom_fields, data) or None,
        }
        step, about = f"contact:{contact.key}", (work.msp.halo, work.client, work.place(contact), contact)
        ensured: Ensured | Refused | None
        if contact is work.deal.contacts[0]:
            ensured = await work.run.step(step, ensure_contact, *about, main=True, **more)
        else:
            ensured = await work.run.step(step, try_contact, *about, **more)
        if isinstance(ensured, Refused):
            work.ledger.refuse("contact", contact.name, ensured.why)
            continue
        work.ledger.add_contact(contact, ensured)
        if ensured:
            work.made.contacts.append(ensured)
            if contact.key not in work.ledger.before.contacts:
                work.newcomers[contact.key] = ensured.id


async def _agree(work: Onboarding) -> None:
    """Ensure the contract, the assets and the kick-off ticket."""
    run, msp, client, deal = work.run, work.msp, work.client, work.deal
    won_on = (deal.deal.won_at or work.event.occurred_at).astimezone(msp.policy.zone).date()
    agreed = Agreed(deal.deal, won_on, work.kind, work.event.data)
    contract = await settle_contract(run, msp, client, work.made.sites[0].id, agreed)
    if contract or agreed.rules(msp.policy).contract != "none":
        work.ledger.add("contract", contract, deal.deal.id)
    work.made.contract = contract
    for asset in deal.assets if msp.policy.onboard_client.assets else []:
        made = await run.step(f"asset:{asset.tag}", ensure_asset, msp.halo, client, work.place(asset), asset)
        work.ledger.add("asset", made, asset.tag)
        work.made.assets += [made] if made else []
    await _kick_off(work, agreed)


async def _kick_off(work: Onboarding, agreed: Agreed) -> None:
    template = agreed.rules(work.msp.policy).kickoff
    if template is None:
        return
    ticket = await work.run.step(
        "kick-off",
        ensure_ticket,
        work.msp.halo,
        work.client.id,
        template,
        work.msp.policy,
        work.event.data,
        mark=f"deal {work.deal.deal.id}",
        look=not work.client.created,
    )
    work.ledger.add("ticket", ticket, "kick-off")
    work.made.ticket = ticket


async def _welcome(work: Onboarding) -> None:
    """Let HaloPSA send its welcome e-mail to the new contacts whose event asks for it."""
    if not work.msp.policy.onboard_client.welcome_mail:
        return
    for contact in work.deal.contacts:
        if contact.send_welcome and contact.key in work.newcomers:
            contact_id = work.newcomers[contact.key]
            sent = await work.run.step(f"welcome:{contact.key}", send_welcome, work.msp.halo, contact_id)
            work.ledger.add("welcome e-mail", sent, contact.name)


async def send_welcome(halo: Halo, contact_id: int) -> Ensured | None:
    """Let HaloPSA send its welcome e-mail to a contact, at most once.

    Raises:
        NeedsOperator: it may have been sent already.
    """
    if halo.in_doubt:
        raise NeedsOperator(
            f"HaloPSA may have sent its welcome e-mail to contact {contact_id} already: its answer was lost.",
            mend="ask the contact, or look into HaloPSA's e-mail log; send it there if need be, and skip the step.",
        )
    if not halo.contacts.has("send_welcome"):
        return Ensured(id=contact_id, remarks=["no welcome e-mail: this HaloPSA has no field for it"])
    await halo.contacts.update(contact_id, send_welcome=True)
    return Ensured(id=contact_id, created=True)


async def _tell(work: Onboarding) -> None:
    """Put the report on the client, and tell the CRM what stands in HaloPSA, as far as the policy says so."""
    rules, deal, client = work.msp.policy.onboard_client, work.deal.deal, work.client
    what = "Onboarded from won deal" if work.kind == "new" else f"{work.kind.capitalize()}, won deal"
    title = f"{what} {deal.id} {deal.name}".rstrip()
    if rules.report_note:
        await file_report(
            work.run,
            work.msp.halo,
            work.event,
            workflow=onboard_client.__name__,
            title=title,
            client=(client.id, client.name),
            lines=work.ledger.lines,
            remarks=work.ledger.remarks,
        )
    if rules.crm_write_back and work.msp.crm:
        text = "\n".join([f"{title} in HaloPSA, client {client.id}", *(line.text() for line in work.ledger.lines)])
        await work.run.step("crm", tell_crm, work.msp.crm, work.event, text, work.run)


async def tell_crm(crm: Crm, event: Event, text: str, guard: Guard) -> bool:
    """Write on the CRM's deal what stands in HaloPSA."""
    return await crm.note_on_deal(event, text, guard)


def _managed(deal: WonDeal) -> Client:
    """The client, its account managed by the deal's owner where the event names nobody."""
    manager = deal.client.account_manager_email or deal.deal.owner_email
    return deal.client.model_copy(update={"account_manager_email": manager})


def _result(work: Onboarding) -> Onboarded:
    made = work.made
    return Onboarded(
        kind=work.kind,
        client_id=work.client.id,
        client_created=work.client.created,
        site_ids=[site.id for site in made.sites],
        contact_ids=[contact.id for contact in made.contacts],
        contract_id=made.contract.id if made.contract else None,
        asset_ids=[asset.id for asset in made.assets],
        ticket_id=made.ticket.id if made.ticket else None,
        remarks=work.ledger.remarks,
    )
