"""From a CRM's records to the data of canonical events, by a table."""

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from worker.events import read_time
from workflows.crm.records import Fields, Record, Words

Read = Callable[[Any], Any]
"""Reads a CRM's value for a canonical field; None where it holds nothing of the kind."""

CLIENT, SITE, CONTACT, LINE, DEAL = "client.", "site.", "contact.", "deal.lines.", "deal."
EVENT_FIELDS: Final = ("last_service_day", "notice_on", "reason", "reason_code", "requested_by", "handover_to")
"""What ``client.churned`` says beside its client."""
SITE_KEY: Final = "main"
NAMES: Final = frozenset({"name", "first_name", "last_name"})
"""What a contact can be called by."""
MAX_COUNT: Final = 1_000_000


def text(value: Any) -> str | None:
    """Read text; a choice or a reference as its value or name, several values separated by ``;``."""
    match value:
        case None | bool() | float() | int() | str():
            shown = "" if value is None else str(value).strip()
            return shown or None
        case Mapping():
            held = (value.get(part) for part in ("value", "name", "label", "id"))
            return next((one for one in map(text, held) if one), None)
        case list():
            return ";".join(one for one in map(text, value) if one) or None
        case _:
            return None


def as_html(plain: str) -> str:
    """Write text as HTML, which notes of some CRMs are."""
    return html.escape(plain, quote=False).replace("\n", "<br>")


def number(value: Any) -> float | None:
    """Read an amount; CRMs give it as a number or as text ("24000")."""
    try:
        found = float(text(value) or "")
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def whole(value: Any) -> int | None:
    """Read a count of months or days."""
    found = number(value)
    return round(found) if found is not None and abs(found) < MAX_COUNT else None


def day(value: Any) -> str | None:
    """Read a date, as text or in milliseconds since 1970 as HubSpot keeps it in some fields."""
    found = moment_of(value)
    return found.date().isoformat() if found else text(value)


def moment_of(value: Any) -> datetime | None:
    """Read a time (UTC), as ISO 8601 or in milliseconds since 1970."""
    shown = text(value) or ""
    if shown.isdecimal() and len(shown) > len("20261231"):
        try:
            return datetime.fromtimestamp(int(shown) / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    # Pipedrive's older answers have a blank between date and time, Salesforce's times end with +0000.
    return read_time(shown.replace(" ", "T"))


def yes(value: Any) -> bool | None:
    """Read a truth value, which HubSpot gives as text."""
    shown = (text(value) or "").casefold()
    return shown in {"true", "yes", "1"} if shown else None


def recurs(value: Any) -> bool | None:
    """Read whether a line item repeats, from a truth value or from how often it is billed."""
    shown = (text(value) or "").casefold()
    return shown not in {"false", "no", "0", "one-time", "none"} if shown else None


def words(value: Any) -> list[str] | None:
    """Read a list, which may come as text with ``;`` or ``,``."""
    shown = text(value) or ""
    return [one.strip() for one in shown.replace(",", ";").split(";") if one.strip()] or None


READERS: Final[Mapping[str, Read]] = {
    "deal.amount": number,
    "deal.recurring_amount": number,
    "deal.one_off_amount": number,
    "deal.lines.quantity": number,
    "deal.lines.unit_price": number,
    "deal.lines.recurring": recurs,
    "deal.contract.starts_on": day,
    "deal.contract.ends_on": day,
    "deal.contract.term_months": whole,
    "deal.contract.notice_days": whole,
    "deal.contract.auto_renew": yes,
    "client.payment_terms_days": whole,
    "client.domains": words,
    "contact.vip": yes,
    "contact.roles": words,
    "contact.portal_access": yes,
    "contact.send_welcome": yes,
    "last_service_day": day,
    "notice_on": day,
}
"""How canonical fields are read; all others are text."""


class Mapper:
    """Maps one CRM's records.

    Args:
        usual: the CRM's table.
        own: the policy's, which goes before it.
        called: what the CRM calls the kinds of records.
    """

    def __init__(self, usual: Fields, own: Mapping[str, str], called: Words) -> None:
        self._fields: Fields = {**usual, **{name: (source,) for name, source in own.items()}}
        self._words = called

    def wanted(self, more: Iterable[tuple[str, str]] = ()) -> dict[str, list[str]]:
        """List the fields that are to be read, by kind of record.

        Args:
            more: further pairs of kind and field.
        """
        named = [source.partition(".")[::2] for sources in self._fields.values() for source in sources]
        found: dict[str, dict[str, None]] = {}
        for kind, name in (*named, *more):
            found.setdefault(kind, {})[name] = None
        return {kind: list(names) for kind, names in found.items()}

    def client(self, company: Record, *others: Record) -> dict[str, Any]:
        """Map a company to an event's client.

        Args:
            company: the CRM's company.
            *others: further records from which fields may come.
        """
        return _identity(company) | self._part(CLIENT, (company, *others))

    def is_of_client(self, name: str) -> bool:
        """Whether a field of a company has a place in an event's client."""
        source = f"{self._words.client}.{name}"
        return any(source in sources for path, sources in self._fields.items() if path.startswith(CLIENT))

    def site(self, company: Record, *others: Record) -> list[dict[str, Any]]:
        """Map a company's address to its main site; none where there is no address."""
        found = self._part(SITE, (company, *others))
        # Salesforce and Zoho keep a street in several lines of one field.
        first, *more = str(found.get("line1", "")).splitlines() or [""]
        found |= {name: line for name, line in (("line1", first), ("line2", ", ".join(more))) if line}
        if not {"name", "line1", "city"} & found.keys():
            return []
        return [{"key": SITE_KEY, "main": True, **found}]

    def contact(self, contact: Record, *others: Record) -> dict[str, Any]:
        """Map a contact; one without a name is called by its e-mail address, where it has one."""
        found = self._part(CONTACT, (contact, *others))
        called = {} if NAMES & found.keys() or "email" not in found else {"name": found["email"]}
        return _identity(contact) | called | found

    def deal(self, deal: Record, lines: Sequence[Record], *others: Record) -> dict[str, Any]:
        """Map a deal and its line items."""
        shown = [self._part(LINE, (line,)) for line in lines]
        return {"id": deal.id} | self._part(DEAL, (deal, *others)) | {"lines": shown}

    def event(self, *records: Record) -> dict[str, Any]:
        """Map what ``client.churned`` says beside its client."""
        return {name: value for name in EVENT_FIELDS if (value := self._value(name, records)) is not None}

    def _part(self, prefix: str, records: Sequence[Record]) -> dict[str, Any]:
        """Map the fields below a prefix into nested objects; what holds nothing is left out."""
        part: dict[str, Any] = {}
        for path in self._fields:
            value = self._value(path, records) if path.startswith(prefix) else None
            if value is not None:
                *places, last = path.removeprefix(prefix).split(".")
                place = part
                for name in places:
                    place = place.setdefault(name, {})
                place[last] = value
        return part

    def _value(self, path: str, records: Sequence[Record]) -> Any:
        read: Read = READERS.get(path, text)
        found = (read(_at(records, source)) for source in self._fields.get(path, ()))
        return next((value for value in found if value is not None), None)


def _identity(record: Record) -> dict[str, str]:
    return {"id": record.id} if record.id else {}


def _at(records: Sequence[Record], source: str) -> Any:
    kind, _, name = source.partition(".")
    held = (at(record.values, name) for record in records if record.object == kind)
    return next((value for value in held if value is not None), None)


def at(values: Any, path: str) -> Any:
    """Look a value up; a dot leads into a nested object unless a field is called so as a whole."""
    if not isinstance(values, Mapping):
        return None
    if path in values:
        return values[path]
    first, _, rest = path.partition(".")
    return at(values.get(first), rest) if rest else None
