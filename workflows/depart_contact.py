"""A contact that leaves its client: inactive and without the portal, at once."""

import html
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel

from worker.errors import NeedsOperator
from worker.events import Event, read_time
from worker.run import Run
from workflows.canonical import LeavingContact, departed_contact, normalised_name
from workflows.ensure import ClientRef, Ensured, Skippable, contact_key
from workflows.ensure.contact import with_access
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.halopsa.models import Contact
from workflows.hand_over import NO_ACCESS
from workflows.known_client import find_known
from workflows.msp import Msp
from workflows.report import Line, file_report
from workflows.routes import new_contact_route
from workflows.snapshot import GENERAL_USER

DEPARTURE: Final = re.compile(r"Contact (.+?) left at (\S+)")
"""How the report of a departure begins."""
UNKNOWN_ACCESS: Final = "which access to the portal it had could not be read; it was set to none all the same"


class Leaver(BaseModel):
    """A contact as it was before it left.

    Attributes:
        portal_access: HaloPSA's level of access to the portal; None: nobody knows.
    """

    id: int
    name: str
    inactive: bool
    portal_access: int | None
    main: bool

    @property
    def changes(self) -> dict[str, tuple[int | None, int]]:
        """What its departure changes: field → before and after."""
        changes: dict[str, tuple[int | None, int]] = {}
        if not self.inactive:
            changes["inactive"] = (False, True)
        if self.portal_access != NO_ACCESS:
            changes["portal_access"] = (self.portal_access, NO_ACCESS)
        return changes


class ContactDeparted(BaseModel):
    """What a departure did, by ids in HaloPSA.

    Attributes:
        client_id: the client; 0 where nothing was looked for.
        contact_ids: who is inactive now.
        open_ticket_ids: tickets of theirs for somebody to look at.
        remarks: what else should be known.
    """

    client_id: int
    contact_ids: list[int]
    open_ticket_ids: list[int]
    remarks: list[str]


async def depart_contact(run: Run, msp: Msp, event: Event) -> ContactDeparted:
    """Set a contact that has left inactive and take the portal away from it.

    Raises:
        InvalidEvent: the event lacks what is needed.
        NeedsOperator: it is not clear who is meant, or HaloPSA refuses.
        NotYet: HaloPSA does not have the client.
        RetryLater: HaloPSA cannot be asked now.
    """
    departed, halo = departed_contact(event), msp.halo
    fact = new_contact_route(event).fact
    if await run.halt("created", "onboard_contact", fact, f"{departed.contact.key} has left") == "newer":
        back = f"{departed.contact.key} is back by a later event and stays as it is"
        await run.remark("back", back)
        return ContactDeparted(client_id=0, contact_ids=[], open_ticket_ids=[], remarks=[back])
    client = await run.step("client", find_known, halo, departed.client)
    leavers = await run.step("contact", find_leavers, halo, client.id, departed.contact)
    for leaver in leavers:
        if leaver.changes:
            await run.step(f"leaves:{leaver.id}", let_leave, halo, leaver.id)
    tickets = await run.step("tickets", tickets_of, halo, client.id, [leaver.id for leaver in leavers])
    return await _report(run, halo, event, client, leavers, tickets=tickets)


async def find_leavers(halo: Halo, client_id: int, contact: LeavingContact) -> list[Leaver]:
    """Find who leaves: everybody with the e-mail address, else whoever has the name; never a General User.

    Raises:
        NeedsOperator: several have the name, or the one who has it has another e-mail address.
    """
    rows = [row for row in await halo.contacts.find(client_id=client_id) if row.name != GENERAL_USER]
    found = [row for row in rows if contact.email and contact_key(row) == contact.key]
    if not found:
        found = [row for row in rows if contact.name and normalised_name(row.name) == normalised_name(contact.name)]
        in_use = [row for row in found if row.in_use]
        if len(in_use) > 1 or any(row.email and contact.email for row in in_use):
            raise _undecided(contact, in_use)
    return [await _leaver(halo, row) for row in found]


async def _leaver(halo: Halo, row: Contact) -> Leaver:
    """Read a contact by itself; where the dialect knows no portal, it has no access to one."""
    whole = await with_access(halo, row)
    level = whole.portal_access if halo.contacts.has("portal_access") else NO_ACCESS
    return Leaver(id=whole.id, name=whole.name, inactive=whole.inactive, portal_access=level, main=whole.main)


async def let_leave(halo: Halo, contact_id: int) -> Skippable:
    """Set a contact inactive, without access to the portal."""
    await halo.contacts.update(contact_id, inactive=True, portal_access=NO_ACCESS)
    return Ensured(id=contact_id)


async def tickets_of(halo: Halo, client_id: int, contact_ids: list[int]) -> list[int]:
    """List the open tickets of contacts; none where the API agent may not see tickets."""
    try:
        found = [await halo.tickets.find(client_id=client_id, user_id=contact_id) for contact_id in contact_ids]
    except (HaloForbidden, HaloNotFound):
        return []
    return [ticket.id for tickets in found for ticket in tickets if not ticket.closed]


async def left_since(halo: Halo, client_id: int, contact: str, moment: datetime) -> bool:
    """Whether the notes on a client tell that a contact left after a moment.

    Args:
        halo: HaloPSA.
        client_id: the client.
        contact: what tells the contact from its client's others.
        moment: an aware time.
    """
    try:
        notes = await halo.notes.find(client_id=client_id)
    except (HaloForbidden, HaloNotFound):
        return False
    told = [found for note in notes for found in DEPARTURE.findall(html.unescape(note.text))]
    return any(who == contact and (at := read_time(when)) and at > moment for who, when in told)


async def _report(
    run: Run, halo: Halo, event: Event, client: ClientRef, leavers: Sequence[Leaver], *, tickets: list[int]
) -> ContactDeparted:
    who = departed_contact(event).contact.key
    remarks = [f"{one.name} was the main contact of its site: choose another" for one in leavers if one.main]
    remarks += [f"{one.name}: {UNKNOWN_ACCESS}" for one in leavers if one.portal_access is None]
    if not leavers:
        remarks.append(f"HaloPSA has no contact {who} of this client")
    lines = [
        Line(
            what="contact",
            done="changed" if one.changes else "found",
            ids=[one.id],
            name=one.name,
            why="" if one.changes else "was inactive already",
            changes=one.changes,
        )
        for one in leavers
    ]
    if tickets:
        lines.append(Line(what="ticket", done="left", ids=tickets, why="open tickets of this contact"))
    await file_report(
        run,
        halo,
        event,
        workflow=depart_contact.__name__,
        title=f"Contact {who} left at {event.occurred_at.isoformat()}",
        client=(client.id, client.name),
        lines=lines,
        remarks=remarks,
    )
    ids = [leaver.id for leaver in leavers]
    return ContactDeparted(client_id=client.id, contact_ids=ids, open_ticket_ids=tickets, remarks=remarks)


def _undecided(contact: LeavingContact, found: Sequence[Contact]) -> NeedsOperator:
    candidates = ", ".join(f"{row.id} {row.name!r} ({row.email or 'no e-mail address'})" for row in found)
    return NeedsOperator(
        f"It is not clear who leaves as {contact.key!r}: {candidates}.",
        mend="set the one who leaves inactive in HaloPSA and cancel the run, or correct the address and retry it.",
    )
