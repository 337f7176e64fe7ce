"""Texts of the policy with places that an event fills: ``Onboarding of {client.name}``."""

import re
from collections.abc import Mapping
from typing import Any, Final

ROOTS: Final = (
    *("deal", "client", "contact"),
    *("notice_on", "last_service_day", "reason", "reason_code", "requested_by", "handover_to"),
)
"""Where a place may begin: the names in the data of canonical events."""
_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_PLACE: Final = re.compile(rf"(?:{'|'.join(ROOTS)})(?:\.\w+)*")


def check_template(text: str) -> str:
    """Return the text as it is.

    Raises:
        ValueError: names a place that no event can fill.
    """
    for place in _BRACES.findall(text):
        if not _PLACE.fullmatch(place):
            raise ValueError(f"{{{place}}} must be a field of an event; it begins with one of {', '.join(ROOTS)}")
    return text


def filled(text: str, data: Mapping[str, Any]) -> str:
    """Fill the places of a text.

    Args:
        text: the template.
        data: an event's data.

    Returns:
        The text; a place for which the data has no simple value becomes empty.
    """
    return _BRACES.sub(lambda braces: _value(braces[1], data), text)


def _value(place: str, data: Any) -> str:
    for name in place.split("."):
        data = data.get(name) if isinstance(data, Mapping) else None
    return "" if data is None or isinstance(data, Mapping | list) else str(data)
