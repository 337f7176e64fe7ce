"""What the checks look at, and what they find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

from workflows.halopsa.models import Client, Contact, Contract, RecurringInvoice, Ticket
from workflows.policy.quality import Check
from workflows.policy.tenant import Names


class Named(BaseModel):
    """A record by HaloPSA's id and by what people call it."""

    model_config = ConfigDict(frozen=True)

    id: int
    name: str


class Finding(BaseModel):
    """Something wrong with HaloPSA's data.

    Attributes:
        kind: the check that found it.
        certainty: "likely" where a person has to look; "unknown" where the check could not be made.
        clients: whom it is about.
        records: their contacts, tickets, contracts or recurring invoices that are meant, where there are such.
        what: what is wrong.
        mend: how to mend it.
    """

    model_config = ConfigDict(frozen=True)

    kind: Check
    certainty: Literal["certain", "likely", "unknown"] = "certain"
    clients: tuple[Named, ...] = ()
    records: tuple[Named, ...] = ()
    what: str
    mend: str


@dataclass(frozen=True, slots=True)
class WonDeal:
    """A deal that the CRM says is won.

    Attributes:
        id: the CRM's; with its name.
        client_key: the CRM's id of the company; may be empty.
        client_name: the company's name.
    """

    id: str
    name: str
    client_key: str
    client_name: str


@dataclass
class Records:
    """What a tenant holds, as far as the checks need it.

    Attributes:
        names: when two names are alike.
        today: the day on which contracts are looked at.
        clients: by their ids, inactive ones included.
        account_managers: the ids of those clients that have one.
        contacts: inactive ones included.
        tickets: the open ones.
        contracts: ended ones included.
        recurring_invoices: disabled ones included.
        won_deals: the CRM's.
    """

    names: Names
    today: date
    clients: Mapping[int, Client] = field(default_factory=dict)
    account_managers: Sequence[int] = ()
    contacts: Sequence[Contact] = ()
    tickets: Sequence[Ticket] = ()
    contracts: Sequence[Contract] = ()
    recurring_invoices: Sequence[RecurringInvoice] = ()
    won_deals: Sequence[WonDeal] = ()

    @property
    def in_use(self) -> list[Client]:
        """The clients that are served, by their ids."""
        return [client for _, client in sorted(self.clients.items()) if client.in_use]


def named(client: Client) -> Named:
    """Name a client."""
    return Named(id=client.id, name=client.name)
