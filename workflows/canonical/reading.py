"""Reading the data of canonical events: all that is wrong is named at once."""

import reprlib
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from worker.errors import NeedsOperator
from worker.events import Event, read_time
from workflows.canonical.parts import (
    Asset,
    Client,
    Contact,
    Deal,
    KnownClient,
    LeavingClient,
    LeavingContact,
    Site,
    is_primary,
)
from workflows.canonical.values import Day, Moment, Part, normalised_name


class InvalidEvent(NeedsOperator):
    """An event from which nothing can be done.

    Args:
        problems: everything that is wrong with it.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            f"The event is not valid: {'; '.join(problems)}.",
            mend="correct the data where it comes from and send the event again.",
        )
        self.problems = list(problems)


class WonDeal(Part):
    """The data of ``deal.won``.

    Attributes:
        deal: what was won.
        client: with whom.
        sites: the main one first.
        contacts: the primary one first.
        assets: devices to link.
        skipped: what of the event is left out, and why.
    """

    deal: Deal
    client: Client
    sites: list[Site] = Field(default_factory=list)
    contacts: list[Contact] = Field(default_factory=list)
    assets: list[Asset] = Field(default_factory=list)
    skipped: list[str] = Field(default_factory=list)


class ReopenedDeal(Part):
    """The data of ``deal.reopened``."""

    deal: Deal
    client: KnownClient


class ChurnedClient(Part):
    """The data of ``client.churned``.

    Attributes:
        client: who leaves.
        notice_on: when notice was given.
        last_service_day: the last day of service, inclusive.
        effective_at: a moment that may stand instead.
        reason: in words.
        reason_code: the CRM's code for it.
        requested_by: who asked for it.
        handover_to: who takes over.
    """

    client: LeavingClient
    notice_on: Day | None = None
    last_service_day: Day | None = None
    effective_at: Moment | None = None
    reason: str = ""
    reason_code: str | None = None
    requested_by: str | None = None
    handover_to: str | None = None

    @property
    def leaves_at(self) -> datetime | None:
        """When the last service day, which is inclusive, is over in UTC; None: at once."""
        if self.last_service_day is None:
            return self.effective_at
        return datetime.combine(self.last_service_day + timedelta(days=1), time(), UTC)

    def last_day(self, today: date) -> date:
        """Return the last day of service; `today` where the event names none."""
        return self.last_service_day or (self.effective_at.date() if self.effective_at else today)


class ChangedClient(Part):
    """The data of ``client.updated`` and ``client.reactivated``."""

    client: KnownClient


class CreatedContact(Part):
    """The data of ``contact.created``."""

    client: KnownClient
    contact: Contact


class DepartedContact(Part):
    """The data of ``contact.departed``."""

    client: KnownClient
    contact: LeavingContact


D = TypeVar("D", bound=Part)


def won_deal(event: Event) -> WonDeal:
    """Read the data of ``deal.won``.

    A faulty contact is left out and named, unless it is the primary one (the first where none is marked); so is
    whatever is named twice.

    Raises:
        InvalidEvent: names everything that is wrong.
    """
    data = _data(event, "deal", "client")
    given = data.get("contacts")
    contacts = given if isinstance(given, list) else []
    primary = next((number for number, contact in enumerate(contacts) if is_primary(contact)), 0)
    deal, faults = _validated(WonDeal, data)
    minor = [fault for fault in faults if _in_other_contact(fault, primary)]
    _refuse(event, [fault for fault in faults if fault not in minor])
    faulty = {fault["loc"][1] for fault in minor}
    usable = [contact for number, contact in enumerate(contacts) if number not in faulty]
    deal = deal or WonDeal.model_validate(data | {"contacts": usable})
    return _tidied(deal, [f"contact left out: {_problem(fault)}" for fault in minor])


def reopened_deal(event: Event) -> ReopenedDeal:
    """Read the data of ``deal.reopened``.

    Raises:
        InvalidEvent: names everything that is wrong.
    """
    return _read(ReopenedDeal, event, "deal", "client")


def churned_client(event: Event) -> ChurnedClient:
    """Read the data of ``client.churned``.

    Raises:
        InvalidEvent: names everything that is wrong.
    """
    return _read(ChurnedClient, event, "client")


def changed_client(event: Event) -> ChangedClient:
    """Read the data of ``client.updated`` or ``client.reactivated``.

    Raises:
        InvalidEvent: names everything that is wrong.
    """
    return _read(ChangedClient, event, "client")


def created_contact(event: Event) -> CreatedContact:
    """Read the data of ``contact.created``.

    Raises:
        InvalidEvent: names everything that is wrong.
    """
    return _read(CreatedContact, event, "client", "contact")


def departed_contact(event: Event) -> DepartedContact:
    """Read the data of ``contact.departed``.

    Raises:
        InvalidEvent: names everything that is wrong.
    """
    return _read(DepartedContact, event, "client", "contact")


def _read(model: type[D], event: Event, *parts: str) -> D:
    read, faults = _validated(model, _data(event, *parts))
    _refuse(event, faults)
    assert read is not None
    return read


def _data(event: Event, *parts: str) -> dict[str, Any]:
    """The event's data, in which a part that is missing altogether is an empty object, so that its fields are named."""
    given = {name: value for name, value in event.data.items() if value is not None}
    return {**{part: {} for part in parts}, **given}


def _validated(model: type[D], data: dict[str, Any]) -> tuple[D | None, list[ErrorDetails]]:
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _refuse(event: Event, faults: Sequence[ErrorDetails]) -> None:
    timestamp = event.payload.get("timestamp")
    problems = [_problem(fault) for fault in faults]
    if timestamp is not None and read_time(timestamp) is None:
        problems.insert(0, f"Invalid timestamp (timestamp: {reprlib.repr(timestamp)})")
    if problems:
        raise InvalidEvent(problems)


def _problem(fault: ErrorDetails) -> str:
    """Say what is wrong in a person's words, and where."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).removeprefix(".")
    if fault["type"] == "missing":
        *_, part, field = (str(part) for part in fault["loc"] if isinstance(part, str))
        return f"{part.removesuffix('s').capitalize()} {field} is required ({path})"
    own_words = {"model_type": "Must be an object", "value_error": str(fault.get("ctx", {}).get("error"))}
    text = own_words.get(fault["type"], fault["msg"])
    return f"{text} ({path}: {reprlib.repr(fault['input'])})"


def _tidied(deal: WonDeal, skipped: list[str]) -> WonDeal:
    """Put main site and primary contact first, and leave out what is named twice."""
    sites = sorted(deal.sites, key=lambda site: not site.main)
    contacts = sorted(deal.contacts, key=lambda contact: not contact.primary)
    kept = {
        "sites": _once(sites, lambda site: normalised_name(site.name), skipped),
        "contacts": _once(contacts, lambda contact: contact.key, skipped),
        "assets": _once(deal.assets, lambda asset: asset.key, skipped),
    }
    return deal.model_copy(update={**kept, "skipped": skipped})


def _once(parts: Sequence[D], key: Callable[[D], str], skipped: list[str]) -> list[D]:
    first: dict[str, D] = {}
    for part in parts:
        first.setdefault(key(part), part)
    doubles = [part for part in parts if first[key(part)] is not part]
    skipped += [f"{type(part).__name__.lower()} left out: the event names {key(part)!r} twice" for part in doubles]
    return list(first.values())


def _in_other_contact(fault: ErrorDetails, primary: int) -> bool:
    return fault["loc"][:1] == ("contacts",) and fault["loc"][1:2] not in {(), (primary,)}
