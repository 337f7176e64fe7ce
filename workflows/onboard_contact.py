"""A new contact of a client that HaloPSA has: found by its e-mail address, else made."""

from pydantic import BaseModel

from worker.errors import NotYet
from worker.events import Event
from worker.run import Run
from workflows import canonical
from workflows.canonical import LeavingClient, created_contact, normalised_name
from workflows.depart_contact import left_since
from workflows.ensure import ClientRef, Ensured, Skippable, contact_key, ensure_contact
from workflows.ensure.ticket import filled_fields
from workflows.halopsa import Halo
from workflows.halopsa.models import Site
from workflows.known_client import find_known
from workflows.msp import Msp
from workflows.onboard_client import send_welcome
from workflows.report import Line, file_report
from workflows.verify_onboarding import Made, Verified, verify_onboarding


class ContactBefore(BaseModel):
    """A contact as HaloPSA had it already."""

    id: int
    inactive: bool


class ContactOnboarded(BaseModel):
    """What stands in HaloPSA, by its ids there.

    Attributes:
        client_id: the client.
        contact_id: None where the contact was left out.
        created: whether the contact is new.
        remarks: what is not as the event has it.
    """

    client_id: int
    contact_id: int | None = None
    created: bool = False
    remarks: list[str]


async def onboard_contact(run: Run, msp: Msp, event: Event) -> ContactOnboarded:
    """Make sure that a contact stands under its client, once.

    Raises:
        InvalidEvent: the event lacks what is needed, or holds what cannot be.
        NeedsOperator: a person must decide or mend something in HaloPSA.
        NotYet: HaloPSA does not have the client, or it is inactive.
        RetryLater: HaloPSA cannot be asked now.
    """
    created, halo = created_contact(event), msp.halo
    contact = created.contact
    client = await run.step("client", find_active, halo, created.client)
    await run.known_as(f"halo:{client.id}")
    if await run.step("departed", left_since, halo, client.id, contact.key, event.occurred_at):
        gone = f"{contact.key} has left since, by a later event"
        await run.remark("gone", gone)
        return ContactOnboarded(client_id=client.id, remarks=[gone])
    before = await run.step("before", contact_before, halo, client.id, contact)
    site = await run.step("site", find_site, halo, client.id, contact.site)
    rules, data = msp.policy.contacts, {**event.data, "contact": contact.model_dump(mode="json")}
    made = await run.step(
        f"contact:{contact.key}",
        ensure_contact,
        halo,
        client,
        site.id if site else 0,
        contact,
        main=contact.primary,
        portal_access=rules.portal_access_level if contact.portal_access else None,
        custom_fields=filled_fields(rules.custom_fields, data) or None,
    )
    lines = [_line(contact, before, made)]
    if before is None and made:
        lines += await _greet(run, msp, client, contact, made)
    remarks = [*(site.remarks if site else []), *(made.remarks if made else [])]
    await file_report(
        run,
        halo,
        event,
        workflow=onboard_contact.__name__,
        title=f"Contact {contact.key} onboarded",
        client=(client.id, client.name),
        lines=lines,
        remarks=remarks,
    )
    return ContactOnboarded(
        client_id=client.id,
        contact_id=made.id if made else None,
        created=before is None and made is not None,
        remarks=remarks,
    )


async def find_active(halo: Halo, client: LeavingClient) -> ClientRef:
    """Find the one client that an event is about, if it has not left.

    Raises:
        NeedsOperator: it is not clear which client is meant.
        NotYet: none matches, or it is inactive.
    """
    known = await find_known(halo, client)
    if known.inactive:
        raise NotYet(
            f"The client {known.name!r} ({known.id}) is inactive in HaloPSA.",
            mend="make the client active and retry the run, or cancel it.",
        )
    return known


async def contact_before(halo: Halo, client_id: int, contact: canonical.Contact) -> ContactBefore | None:
    """Look how HaloPSA has a contact before anything is written."""
    known = [row for row in await halo.contacts.find(client_id=client_id) if contact_key(row) == contact.key]
    first = min(known, key=lambda row: (row.inactive, row.id), default=None)
    return ContactBefore(id=first.id, inactive=first.inactive) if first else None


async def find_site(halo: Halo, client_id: int, name: str) -> Skippable:
    """Find a site of the client by its name, else the main one; None if it has no site at all."""
    sites = [site for site in await halo.sites.find(client_id=client_id) if site.in_use]
    named = [site for site in sites if name and normalised_name(site.name) == normalised_name(name)]
    site = min(named or sites, key=_main_first, default=None)
    if site is None:
        return None
    remarks = [f"stands at {site.name!r}: the client has no site {name!r}"] if name and not named else []
    return Ensured(id=site.id, remarks=remarks)


async def _greet(run: Run, msp: Msp, client: ClientRef, contact: canonical.Contact, made: Ensured) -> list[Line]:
    """Read a new contact back, and let HaloPSA send its welcome e-mail where event and policy ask for it."""
    verified = await run.step("verify", verify_onboarding, msp.halo, Made(client=client, contacts=[made]))
    lines = [Line(what="contact", done="changed", why=f"set inactive: {double}") for double in _doubles(verified)]
    if contact.send_welcome and msp.policy.onboard_contact.welcome_mail:
        sent = await run.step("welcome", send_welcome, msp.halo, made.id)
        why = "; ".join(sent.remarks) if sent else "by an operator"
        lines.append(Line(what="welcome e-mail", done="made" if sent and sent.created else "skipped", why=why))
    return lines


def _doubles(verified: Verified | None) -> list[str]:
    return verified.retired if verified else []


def _main_first(site: Site) -> tuple[bool, int]:
    return not site.main, site.id


def _line(contact: canonical.Contact, before: ContactBefore | None, made: Skippable) -> Line:
    if made is None:
        return Line(what="contact", done="skipped", name=contact.name, why="by an operator")
    if before is None:
        return Line(what="contact", done="made", ids=[made.id], name=contact.name)
    if before.inactive:
        return Line(
            what="contact", done="changed", ids=[made.id], name=contact.name, changes={"inactive": (True, False)}
        )
    return Line(what="contact", done="found", ids=[made.id], name=contact.name)
