"""What events are made of: deals, clients, sites, contacts and assets."""

from datetime import date
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from workflows.canonical.values import (
    Amount,
    Day,
    Email,
    Key,
    Moment,
    Name,
    Part,
    Website,
    Words,
    first_text,
    normalised_name,
    words,
)


class ContractTerms(Part):
    """What was agreed about the contract.

    Attributes:
        type: HaloPSA's number for the type of contract.
        template: HaloPSA's number for the contract's PDF template.
        sla: the SLA, by HaloPSA's name or number for it.
        billing_period: one of the policy's words.
        notice_days: how long before its end the contract can be ended.
        auto_renew: whether it rolls on after its end.
    """

    type: str | None = None
    template: str | None = None
    sla: str | None = None
    starts_on: Day | None = None
    ends_on: Day | None = None
    term_months: Annotated[int, Field(gt=0, le=1200)] | None = None
    billing_period: str | None = None
    notice_days: Annotated[int, Field(ge=0, le=3650)] | None = None
    auto_renew: bool = False

    @field_validator("ends_on")
    @classmethod
    def _in_order(cls, ends_on: date | None, so_far: ValidationInfo) -> date | None:
        starts_on = so_far.data.get("starts_on")
        if starts_on and ends_on and ends_on < starts_on:
            raise ValueError("Contract ends before it starts")
        return ends_on


class DealLine(Part):
    """One line of a deal."""

    sku: str = ""
    name: str = ""
    quantity: Amount = 1.0
    unit_price: Amount | None = None
    recurring: bool = False


class Deal(Part):
    """A deal of the CRM.

    Attributes:
        kind: the CRM's word for what kind of deal it is.
        recurring_amount: for each billing period.
        owner_email: the salesperson.
    """

    id: Key
    name: str = ""
    kind: str = ""
    pipeline: str = ""
    won_at: Moment | None = None
    url: str | None = None
    recurring_amount: Amount | None = None
    one_off_amount: Amount | None = None
    currency: str | None = None
    po_number: str | None = None
    owner_email: str | None = None
    lines: list[DealLine] = Field(default_factory=list)
    contract: ContractTerms = ContractTerms()


class ClientData(Part):
    """What an event may say about a client.

    Attributes:
        id: the CRM's key.
        domains: of its e-mail addresses and websites.
        type: what it is to the MSP ("Customer").
        group: the customer group.
        parent_id: the client above it, by the CRM's key or by name.
        invoice_to: the client that pays, by the CRM's key or by name.
        custom_fields: values by HaloPSA's names of custom fields.
    """

    id: Key = ""
    name: str = ""
    email: Email | None = None
    billing_email: Email | None = None
    phone: str | None = None
    website: Website | None = None
    domains: Words = Field(default_factory=list)
    notes: str | None = None
    type: str | None = None
    group: str | None = None
    parent_id: Key | None = None
    invoice_to: Key | None = None
    account_manager_email: str | None = None
    tax_number: str | None = None
    payment_terms_days: Annotated[int, Field(ge=0, le=3650)] | None = None
    currency: str | None = None
    custom_fields: dict[str, bool | int | float | str | None] = Field(default_factory=dict)


class Client(ClientData):
    """The client that a deal was won with."""

    name: Name


class LeavingClient(Part):
    """A client by either of its names; `id` is the CRM's key."""

    id: Key = ""
    name: str = ""

    @model_validator(mode="after")
    def _named(self) -> "LeavingClient":
        if not (self.id or self.name):
            raise ValueError("Client id or name is required")
        return self


class KnownClient(ClientData, LeavingClient):
    """A client that should stand in HaloPSA already, and what the event says about it.

    `model_fields_set` says which fields the event gives.

    Attributes:
        merged_ids: the keys of those that the CRM has merged into this one; it has none of them any more.
    """

    name: Name = ""
    merged_ids: Words = Field(default_factory=list)


class Site(Part):
    """A place of the client; without a name it is called after its city or street."""

    name: Name
    key: str = ""
    main: bool = False
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    region: str | None = None
    postcode: str | None = None
    country: str | None = None
    phone: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        return values | {"name": first_text(values, "name", "city", "line1")} if isinstance(values, dict) else values


class Contact(Part):
    """A person at the client.

    Attributes:
        id: the CRM's key.
        site: a site's key.
        portal_access: whether the person may sign in to the portal.
        send_welcome: whether HaloPSA is to send its welcome e-mail.
    """

    name: Name
    id: Key = ""
    first_name: str | None = None
    last_name: str | None = None
    email: Email | None = None
    phone: str | None = None
    mobile: str | None = None
    job_title: str | None = None
    site: str = ""
    roles: Words = Field(default_factory=list)
    primary: bool = False
    vip: bool = False
    portal_access: bool = False
    send_welcome: bool = False

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        full = " ".join(filter(None, (first_text(values, part) for part in ("first_name", "last_name"))))
        return values | {"name": first_text(values, "name") or full, "primary": is_primary(values)}

    @property
    def key(self) -> str:
        """What tells the contact from the client's others: the e-mail address, else the name."""
        return (self.email or normalised_name(self.name)).casefold()


class LeavingContact(Part):
    """A person who leaves, by e-mail address or name."""

    id: Key = ""
    name: str = ""
    email: Email | None = None

    @model_validator(mode="after")
    def _named(self) -> "LeavingContact":
        if not (self.email or self.name):
            raise ValueError("Contact email or name is required")
        return self

    @property
    def key(self) -> str:
        """What tells the contact from the client's others, as `Contact.key`."""
        return (self.email or normalised_name(self.name)).casefold()


class Asset(Part):
    """A device at the client."""

    tag: str
    type: str
    serial: str | None = None
    site: str = ""

    @property
    def key(self) -> str:
        """What tells the asset from the client's others."""
        return self.tag


def is_primary(contact: Any) -> bool:
    """Whether a contact of an event, read or not, is marked as the primary one."""
    if not isinstance(contact, dict):
        return False
    roles = words(contact.get("roles"))
    marked = isinstance(roles, list) and any(str(role).strip().casefold() == "primary" for role in roles)
    return marked or str(contact.get("primary")).lower() in {"true", "1"}
