"""Events: what every delivery becomes, whichever source it came through."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

MAX_ID_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Event:
    """One verified fact from outside.

    Attributes:
        id: the inbox's name for it, ``{source}:{the sender's delivery id}``.
        source: the door it came through ("standard", "token", "trigger", …).
        type: what happened ("deal.won").
        occurred_at: when it happened by the sender's clock; the order of a client's runs follows it. UTC.
        payload: the whole canonical event as it was received (``type``, ``timestamp``, ``source``, ``data``).
    """

    id: str
    source: str
    type: str
    occurred_at: datetime
    payload: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        """The event's ``data`` object; empty where the sender sent something else."""
        data = self.payload.get("data")
        return data if isinstance(data, dict) else {}

    def dump(self) -> str:
        """Write the payload as it is stored."""
        return json.dumps(self.payload, ensure_ascii=False, separators=(",", ":"))

    @property
    def account(self) -> str:
        """Whose records the event tells of (a portal, a company, an organisation); empty where it does not say."""
        source = self.payload.get("source")
        return str(source.get("account") or "") if isinstance(source, dict) else ""

    @property
    def origin(self) -> str:
        """The sending system and account (``hubspot/1234567``), or an empty string where the event does not say."""
        source = self.payload.get("source")
        system = str(source.get("system") or "") if isinstance(source, dict) else ""
        return "/".join(part for part in (system, self.account) if part)


def read_json(body: bytes) -> Any:
    """Read JSON from outside.

    Raises:
        ValueError: the body is not JSON in UTF-8 (with a byte order mark or without), or holds what cannot be stored
            again (NaN, lone surrogates).
    """
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    return value


def canonical_event(source: str, delivery_id: str, payload: Any, *, received_at: datetime) -> Event:
    """Make an event from a canonical payload (``{"type", "timestamp", "source", "data"}``).

    A timestamp that is missing or cannot be read becomes the time of receipt: the workflow's validation names it, so
    that the event is not lost here.

    Raises:
        ValueError: the payload is no object, or has no type.
    """
    if not isinstance(payload, dict):
        raise ValueError("the body must be a JSON object with 'type', 'timestamp' and 'data'")
    kind = payload.get("type")
    if not isinstance(kind, str) or not kind or len(kind) > MAX_ID_LENGTH:
        raise ValueError('\'type\' is missing: send for example "type": "deal.won"')
    occurred_at = read_time(payload.get("timestamp")) or received_at
    return Event(f"{source}:{delivery_id}", source, kind, occurred_at, payload)


def read_time(value: Any) -> datetime | None:
    """Read an ISO 8601 time as UTC (a time without a zone is taken as UTC); None where it is not one."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
