"""A captured request as a file, to look at later.

    {"method": "POST", "url": "https://…/webhooks/hubspot", "headers": {"name": "value" or ["value", …]},
     "body": "text" or "body_base64": "…", "received_at": "2026-11-23T09:00:00Z"}

``url`` is the whole address. ``method`` is POST where it is left out. Without ``received_at`` the age of a request is
not judged.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.datastructures import Headers

from webhooks.delivery import Delivery
from webhooks.sending import zulu
from worker.events import read_json, read_time

SOURCE: Final = re.compile(r"/webhooks/([^/?#]+)")
PACKING: Final = frozenset({b"content-encoding", b"content-length"})


@dataclass(frozen=True, slots=True)
class Captured:
    """A request from a file.

    Attributes:
        source: the word in its address, or an empty string.
        delivery: the request, its body as it came over the wire; received now where the file does not say when.
        dated: whether the file says when.
    """

    source: str
    delivery: Delivery
    dated: bool


def read_captured(text: bytes, now: datetime) -> Captured:
    """Read a file.

    Raises:
        ValueError: it is not one; says what is wrong.
    """
    told = read_json(text)
    if not isinstance(told, dict) or not isinstance(told.get("url"), str) or not isinstance(told.get("headers"), dict):
        raise ValueError("a captured request is a JSON object with 'url', 'headers' and 'body' or 'body_base64'")
    received_at = read_time(told.get("received_at"))
    if received_at is None and told.get("received_at") is not None:
        raise ValueError("'received_at' must be a time such as 2026-11-23T09:00:00Z")
    raw = list(_raw_headers(told["headers"]))
    if "body_base64" not in told and (b"content-encoding", b"gzip") in raw:
        # What is packed is no text: whoever wrote this body down had unpacked it.
        raw = [header for header in raw if header[0] not in PACKING]
    method = str(told.get("method") or "POST").upper()
    delivery = Delivery(Headers(raw=raw), _body(told), received_at or now, told["url"], method)
    found = SOURCE.search(told["url"])
    return Captured(found[1] if found else "", delivery, received_at is not None)


def dump_captured(delivery: Delivery) -> str:
    """Write a file."""
    headers = {name: delivery.headers.getlist(name) for name in delivery.headers}
    told = {
        "method": delivery.method,
        "url": delivery.url,
        "headers": {name: values[0] if len(values) == 1 else values for name, values in headers.items()},
        "body_base64": base64.b64encode(delivery.body).decode(),
        "received_at": zulu(delivery.received_at),
    }
    return json.dumps(told, indent=2)


def _raw_headers(headers: Mapping[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for name, values in headers.items():
        for value in values if isinstance(values, list) else [values]:
            try:
                yield name.lower().encode("latin-1"), str(value).encode("latin-1")
            except UnicodeEncodeError as error:
                raise ValueError(f"the header {name!r} cannot have come over HTTP") from error


def _body(told: Mapping[str, Any]) -> bytes:
    if "body_base64" in told:
        return base64.b64decode(str(told["body_base64"]), validate=True)
    if not isinstance(told.get("body", ""), str):
        raise ValueError("'body' must be the text as it came: parsed JSON has lost what was signed")
    return str(told.get("body", "")).encode()
