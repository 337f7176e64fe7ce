"""What a client has in HaloPSA, read at one moment."""

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, Field

from workflows.closing_rules import ClosingRules
from workflows.end_contracts import may_roll
from workflows.ensure import listed
from workflows.ensure.contact import with_access
from workflows.ensure.contract import with_rolling
from workflows.ensure.ensured import age
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.halopsa.collection import Collection
from workflows.halopsa.models import Contact, Contract, R, RecurringInvoice
from workflows.open_tickets import BATCH, OpenTicket, open_tickets

GENERAL_USER: Final = "General User"
"""HaloPSA's built-in user of every site, whom tickets without a named one belong to; never to be changed."""
READ_SINGLY: Final = 300
"""Contacts at most that are read by themselves, which takes a request each."""


class Snapshot(BaseModel):
    """What a client has in HaloPSA that a churn touches or reports.

    Attributes:
        tickets: those to be closed, in that order; of very many only the first.
        more_tickets: how many there are beyond `tickets`.
        kept_tickets: open ones of the types that are handed over.
        contracts: ended ones included.
        recurring_invoices: disabled ones included.
        asset_ids: those in use.
        contact_ids: those in use; not the General User.
        portal_access: contact → HaloPSA's level of access to the portal, of those seen to have it.
        not_read: what could not be read.
        unknown_access: of whom nobody knows whether they have access to the portal, in words.
    """

    tickets: list[OpenTicket]
    more_tickets: int = 0
    kept_tickets: list[OpenTicket] = Field(default_factory=list)
    contracts: list[Contract]
    recurring_invoices: list[RecurringInvoice]
    asset_ids: list[int]
    contact_ids: list[int]
    portal_access: dict[int, int] = Field(default_factory=dict)
    not_read: list[str] = Field(default_factory=list)
    unknown_access: list[str] = Field(default_factory=list)

    @property
    def open_tickets(self) -> int:
        """How many tickets are open."""
        return len(self.tickets) + self.more_tickets + len(self.kept_tickets)


async def take_snapshot(halo: Halo, client_id: int, rules: ClosingRules, *, access: bool) -> Snapshot:
    """Read what the client has: open tickets, contracts, recurring invoices, assets and contacts.

    What is only reported may be out of the API agent's sight.

    Args:
        halo: HaloPSA.
        client_id: the client.
        rules: which tickets are closed.
        access: whether to look who has access to the portal.
    """
    not_read: list[str] = []
    unknown_access: list[str] = []
    found = await open_tickets(halo, client_id, rules)
    tickets = [ticket for ticket in found if ticket.type_id not in rules.keep_type_ids]
    users = await _if_allowed(halo.contacts, client_id, not_read)
    contacts = [user for user in users if user.name != GENERAL_USER]
    return Snapshot(
        tickets=tickets[:BATCH],
        more_tickets=len(tickets[BATCH:]),
        kept_tickets=[ticket for ticket in found if ticket.type_id in rules.keep_type_ids],
        contracts=await _contracts(halo, client_id, not_read),
        recurring_invoices=await _if_allowed(halo.recurring_invoices, client_id, not_read),
        asset_ids=[asset.id for asset in await _if_allowed(halo.assets, client_id, not_read) if asset.in_use],
        contact_ids=[one.id for one in contacts if one.in_use],
        portal_access=await _portal_access(halo, contacts, unknown_access) if access else {},
        not_read=not_read,
        unknown_access=unknown_access,
    )


async def _contracts(halo: Halo, client_id: int, not_read: list[str]) -> list[Contract]:
    """Read contracts, active ones each by itself: HaloPSA's lists say neither whether they roll nor what is prepaid."""
    rows = await halo.contracts.find(client_id=client_id)
    contracts = [_shortened(await with_rolling(halo, row) if row.active else row) for row in rows]
    not_read += [f"whether contract {one.id} rolls on, and what is prepaid" for one in contracts if may_roll(one)]
    return contracts


async def _portal_access(halo: Halo, contacts: Sequence[Contact], unknown: list[str]) -> dict[int, int]:
    """Look who has access to the portal; where the dialect knows none, nobody has."""
    if not halo.contacts.has("portal_access"):
        return {}
    unshown = sorted((one for one in contacts if one.portal_access is None), key=age)
    read = [await with_access(halo, one) for one in unshown[:READ_SINGLY]]
    if unread := [one.id for one in read if one.portal_access is None]:
        unknown.append(f"whether these have access to the portal: contact {listed(unread)}")
    if more := unshown[READ_SINGLY:]:
        unknown.append(f"whether {len(more)} contacts beyond the first {READ_SINGLY} have access to the portal")
    return {one.id: one.portal_access for one in [*contacts, *read] if one.portal_access}


def _shortened(contract: Contract) -> Contract:
    """Leave out what may be long: what a step keeps is limited."""
    return contract.model_copy(update={"note": ""})


async def _if_allowed(collection: Collection[R], client_id: int, not_read: list[str]) -> list[R]:
    try:
        return await collection.find(client_id=client_id)
    except (HaloForbidden, HaloNotFound) as refusal:
        not_read.append(refusal.what)
        return []
