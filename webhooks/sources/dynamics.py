"""Dynamics 365 (Dataverse): steps registered for webhooks, proven by a header, the key ``code`` or a query parameter.

Fields and retries: learn.microsoft.com, "Use webhooks to create external handlers" and "Register a webhook".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from webhooks.changes import Change, as_text, change_event, from_milliseconds, scalars
from webhooks.credentials import any_text, check_shared_secret
from webhooks.delivery import Delivery, Ignored, Source
from webhooks.sending import json_delivery
from worker.events import Event, read_json

DATE: Final = re.compile(r"/Date\((-?[0-9]{1,15})(?:[+-][0-9]{4})?\)/")
CHANGES: Final = {
    "Create": "created",
    "Update": "changed",
    "SetState": "changed",
    "SetStateDynamicEntity": "changed",
    "Win": "changed",
    "Lose": "changed",
    "Merge": "merged",
    "Delete": "deleted",
}
CLOSING: Final = frozenset({"Win", "Lose"})


def events(delivery: Delivery) -> Sequence[Event | Ignored]:
    """Read the one execution context.

    ``Target`` holds changed columns only; above 256 KB it is left out, and the record decides.
    """
    context = read_json(delivery.body)
    if not isinstance(context, dict) or not as_text(context.get("MessageName")):
        raise ValueError("the body must be a RemoteExecutionContext with 'MessageName'")
    message, record = as_text(context["MessageName"]), as_text(context.get("PrimaryEntityName"))
    inputs = _pairs(context.get("InputParameters"))
    columns = _columns(inputs.get("Target"))
    identity = as_text(context.get("PrimaryEntityId"))
    if message in CLOSING and "OpportunityClose" in inputs:
        record = "opportunity"
        identity = as_text(_columns(inputs["OpportunityClose"]).get("opportunityid")) or identity
    if reason := _no_interest(message, record, columns):
        return [Ignored(f"{record or 'a record'} {message}: {reason}")]
    if not identity:
        raise ValueError("the context names no record")
    return [change_event("dynamics", delivery, _change(context, message, record, identity, columns))]


def _change(context: Mapping[str, Any], message: str, record: str, identity: str, columns: Mapping[str, Any]) -> Change:
    step = context.get("OwningExtension")
    parts = (context.get(part) for part in ("OrganizationId", "OperationId", "OperationCreatedOn"))
    date = DATE.fullmatch(as_text(context.get("OperationCreatedOn")))
    return Change(
        object=record,
        id=identity,
        change=CHANGES[message],
        # One save can call several steps; those of synchronous ones have no OperationId, hence record and time.
        key=[*map(as_text, parts), as_text(step.get("Id")) if isinstance(step, dict) else "", identity],
        account=as_text(context.get("OrganizationId")),
        occurred_at=from_milliseconds(date[1]) if date else None,
        values=scalars(columns),
        details={"message": message},
    )


def _no_interest(message: str, record: str, columns: Mapping[str, Any]) -> str:
    """Say why a context cannot start anything, or nothing."""
    if record not in {"opportunity", "account"}:
        return "such records start nothing"
    if message not in CHANGES or (record, message) == ("account", "Create"):
        return "such messages start nothing"
    if (record, message) == ("opportunity", "Update") and columns and "statecode" not in columns:
        return "its state did not change"
    return ""


def _pairs(value: Any) -> dict[str, Any]:
    """Read what Dataverse writes for an object: a list of ``{"key": …, "value": …}``."""
    entries: Iterable[Any] = value if isinstance(value, list) else ()
    return {as_text(one.get("key")): one.get("value") for one in entries if isinstance(one, dict)}


def _columns(entity: Any) -> dict[str, Any]:
    """Read an entity's columns; an option set or an amount as its value, a reference as its id."""
    pairs = _pairs(entity.get("Attributes")) if isinstance(entity, dict) else {}
    return {
        name: value.get("Value", value.get("Id")) if isinstance(value, dict) else value for name, value in pairs.items()
    }


def sample(secret: str, url: str, now: datetime) -> Delivery:
    """Make the context of an opportunity's update to won, with the secret in a header."""
    identity = "b1f1f0a0-8c57-ec11-8f8f-000d3aa2331c"
    state = {"__type": "OptionSetValue:http://schemas.microsoft.com/xrm/2011/Contracts", "Value": 1}
    target = {"LogicalName": "opportunity", "Id": identity, "Attributes": [{"key": "statecode", "value": state}]}
    context = {
        "MessageName": "Update",
        "PrimaryEntityName": "opportunity",
        "PrimaryEntityId": identity,
        "InputParameters": [{"key": "Target", "value": target}],
        "OperationId": "4af10637-4ea2-e711-8122-000d3aa2331c",
        "OperationCreatedOn": f"/Date({int(now.timestamp() * 1000)}+0000)/",
        "OrganizationId": "4ef5b371-e89e-e711-8122-000d3aa2331c",
        "OwningExtension": {"Id": "75417616-4ea2-e711-8122-000d3aa2331c", "LogicalName": "sdkmessageprocessingstep"},
    }
    return json_delivery(context, url, now, {"x-webhook-secret": secret})


source = Source("dynamics", check_shared_secret, events, any_text, sample, busy_status=503)
"""Dataverse tries again once, and only after 502, 503 or 504."""
