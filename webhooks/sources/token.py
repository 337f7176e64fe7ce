"""A fixed bearer token: canonical events from senders that cannot sign (Zapier, Make, Power Automate)."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from webhooks.credentials import any_text, check_bearer
from webhooks.delivery import Delivery, Source
from webhooks.sending import json_delivery, sample_deal
from worker.events import Event, canonical_event, read_json


def events(delivery: Delivery) -> Sequence[Event]:
    """Read the one canonical event. The sender has no delivery id, so an identical body is a repeat."""
    delivery_id = hashlib.sha256(delivery.body).hexdigest()[:32]
    return [canonical_event("token", delivery_id, read_json(delivery.body), received_at=delivery.received_at)]


def sample(secret: str, url: str, now: datetime) -> Delivery:
    """Make a delivery of a won deal."""
    return json_delivery(sample_deal(now), url, now, {"authorization": f"Bearer {secret}"})


source = Source("token", check_bearer, events, any_text, sample)
