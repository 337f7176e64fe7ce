"""HaloPSA's records as the workflows read them, under the field's own names."""

import re
from datetime import date
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

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


def day(value: Any) -> date | None:
    """Read a HaloPSA date (``2026-12-31T00:00:00``); None for "never" and for what is no date."""
    moment = read_time(value)
    return moment.date() if moment and moment.year >= FIRST_REAL_YEAR else None


Id = Annotated[int, BeforeValidator(whole_number)]
Day = Annotated[date | None, BeforeValidator(day)]


class Record(BaseModel):
    """One record: names that are not listed are ignored, null stands for the default."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    id: Id
    inactive: bool = False

    @property
    def in_use(self) -> bool:
        """Whether the record is neither retired nor left."""
        return not self.inactive

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not None}


R = TypeVar("R", bound=Record)


class Client(Record):
    """A client; `main_site_id` is missing (0) in listings."""

    name: str = ""
    ref: str = ""
    toplevel_id: Id = 0
    main_site_id: Id = 0


class Site(Record):
    """A site of a client."""

    name: str = ""
    client_id: Id = 0


class Contact(Record):
    """A contact (HaloPSA: user) at a site."""

    name: str = ""
    email: str = ""
    client_id: Id = 0
    site_id: Id = 0


class Contract(Record):
    """A contract (HaloPSA: agreement); `rolling` is unknown (None) in listings."""

    ref: str = ""
    client_id: Id = 0
    start: Day = None
    end: Day = None
    rolling: bool | None = None
    active: bool = True
    expired: bool = False

    @property
    def in_use(self) -> bool:
        """Whether the contract counts; ended ones do."""
        return self.active


class Ticket(Record):
    """A ticket."""

    client_id: Id = 0
    status_id: Id = 0
    type_id: Id = 0
    agent_id: Id = 0
    parent_id: Id = 0
    closed: bool = False


class Action(Record):
    """An entry in a ticket's history."""

    ticket_id: Id = 0
    note: str = ""


class Asset(Record):
    """A device or other asset (HaloPSA names it by its inventory number)."""

    tag: str = ""
    client_id: Id = 0
    site_id: Id = 0


class RecurringInvoice(Record):
    """An invoice that HaloPSA repeats."""

    client_id: Id = 0
    contract_ref: str = ""
    next_on: Day = None
    disabled: bool = False


class Note(Record):
    """A note on a client (HaloPSA: CRM note)."""

    client_id: Id = 0
    text: str = ""


class Agent(Record):
    """Somebody who works in HaloPSA."""

    name: str = ""
    email: str = ""
    disabled: bool = False


class Choice(Record):
    """One entry of a list that HaloPSA's administrators keep: a status, a country, an asset type."""

    name: str = ""
