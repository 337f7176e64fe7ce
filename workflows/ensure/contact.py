"""Contacts: found by their e-mail address or name, else made."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from workflows import canonical
from workflows.canonical import normalised_name
from workflows.ensure.ensured import ClientRef, Ensured, Skippable, eldest, must_look
from workflows.halopsa import Halo, HaloConflict, HaloForbidden, HaloNotFound, HaloRefused
from workflows.halopsa.models import Contact


class Refused(BaseModel):
    """A contact that HaloPSA does not take.

    Attributes:
        why: in its words.
    """

    model_config = ConfigDict(frozen=True)

    why: str


async def ensure_contact(
    halo: Halo, client: ClientRef, site_id: int, contact: canonical.Contact, *, main: bool, **more: Any
) -> Skippable:
    """Find a contact by its key within the client, or make it; one that was inactive becomes active.

    A welcome e-mail is not asked for.

    Args:
        halo: HaloPSA.
        client: whose contact it is.
        site_id: where a new one stands.
        contact: what the event says.
        main: whether a new one becomes its site's main contact.
        **more: further fields of a new one by our names.
    """
    known = await _known(halo, client, contact) if must_look(halo, client) else None
    try:
        return known or await _create(halo, client, site_id, contact, main=main, **more)
    except HaloConflict:
        # The address is in use: by a request of this step that has landed since, or at another client.
        known = await _known(halo, client, contact)
        if known is None:
            raise
        return known


async def try_contact(
    halo: Halo, client: ClientRef, site_id: int, contact: canonical.Contact, **more: Any
) -> Ensured | Refused | None:
    """Do as `ensure_contact` for a contact that is not the main one; one that HaloPSA refuses holds nothing up."""
    try:
        return await ensure_contact(halo, client, site_id, contact, main=False, **more)
    except HaloForbidden:
        raise
    except HaloRefused as refusal:
        return Refused(why=refusal.what)


def contact_key(row: Contact) -> str:
    """Return what tells a contact of HaloPSA from its client's others, as `canonical.Contact.key` does."""
    return row.email.strip().casefold() or normalised_name(row.name)


async def with_access(halo: Halo, contact: Contact) -> Contact:
    """Read a contact by itself: HaloPSA's lists say neither which access to the portal it has nor whether it is main.

    Returns:
        The contact as it was given where the API agent may not read it, or where the dialect knows no portal.
    """
    if contact.portal_access is not None or not halo.contacts.has("portal_access"):
        return contact
    try:
        return await halo.contacts.get(contact.id)
    except (HaloForbidden, HaloNotFound):
        return contact


async def _known(halo: Halo, client: ClientRef, contact: canonical.Contact) -> Ensured | None:
    rows = await halo.contacts.find(client_id=client.id)
    known = [row for row in rows if contact_key(row) == contact.key]
    if not known:
        return None
    match = eldest(known)
    if match.inactive:
        await halo.contacts.update(match.id, inactive=False)
        return Ensured(id=match.id, in_doubt=halo.in_doubt, changes={"inactive": (True, False)})
    return Ensured(id=match.id, in_doubt=halo.in_doubt)


async def _create(
    halo: Halo, client: ClientRef, site_id: int, contact: canonical.Contact, *, main: bool, **more: Any
) -> Ensured:
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
        **more,
    )
    shown = made.site_id == site_id and contact_key(made) == contact.key
    return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt, shown=shown)
