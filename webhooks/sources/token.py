"""A fixed bearer token: canonical events from senders that cannot sign (Zapier, Make, Power Automate)."""

import hashlib
from collections.abc import Sequence

from webhooks.delivery import Delivery, NotProven, Source
from webhooks.signatures import any_same
from worker.events import Event, canonical_event, read_json


def verify(delivery: Delivery, secrets: Sequence[str]) -> None:
    """Prove the sender by ``Authorization: Bearer <secret>``; the body is not covered."""
    scheme, _, token = delivery.proof("authorization").partition(" ")
    if scheme.lower() != "bearer":
        raise NotProven("the header authorization must be 'Bearer' and the token")
    if not any_same([token.strip()], secrets):
        raise NotProven("the bearer token is wrong")


def events(delivery: Delivery) -> Sequence[Event]:
    """Read the one canonical event. The sender has no delivery id, so an identical body is a repeat."""
    delivery_id = hashlib.sha256(delivery.body).hexdigest()[:32]
    return [canonical_event("token", delivery_id, read_json(delivery.body), received_at=delivery.received_at)]


def secret_problem(_secret: str) -> None:
    """Any text can be a token."""


source = Source("token", verify, events, secret_problem)
