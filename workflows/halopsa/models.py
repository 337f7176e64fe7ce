"""HaloPSA's records as the workflows read them, under the field's own names."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from worker.events import read_time

WHOLE_NUMBER: Final = re.compile(r"(-?\d{1,18})(?:\.0+)?", re.ASCII)
FIRST_REAL_YEAR: Final = 1901
"""HaloPSA writes "never" as a date in 0001, 1899 or 1900."""


def whole_number(value: Any) -> Any:
    """Read an id in any form that HaloPSA gives it: ``1``, ``"1"``, ``1.0`` and ``"2.0"``.

    Returns:
        An integer; what is no whole number comes back as it is.
    """
    if isinstance(value, str) and (digits := WHOLE_NUMBER.fullmatch(value.strip())):
        return int(digits[1])
    return int(value) if isinstance(value, float) and value.is_integer() else value


def moment(value: Any) -> datetime | None:
    """Read a HaloPSA time, which is UTC where it names no zone; None for "never" and for what is no time."""
    at = read_time(value)
    return at if at and at.year >= FIRST_REAL_YEAR else None


def day(value: Any) -> date | None:
    """Read a HaloPSA date (``2026-12-31T00:00:00``); None for "never" and for what is no date."""
    at = moment(value)
    return at.date() if at else None


def code(value: Any) -> str:
    """Read a code that may be no number: a country's, a currency's, a GUID."""
    return str(whole_number(value))


def custom_fields(value: Any) -> dict[str, Any]:
    """Read HaloPSA's custom fields: each value under the field's name and under its id."""
    if isinstance(value, dict):
        return value
    named = [(entry.get("value"), entry.get("id"), entry.get("name")) for entry in objects(value)]
    return {str(whole_number(name)): held for held, *names in named for name in names if name}


def objects(value: Any) -> list[dict[str, Any]]:
    """Read the objects of a list; what is no list has none."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def without_nulls(values: Any) -> Any:
    """Leave out what is null, so that it gets its default."""
    return {name: value for name, value in values.items() if value is not None} if isinstance(values, dict) else values


Id = Annotated[int, BeforeValidator(whole_number)]
Code = Annotated[str, BeforeValidator(code)]
Day = Annotated[date | None, BeforeValidator(day)]
Moment = Annotated[datetime | None, BeforeValidator(moment)]
CustomFields = Annotated[dict[str, Any], BeforeValidator(custom_fields)]


class Row(BaseModel):
    """One row: names that are not listed are ignored; null, and what a field cannot hold, stand for the default."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    id: int | str

    @model_validator(mode="wrap")
    @classmethod
    def _tolerantly(cls, values: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        given = without_nulls(values)
        try:
            return read(given)
        except ValidationError as error:
            # One odd field of one record must not make a whole list unreadable.
            odd = {detail["loc"][0] for detail in error.errors() if detail["loc"]} - {"id"}
            if not odd:
                raise
            return read({name: value for name, value in given.items() if name not in odd})


class Record(Row):
    """One record with a number."""

    id: Id
    inactive: bool = False

    @property
    def in_use(self) -> bool:
        """Whether the record is neither retired nor left."""
        return not self.inactive


R = TypeVar("R", bound=Row)
Numbered = TypeVar("Numbered", bound=Record)


class Client(Record):
    """A client (HaloPSA's screens: customer).

    Attributes:
        key: the CRM's key.
        notes: without the key, where the notes hold it.
        group_id: the customer group (HaloPSA: top level).
        parent_id: the client above it, where the dialect has such a thing.
        invoice_to: the client that pays; 0 = itself.
        main_site_id: missing (0) in listings.
        type_id: the customer type.
        account_manager_id: an agent.
        stopped: the reason for which the account is on stop; 0 = it is not.
    """

    name: str = ""
    key: str = ""
    notes: str = ""
    website: str = ""
    email: str = ""
    phone: str = ""
    accounts_email: str = ""
    group_id: Id = 0
    parent_id: Id = 0
    invoice_to: Id = 0
    main_site_id: Id = 0
    type_id: Id = 0
    account_manager_id: Id = 0
    payment_terms_days: Id = 0
    currency: str = ""
    currency_id: Id = 0
    tax_number: str = ""
    vip: bool = False
    stopped: Id = 0
    open_tickets: Id = 0
    custom_fields: CustomFields = Field(default_factory=dict)


class Site(Record):
    """A site of a client; listings lack the address."""

    name: str = ""
    client_id: Id = 0
    main: bool = False
    phone: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""
    country_code: Code = ""


class Contact(Record):
    """A contact (HaloPSA: user) at a site.

    Attributes:
        main: whether it is its site's main contact; missing (False) in listings.
        portal_access: HaloPSA's level of access to the portal; 0 = none. None: nobody knows, as in listings.
    """

    name: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    mobile: str = ""
    job_title: str = ""
    client_id: Id = 0
    site_id: Id = 0
    vip: bool = False
    main: bool = False
    portal_access: Id | None = None


class Contract(Record):
    """A contract (HaloPSA's screens: agreement); of listings `rolling`, `prepaid` and what it goes on from are missing.

    Attributes:
        ref: the deal's id.
        ref_extra: HaloPSA's own number.
        rolling: whether it goes on after its last day; None: nobody knows.
        previous_id: the contract that this one goes on from.
        prepaid: what is left of hours or money paid in advance; None: nobody knows.
        warning: what HaloPSA remarks on a write that it accepted.
    """

    ref: str = ""
    ref_extra: str = ""
    client_id: Id = 0
    site_id: Id = 0
    start: Day = None
    end: Day = None
    rolling: bool | None = None
    term_months: Id = 0
    active: bool = True
    expired: bool = False
    type_id: Id = 0
    type_name: str = ""
    billing_period_id: Id = 0
    sla_id: Id = 0
    previous_id: Id = 0
    prepaid: float | None = None
    note: str = ""
    warning: str = ""

    @property
    def in_use(self) -> bool:
        """Whether the contract counts; ended ones do."""
        return self.active


class Ticket(Record):
    """A ticket; an opportunity is one too.

    Attributes:
        team: by its name.
        approval_status: HaloPSA's number for where an approval stands.
        value: of an opportunity.
    """

    summary: str = ""
    client_id: Id = 0
    site_id: Id = 0
    user_id: Id = 0
    status_id: Id = 0
    type_id: Id = 0
    agent_id: Id = 0
    team: str = ""
    parent_id: Id = 0
    children: Id = 0
    contract_id: Id = 0
    closed: bool = False
    opened_at: Moment = None
    closed_at: Moment = None
    updated_at: Moment = None
    approval_status: Id = 0
    company_name: str = ""
    contact_name: str = ""
    contact_email: str = ""
    value: float = 0.0
    custom_fields: CustomFields = Field(default_factory=dict)


class Action(Record):
    """An entry in a ticket's history."""

    ticket_id: Id = 0
    note: str = ""
    hidden: bool = False


class Asset(Record):
    """A device or other asset (HaloPSA names it by its inventory number)."""

    tag: str = ""
    type_id: Id = 0
    status_id: Id = 0
    client_id: Id = 0
    site_id: Id = 0
    contract_id: Id = 0


class RecurringInvoice(Record):
    """An invoice that HaloPSA repeats; it stands apart from the contract that it bills."""

    client_id: Id = 0
    contract_id: Id = 0
    contract_ref: str = ""
    start: Day = None
    end: Day = None
    next_on: Day = None
    disabled: bool = False


class Note(Record):
    """A note on a client (HaloPSA: CRM note); `at` is when it was made."""

    client_id: Id = 0
    text: str = ""
    at: Moment = None


class Agent(Record):
    """Somebody who works in HaloPSA."""

    name: str = ""
    email: str = ""
    team: str = ""
    disabled: bool = False
    is_api: bool = False


class Choice(Record):
    """One entry of a list that HaloPSA's administrators keep: a status, a team, an asset type."""

    name: str = ""


class ExternalLink(Record):
    """What a record is called in another system."""

    table_id: Id = 0
    module_id: Id = 0
    record_id: Id = 0
    third_party_id: str = ""
    third_party_name: str = ""


class Webhook(Row):
    """A subscription by which HaloPSA sends events."""

    id: Code
    name: str = ""
    url: str = ""
    active: bool = True
    disabled: bool = False
    last_status: Id = 0


class WebhookEvent(Row):
    """One delivery in a webhook's log; `entity_id` is the record that it was about."""

    id: Code
    webhook_id: Code = ""
    at: Moment = None
    status: Id = 0
    entity_id: Id = 0
    body: str = ""
