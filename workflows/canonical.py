"""Canonical events as the workflows read them: tolerant of what senders leave open, complete about what is wrong."""

import re
import reprlib
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from worker.errors import NeedsOperator
from worker.events import Event, read_time

_DOMAIN = r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W_][\w-]*[^\W_]"
EMAIL: Final = re.compile(rf"[^@\s<>(),;:\"\\]+@{_DOMAIN}")
WEBSITE: Final = re.compile(rf"https?://{_DOMAIN}(?::\d{{1,5}})?(?:[/?#]\S*)?", re.IGNORECASE)
MAX_NAME: Final = 255
"""HaloPSA's longest name of a client, site or contact."""
YEARS: Final = range(1990, 3000)
JOINING: Final = {".", "'", "\u2019"}
"""Punctuation inside a word: "O'Neil" and "ONeil" are one name."""


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


def normalised_name(name: str) -> str:
    """Bring a client's name into the form in which two spellings of one name are equal.

    Upper and lower case, punctuation and the amount of white space do not count.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    spelt = "".join(_bare(character) for character in text)
    return " ".join(spelt.split()) or " ".join(text.split())


def _bare(character: str) -> str:
    if character in JOINING:
        return ""
    return " " if unicodedata.category(character).startswith("P") else character


def _email(value: str) -> str:
    if not EMAIL.fullmatch(value):
        raise ValueError("Invalid email format")
    return value


def _website(value: str) -> str:
    # CRMs often keep the bare domain.
    url = value if "://" in value else f"https://{value}"
    if not WEBSITE.fullmatch(url):
        raise ValueError("Invalid website URL")
    return url


def _day(value: Any) -> date:
    try:
        day = datetime.fromisoformat(value).date()
    except (TypeError, ValueError):
        day = date.min
    if day.year not in YEARS:
        raise ValueError("Invalid date")
    return day


def _moment(value: Any) -> datetime:
    moment = read_time(value)
    if moment is None or moment.year not in YEARS:
        raise ValueError("Invalid time")
    return moment


Name = Annotated[str, Field(max_length=MAX_NAME)]
Email = Annotated[str, Field(max_length=254), AfterValidator(_email)]
Website = Annotated[str, Field(max_length=2000), AfterValidator(_website)]
Day = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[datetime, BeforeValidator(_moment)]


class Part(BaseModel):
    """A part of an event: unknown fields are ignored; null and blank text stand for "not given"."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None and str(value).strip()}


class ContractTerms(Part):
    """What was agreed about the contract."""

    starts_on: Day | None = None
    ends_on: Day | None = None
    term_months: Annotated[int, Field(gt=0, le=1200)] | None = None
    auto_renew: bool = False

    @field_validator("ends_on")
    @classmethod
    def _in_order(cls, ends_on: date | None, so_far: ValidationInfo) -> date | None:
        starts_on = so_far.data.get("starts_on")
        if starts_on and ends_on and ends_on < starts_on:
            raise ValueError("Contract ends before it starts")
        return ends_on


class Deal(Part):
    """A deal of the CRM."""

    id: str
    name: str = ""
    contract: ContractTerms = ContractTerms()


class Client(Part):
    """The client that a deal was won with; `id` is the CRM's key."""

    id: str = ""
    name: Name
    email: Email | None = None
    billing_email: Email | None = None
    phone: str | None = None
    website: Website | None = None
    notes: str | None = None
    account_manager_email: str | None = None


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
        return values | {"name": _first_text(values, "name", "city", "line1")} if isinstance(values, dict) else values


class Contact(Part):
    """A person at the client."""

    name: Name
    first_name: str | None = None
    last_name: str | None = None
    email: Email | None = None
    phone: str | None = None
    mobile: str | None = None
    job_title: str | None = None
    site: str = ""
    primary: bool = False
    vip: bool = False

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        full = " ".join(filter(None, (_first_text(values, part) for part in ("first_name", "last_name"))))
        return values | {"name": _first_text(values, "name") or full, "primary": _is_primary(values)}

    @property
    def key(self) -> str:
        """What tells the contact from the client's others: the e-mail address, else the name."""
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


class LeavingClient(Part):
    """The client that leaves, by either of its names."""

    id: str = ""
    name: str = ""

    @model_validator(mode="after")
    def _named(self) -> "LeavingClient":
        if not (self.id or self.name):
            raise ValueError("Client id or name is required")
        return self


class ChurnedClient(Part):
    """The data of ``client.churned``."""

    client: LeavingClient
    last_service_day: Day | None = None
    effective_at: Moment | None = None
    reason: str = ""

    @property
    def leaves_at(self) -> datetime | None:
        """When the last service day, which is inclusive, is over in UTC; None: at once."""
        if self.last_service_day is None:
            return self.effective_at
        return datetime.combine(self.last_service_day + timedelta(days=1), time(), UTC)

    def last_day(self, today: date) -> date:
        """Return the last day of service; `today` where the event names none."""
        return self.last_service_day or (self.effective_at.date() if self.effective_at else today)


D = TypeVar("D", bound=Part)


def won_deal(event: Event) -> WonDeal:
    """Read the data of ``deal.won``.

    A faulty contact is left out and named, unless it is the primary one (the first where none is marked); so is
    whatever is named twice.

    Raises:
        InvalidEvent: names everything that is wrong.
    """
    data = _data(event)
    given = data.get("contacts")
    contacts = given if isinstance(given, list) else []
    primary = next((number for number, contact in enumerate(contacts) if _is_primary(contact)), 0)
    deal, faults = _validated(WonDeal, data)
    minor = [fault for fault in faults if _in_other_contact(fault, primary)]
    _refuse(event, [fault for fault in faults if fault not in minor])
    faulty = {fault["loc"][1] for fault in minor}
    usable = [contact for number, contact in enumerate(contacts) if number not in faulty]
    deal = deal or WonDeal.model_validate(data | {"contacts": usable})
    return _tidied(deal, [f"contact left out: {_problem(fault)}" for fault in minor])


def churned_client(event: Event) -> ChurnedClient:
    """Read the data of ``client.churned``.

    Raises:
        InvalidEvent: names everything that is wrong.
    """
    churned, faults = _validated(ChurnedClient, _data(event))
    _refuse(event, faults)
    assert churned is not None
    return churned


def _data(event: Event) -> dict[str, Any]:
    """The event's data, in which what is missing altogether is an empty object, so that its fields are named."""
    given = {name: value for name, value in event.data.items() if value is not None}
    return {"deal": {}, "client": {}} | given


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


def _first_text(values: dict[str, Any], *names: str) -> str:
    return next((text for name in names if (text := str(values.get(name) or "").strip())), "")


def _is_primary(contact: Any) -> bool:
    if not isinstance(contact, dict):
        return False
    roles = contact.get("roles")
    return str(contact.get("primary")).lower() in {"true", "1"} or (isinstance(roles, list) and "primary" in roles)
