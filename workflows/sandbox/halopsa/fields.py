"""Which fields a request body may hold, and how HaloPSA reads their values.

The names and types in ``fields.json`` are those of HaloPSA's OpenAPI document (version of April 2025).
"""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from workflows.sandbox.answers import Refused
from workflows.sandbox.halopsa.store import Record

ADDRESS_LINES = ("line1", "line2", "line3", "line4", "postcode")


def _load() -> dict[str, dict[str, str]]:
    document = json.loads(files(__package__).joinpath("fields.json").read_text())
    return {
        entity: {name: kind for kind, names in kinds.items() for name in names.split()}
        for entity, kinds in document.items()
    }


FIELDS = _load()
"""Entity → field → kind of value."""


def read_fields(kinds: Mapping[str, str], sent: Any, position: int) -> Record:
    """Read one element of a request body.

    Unknown names are dropped without a word, and a null counts as not sent.

    Args:
        kinds: field → kind of value.
        sent: the decoded element.
        position: its index in the array, for the error text.

    Raises:
        Refused: the element is no object, or a value is not of its field's type.
    """
    if not isinstance(sent, dict):
        raise Refused({f"[{position}]": ["The input was not valid."]})
    if "id" in sent and sent["id"] is None:
        raise Refused({f"[{position}].id": ["The value '' is not valid."]})
    return {
        name: _READERS[kinds[name]](value, f"[{position}].{name}")
        for name, value in sent.items()
        if name in kinds and value is not None
    }


def read_address(sent: Record) -> Record:
    """A whole address out of a nested one; lines that were not sent are empty."""
    return {line: str(sent.get(line) or "") for line in ADDRESS_LINES}


def merge_custom_fields(known: list[Record], stored: list[Record], sent: list[Any]) -> list[Record]:
    """The custom fields of a record after a write.

    Args:
        known: the custom fields that are set up (``FieldInfo``); others are dropped without a word.
        stored: the record's, before.
        sent: objects with ``value``, and with ``id`` or ``name``; anything else is dropped too.
    """
    merged = {custom["id"]: custom for custom in stored}
    for custom in (element for element in sent if isinstance(element, dict)):
        for field in known:
            if custom.get("id") == field["id"] or custom.get("name") == field["name"]:
                merged[field["id"]] = {"id": field["id"], "name": field["name"], "value": custom.get("value")}
    return list(merged.values())


def read_moment(value: object) -> datetime | None:
    """A date that HaloPSA keeps (no zone means UTC); None for its ways to say "never"."""
    moment = datetime.fromisoformat(str(value)) if value else None
    return moment.replace(tzinfo=UTC) if moment and moment.year > _LAST_NEVER_YEAR else None


def read_date(value: Any, where: str) -> str:
    """A date as HaloPSA keeps it: UTC without a zone.

    Raises:
        Refused: it is none.
    """
    try:
        moment = datetime.fromisoformat(value)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).replace(tzinfo=None).isoformat()
    except (TypeError, ValueError, OverflowError):
        raise _unreadable(value, where) from None


_LAST_NEVER_YEAR = 1900  # 0001-01-01, 1899-12-30 and 1900-01-01 stand for "never"


def _integer(value: Any, where: str) -> int:
    if isinstance(value, float):
        raise Refused(f"Input string '{value}' is not a valid integer. Path '{where}'.")
    try:
        return int(value)
    except (TypeError, ValueError):
        raise _unreadable(value, where) from None


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise _unreadable(value, where) from None
    if not math.isfinite(number):
        raise _unreadable(value, where)
    return number


def _boolean(value: Any, where: str) -> bool:
    if isinstance(value, bool | int):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise _unreadable(value, where)


def _string(value: Any, where: str) -> str:
    if isinstance(value, dict | list):
        raise _unreadable(value, where)
    return str(value)


def _array(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _unreadable(value, where)
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _unreadable(value, where)
    return value


def _unreadable(value: Any, where: str) -> Refused:
    return Refused({where: [f"The value '{value}' is not valid."]})


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "date": read_date,
    "array": _array,
    "object": _object,
}
