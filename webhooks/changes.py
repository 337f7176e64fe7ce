"""What CRMs and HaloPSA tell: a record has changed, by its id; what it says now must be read from them."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from webhooks.delivery import Delivery
from worker.events import Event

PLAIN_KEY: Final = re.compile(r"[!-~]{1,150}")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one record in another system.

    Attributes:
        object: the kind of record in the system's own word ("deal", "opportunity").
        id: the record's id, as text.
        change: "created", "changed", "deleted", "restored" or "merged".
        key: what names this change when the sender repeats it.
        account: whose records they are (portal, company, organisation), where the sender says so.
        occurred_at: by the sender's clock (UTC), where it says so.
        values: what the sender tells of the record; it may have changed since.
        previous: what the told values were before, where the sender says so.
        details: what else the one who reads the record must know.
    """

    object: str
    id: str
    change: str
    key: Iterable[str]
    account: str = ""
    occurred_at: datetime | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    previous: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


def change_event(system: str, delivery: Delivery, change: Change) -> Event:
    """Make the event ``<system>.<object>``, whose id and payload are the same, to the byte, at each repeat of a change.

    Its ``data`` holds ``id``, ``change``, ``values``, ``previous`` and the details.
    """
    source = {"system": system} | ({"account": change.account} if change.account else {})
    told = {"timestamp": change.occurred_at.isoformat()} if change.occurred_at else {}
    values, previous = dict(sorted(change.values.items())), dict(sorted(change.previous.items()))
    data = {"id": change.id, "change": change.change, "values": values, "previous": previous, **change.details}
    kind = f"{system}.{change.object}"
    payload = {"type": kind, **told, "source": source, "data": data}
    identity = f"{system}:{_one_word(change.key)}"
    return Event(identity, system, kind, change.occurred_at or delivery.received_at, payload)


def content_key(delivery: Delivery, content: bytes, *, timed: bool) -> str:
    """Name a change by its content, where the sender does not name it.

    Args:
        delivery: the delivery it came in.
        content: the bytes that tell of it.
        timed: whether they hold a time. If not, the time of receipt counts too: the next change of the record may read
            exactly like this one and must not be taken for its repeat.
    """
    moment = b"" if timed else delivery.received_at.isoformat().encode()
    return hashlib.sha256(content + moment).hexdigest()[:32]


def as_text(value: Any) -> str:
    """Read an id that comes as text or as a number (29, 29.0); an empty string where it is neither."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def from_milliseconds(value: Any) -> datetime | None:
    """Read milliseconds since 1970, as a number or text; None where it is no such time."""
    try:
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what is text, a number, a truth value or nothing."""
    return {name: value for name, value in values.items() if value is None or isinstance(value, str | int | float)}


def _one_word(parts: Iterable[str]) -> str:
    key = ":".join(parts)
    return key if PLAIN_KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()[:32]
