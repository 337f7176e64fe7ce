"""The checks: contacts, account managers, what inactive clients have left behind, and won deals.

HaloPSA knows no filter for clients without users or users without e-mail addresses, and ignores in silence what
it does not know: everything is compared here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from workflows.canonical import normalised_name
from workflows.data_quality.duplicates import duplicate_names
from workflows.data_quality.finding import Finding, Named, Records, named
from workflows.data_quality.hierarchy import faulty_parents
from workflows.end_contracts import may_roll, runs_past
from workflows.halopsa.models import Client, Contact, Contract, RecurringInvoice, Ticket
from workflows.policy.quality import Check
from workflows.snapshot import GENERAL_USER

Left = TypeVar("Left", Ticket, Contract, RecurringInvoice)
List = Literal["account_managers", "contacts", "tickets", "contracts", "recurring_invoices", "won_deals"]


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """One check.

    Attributes:
        kind: its name in the policy and in findings.
        find: looks for faults.
        needs: what it looks at beside the clients.
    """

    kind: Check
    find: Callable[[Records], Iterable[Finding]]
    needs: List | None = None


def clients_without_contacts(records: Records) -> Iterator[Finding]:
    """Find clients in use for which no person stands; the General User that every site has is none."""
    having = {contact.client_id for contact in records.contacts if contact.in_use and not _is_general_user(contact)}
    for client in records.in_use:
        if client.id not in having:
            yield Finding(
                kind="client-without-contacts",
                clients=(named(client),),
                what="The client has no active contact; the General User is nobody.",
                mend="Add a user to one of the customer's sites, or make a former one active.",
            )


def contacts_without_email(records: Records) -> Iterator[Finding]:
    """Find active contacts of clients in use that have no e-mail address."""
    in_use = {client.id for client in records.in_use}
    for contact in sorted(records.contacts, key=lambda contact: (contact.client_id, contact.id)):
        missing = not contact.email.strip() and not _is_general_user(contact)
        if missing and contact.in_use and contact.client_id in in_use:
            yield Finding(
                kind="contact-without-email",
                clients=(named(records.clients[contact.client_id]),),
                records=(Named(id=contact.id, name=contact.name),),
                what="The contact has no e-mail address.",
                mend="Enter the address at the user, or set the user inactive if the person has left.",
            )


def clients_without_account_manager(records: Records) -> Iterator[Finding]:
    """Find clients in use whose account nobody manages."""
    managed = set(records.account_managers)
    for client in records.in_use:
        if client.id not in managed:
            yield Finding(
                kind="client-without-account-manager",
                clients=(named(client),),
                what="The client has no account manager.",
                mend="Choose an account manager at the customer.",
            )


def open_tickets_left(records: Records) -> Iterator[Finding]:
    """Find inactive clients with open tickets."""
    for client, left in _left_behind(records, records.tickets):
        yield Finding(
            kind="inactive-client-with-open-tickets",
            clients=(named(client),),
            records=tuple(Named(id=ticket.id, name=ticket.summary) for ticket in left),
            what=f"The client is inactive and has {_counted(left, 'open ticket')}.",
            mend="Close the tickets with their reason, or make the customer active again.",
        )


def running_contracts_left(records: Records) -> Iterator[Finding]:
    """Find inactive clients with contracts that go on, and likely with those that roll on for all that can be read."""
    running = [one for one in records.contracts if runs_past(one, records.today) or may_roll(one)]
    for client, left in _left_behind(records, running):
        yield Finding(
            kind="inactive-client-with-running-contracts",
            certainty="certain" if any(runs_past(one, records.today) for one in left) else "likely",
            clients=(named(client),),
            records=tuple(Named(id=contract.id, name=contract.ref) for contract in left),
            what=f"The client is inactive and has {_counted(left, 'running contract')}.",
            mend="Give each agreement its end date and take away that it rolls on, or make the customer active again.",
        )


def recurring_invoices_left(records: Records) -> Iterator[Finding]:
    """Find inactive clients that are billed on."""
    enabled = [one for one in records.recurring_invoices if _goes_on(one, records)]
    for client, left in _left_behind(records, enabled):
        yield Finding(
            kind="inactive-client-with-recurring-invoices",
            clients=(named(client),),
            records=tuple(Named(id=invoice.id, name=invoice.contract_ref) for invoice in left),
            what=f"The client is inactive and has {_counted(left, 'enabled recurring invoice')}.",
            mend="Disable the recurring invoices once finance has billed the rest, or make the customer active again.",
        )


def won_deals_without_client(records: Records) -> Iterator[Finding]:
    """Find won deals whose company is no client."""
    keys = {client.key for client in records.clients.values()}
    names = {normalised_name(client.name) for client in records.clients.values()}
    for deal in records.won_deals:
        if deal.client_key not in keys - {""} and normalised_name(deal.client_name) not in names:
            yield Finding(
                kind="won-deal-without-client",
                what=f"The deal {deal.id} {deal.name!r} is won, and HaloPSA has no client {deal.client_name!r} "
                f"(key {deal.client_key!r}).",
                mend="Hand the deal in again (parhelion events backfill), or link its company to the client that it is "
                "(parhelion link).",
            )


CHECKS: Final = (
    QualityCheck("client-without-contacts", clients_without_contacts, "contacts"),
    QualityCheck("contact-without-email", contacts_without_email, "contacts"),
    QualityCheck("duplicate-client-names", duplicate_names),
    QualityCheck("client-hierarchy", faulty_parents),
    QualityCheck("client-without-account-manager", clients_without_account_manager, "account_managers"),
    QualityCheck("inactive-client-with-open-tickets", open_tickets_left, "tickets"),
    QualityCheck("inactive-client-with-running-contracts", running_contracts_left, "contracts"),
    QualityCheck("inactive-client-with-recurring-invoices", recurring_invoices_left, "recurring_invoices"),
    QualityCheck("won-deal-without-client", won_deals_without_client, "won_deals"),
)
"""In the order in which they are shown."""


def _left_behind(records: Records, rows: Iterable[Left]) -> Iterator[tuple[Client, list[Left]]]:
    """Give each inactive client the rows that are its own."""
    found: dict[int, list[Left]] = defaultdict(list)
    for row in rows:
        found[row.client_id].append(row)
    for client_id, left in sorted(found.items()):
        client = records.clients.get(client_id)
        if client is not None and client.inactive:
            yield client, sorted(left, key=lambda row: row.id)


def _counted(left: Sequence[object], what: str) -> str:
    return f"{len(left)} {what}{'' if len(left) == 1 else 's'}"


def _is_general_user(contact: Contact) -> bool:
    return contact.name.strip().casefold() == GENERAL_USER.casefold()


def _goes_on(invoice: RecurringInvoice, records: Records) -> bool:
    return not invoice.disabled and (invoice.end is None or invoice.end >= records.today)
