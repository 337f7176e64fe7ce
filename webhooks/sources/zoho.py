"""Zoho CRM: notifications of a channel, which echo the channel's token in their body.

Fields and the channel's end: zoho.com/crm/developer, "Enable notifications" (API v7). A channel lives a week at most.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from webhooks.changes import Change, as_text, change_event, from_milliseconds
from webhooks.credentials import proven_by_address
from webhooks.delivery import Delivery, Ignored, Malformed, Missing, NotProven, Source
from webhooks.sending import json_delivery
from webhooks.signatures import same_bytes
from worker.events import Event, read_json

MODULES: Final = {"Deals": "deal", "Accounts": "account"}
CHANGES: Final = {"insert": "created", "update": "changed", "delete": "deleted"}
MAX_TOKEN: Final = 50
"""Zoho takes no longer token."""


def verify(delivery: Delivery, secrets: Sequence[str]) -> None:
    """Prove the delivery by the token in its body; without one, by its address. A wrong token is not rescued."""
    body = _object(delivery)
    token = None if body is None else body.get("token")
    if token is None and proven_by_address(delivery, secrets):
        return
    if body is None:
        raise Malformed("the body is no JSON object, so the token in it cannot be read")
    if not token and delivery.address_secret:
        raise NotProven("the body holds no token, and the secret in the address is wrong")
    if token is None or token == "":
        raise Missing("the body holds no token")
    if not isinstance(token, str):
        raise Malformed("the token in the body must be text")
    if not same_bytes([token.encode()], secrets):
        raise NotProven("the token in the body is wrong")


def _object(delivery: Delivery) -> Mapping[str, Any] | None:
    try:
        body = read_json(delivery.body)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def events(delivery: Delivery) -> Sequence[Event | Ignored]:
    """Read the records that changed, one event each; the token and the address's parameters are left behind."""
    body = read_json(delivery.body)
    if not isinstance(body, dict) or not isinstance(body.get("ids"), list):
        raise ValueError("the body must be a JSON object with 'ids'")
    module, operation = as_text(body.get("module")), as_text(body.get("operation"))
    record, change = MODULES.get(module), CHANGES.get(operation)
    if record is None or change is None or (record, change) == ("account", "created"):
        return [Ignored(f"{module} {operation}: such changes start nothing")]
    ids = [as_text(one) for one in body["ids"] if as_text(one)]
    if not ids:
        return [Ignored(f"{module} {operation}: it names no record")]
    return [_event(delivery, body, record, change, one) for one in ids]


def _event(delivery: Delivery, body: Mapping[str, Any], record: str, change: str, identity: str) -> Event:
    parts = ("channel_id", "module", "operation")
    fields = body.get("affected_fields")
    return change_event(
        "zoho",
        delivery,
        Change(
            object=record,
            id=identity,
            change=change,
            key=[*(as_text(body.get(part)) for part in parts), identity, as_text(body.get("server_time"))],
            occurred_at=from_milliseconds(body.get("server_time")),
            details={"fields": fields} if fields else {},
        ),
    )


def secret_problem(secret: str) -> str | None:
    """Say why a secret cannot be a channel's token, or None."""
    return None if len(secret) <= MAX_TOKEN else f"Zoho takes {MAX_TOKEN} characters at most"


def sample(secret: str, url: str, now: datetime) -> Delivery:
    """Make a notification of one changed deal."""
    told = {"server_time": int(now.timestamp() * 1000), "query_params": {}, "module": "Deals", "operation": "update"}
    told |= {"resource_uri": "https://www.zohoapis.com/crm/v2/Deals", "ids": ["5725767000003000064"]}
    told |= {"affected_fields": [], "channel_id": "1000000068001", "token": secret}
    return json_delivery(told, url, now)


source = Source("zoho", verify, events, secret_problem, sample, by_address=True, busy_status=None)
"""Never told to come later: whether it repeats a notification is not documented."""
