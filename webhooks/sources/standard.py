"""Standard Webhooks: canonical events with an id and a time, signed by the sender."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from starlette.datastructures import Headers

from webhooks.changes import from_milliseconds
from webhooks.delivery import Delivery, NotProven, Source, TooOld
from webhooks.sending import json_body, sample_deal
from webhooks.signatures import any_same, sign_standard, standard_key, standard_signature
from worker.events import MAX_ID_LENGTH, Event, canonical_event, read_json

TOLERANCE_S: Final = 300
"""How far a sender's clock may be off, either way; the libraries of the scheme use the same."""
MIN_KEY_BYTES: Final = 24
"""The scheme asks for 24 to 64 random bytes."""
TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
DELIVERY_ID: Final = re.compile(rf"[!-~]{{1,{MAX_ID_LENGTH}}}")


def verify(delivery: Delivery, secrets: Sequence[str]) -> None:
    """Prove id, time and body by one of the signatures in the header and one of the secrets."""
    family = _family(delivery)
    delivery_id = delivery.proof(f"{family}-id")
    timestamp = delivery.proof(f"{family}-timestamp")
    given = delivery.proof(f"{family}-signature").split()
    _check_age(timestamp, delivery.received_at)
    if not any_same(given, [standard_signature(secret, delivery_id, timestamp, delivery.body) for secret in secrets]):
        raise NotProven("no v1 signature in webhook-signature fits this id, timestamp and body")


def events(delivery: Delivery) -> Sequence[Event]:
    """Read the one canonical event; ``webhook-id`` stays the same over the sender's repeats, so it names the event."""
    delivery_id = delivery.headers[f"{_family(delivery)}-id"]
    if not DELIVERY_ID.fullmatch(delivery_id):
        raise ValueError(f"webhook-id must be 1 to {MAX_ID_LENGTH} visible ASCII characters without spaces")
    return [canonical_event("standard", delivery_id, read_json(delivery.body), received_at=delivery.received_at)]


def secret_problem(secret: str) -> str | None:
    """Say why a secret cannot be a Standard Webhooks key, or None."""
    try:
        length = len(standard_key(secret))
    except ValueError:
        return "it must be whsec_ followed by base64"
    return (
        None if length >= MIN_KEY_BYTES else f"it holds {length} bytes; at least {MIN_KEY_BYTES} random ones are needed"
    )


def _family(delivery: Delivery) -> str:
    """Tell how the headers are called: Svix, where the scheme comes from, has names of its own."""
    return "svix" if "svix-id" in delivery.headers and "webhook-id" not in delivery.headers else "webhook"


def _check_age(timestamp: str, now: datetime) -> None:
    if not TIMESTAMP.fullmatch(timestamp):
        raise NotProven("webhook-timestamp must be whole seconds since 1970")
    if abs(int(timestamp) - now.timestamp()) > TOLERANCE_S:
        text = f"webhook-timestamp is more than {TOLERANCE_S} seconds away from the clock here"
        raise TooOld(text, from_milliseconds(int(timestamp) * 1000))


def sample(secret: str, url: str, now: datetime) -> Delivery:
    """Make a signed delivery of a won deal."""
    body = json_body(sample_deal(now))
    signature = sign_standard(secret, f"msg_{int(now.timestamp() * 1000)}", now, body)
    return Delivery(Headers({"content-type": "application/json"} | signature), body, now, url)


source = Source("standard", verify, events, secret_problem, sample, signs_body=True)
