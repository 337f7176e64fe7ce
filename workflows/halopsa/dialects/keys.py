"""Where a client bears the CRM's key: in a field, a custom field, or a line of its notes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from workflows.halopsa.models import custom_fields

LABEL: Final = "Parhelion key:"
LINE: Final = re.compile(rf"^[ \t]*{LABEL}[ \t]*([^\r\n<]*)[^\r\n]*\r?\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FieldKey:
    """The key stands in a field of the client (``ref``, ``hubspot_id``, ``accountsid``)."""

    name: str
    in_notes: ClassVar[bool] = False

    @property
    def listing(self) -> Mapping[str, str]:
        """Query names without which listings lack the key."""
        return {}

    def read(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Read the key off a row."""
        return {"key": str(row.get(self.name) or "").strip()}

    def write(self, body: dict[str, Any], key: str) -> None:
        """Put the key into a body."""
        body[self.name] = key


@dataclass(frozen=True, slots=True)
class CustomFieldKey:
    """The key stands in a custom field, called by its name (``CFCrmId``) or its id."""

    name: str
    in_notes: ClassVar[bool] = False

    @property
    def listing(self) -> Mapping[str, str]:
        """Query names without which listings lack the key; HaloPSA takes the field's id alone."""
        return {"include_custom_fields": self.name}

    def read(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Read the key off a row."""
        return {"key": str(custom_fields(row.get("customfields")).get(self.name) or "").strip()}

    def write(self, body: dict[str, Any], key: str) -> None:
        """Put the key into a body."""
        body.setdefault("customfields", []).append(custom_field(self.name, key))


@dataclass(frozen=True, slots=True)
class NotesKey:
    """The key stands in a line of the notes; whoever writes the key or the notes must write both."""

    in_notes: ClassVar[bool] = True

    @property
    def listing(self) -> Mapping[str, str]:
        """Query names without which listings lack the notes."""
        return {"includenotes": "true"}

    def read(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Read the key off a row, and the notes without it."""
        notes = str(row.get("notes") or "")
        found = LINE.search(notes)
        return {"key": found[1].strip() if found else "", "notes": LINE.sub("", notes).rstrip()}

    def write(self, body: dict[str, Any], key: str) -> None:
        """Put the key into a body that holds the notes."""
        body["notes"] = "\n".join(part for part in (body.get("notes", ""), f"{LABEL} {key}" if key else "") if part)


def custom_field(name: str, value: Any) -> dict[str, Any]:
    """Write a custom field, called by its id where the name is a number."""
    return {"id": int(name), "value": value} if name.isdecimal() else {"name": name, "value": value}


Key = FieldKey | CustomFieldKey | NotesKey


def key_place(name: str) -> Key:
    """Find the key's place by its name: ``notes``, a custom field's id or name (``CF…``), else a client's field."""
    if name == "notes":
        return NotesKey()
    return CustomFieldKey(name) if name.isdecimal() or name.startswith("CF") else FieldKey(name)
