"""Making deliveries as senders do: what the samples of several sources have in common."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from starlette.datastructures import Headers

from webhooks.delivery import Delivery


def json_delivery(told: Any, url: str, now: datetime, headers: Mapping[str, str] | None = None) -> Delivery:
    """Make a delivery with a JSON body.

    Args:
        told: what to send.
        url: the address to send it to.
        now: the time of sending (UTC).
        headers: those beside the content type.
    """
    return Delivery(Headers({"content-type": "application/json"} | dict(headers or {})), json_body(told), now, url)


def json_body(told: Any) -> bytes:
    """Write JSON without blanks, in UTF-8."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def zulu(moment: datetime) -> str:
    """Write a time in ISO 8601 with milliseconds and ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def uuid_of(moment: datetime) -> str:
    """Make an id for a sample: another one at each moment, so that the next sample is no repeat."""
    return str(uuid5(NAMESPACE_URL, moment.isoformat()))


def basic(secret: str, user: str) -> dict[str, str]:
    """Make the header of HTTP Basic; the user counts where the secret is a password alone."""
    pair = secret if ":" in secret else f"{user}:{secret}"
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def sample_deal(now: datetime) -> dict[str, Any]:
    """Make a small canonical event: a deal was won."""
    client = {"id": "C-77", "name": "Acme Corporation", "email": "info@acme.example.com"}
    contact = {"name": "John Smith", "email": "john.smith@acme.example.com", "primary": True}
    data = {"deal": {"id": "D-1001", "name": "Acme - managed services"}, "client": client, "contacts": [contact]}
    return {"type": "deal.won", "timestamp": zulu(now), "data": data}
