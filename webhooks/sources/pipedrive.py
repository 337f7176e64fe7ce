"""Pipedrive: webhooks of version 1 and 2, proven by HTTP Basic.

Fields, retries and bans: pipedrive.readme.io, "Guide for Webhooks", "Guide for Webhooks v2" and its migration guide.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from webhooks.changes import Change, as_text, change_event, from_milliseconds, scalars
from webhooks.credentials import any_text, check_basic
from webhooks.delivery import Delivery, Ignored, Source
from webhooks.sending import basic, json_delivery, uuid_of, zulu
from worker.events import Event, read_json, read_time

CHANGES: Final = {
    "create": "created",
    "change": "changed",
    "delete": "deleted",
    "added": "created",
    "updated": "changed",
    "deleted": "deleted",
    "merged": "merged",
}
"""The words of version 2, then those of version 1."""
OPEN: Final = "open"


def events(delivery: Delivery) -> Sequence[Event | Ignored]:
    """Read the one change.

    A deal counts where its status changed (``status`` among the previous values, and another one now), where it is
    closed from the start, and where it is gone; an organisation counts at every change.
    """
    body = read_json(delivery.body)
    if not isinstance(body, dict) or not isinstance(body.get("meta"), dict):
        raise ValueError("the body must be a JSON object with 'meta'")
    meta = body["meta"]
    record = as_text(meta.get("entity") or meta.get("object"))
    change = CHANGES.get(as_text(meta.get("action")), "")
    now, previous = _object(body.get("data") or body.get("current")), _object(body.get("previous"))
    # In version 2 the id is the event's own.
    identity = as_text((meta.get("entity_id") or now.get("id")) if meta.get("entity") else meta.get("id"))
    if reason := _no_interest(record, change, now, previous):
        return [Ignored(f"{record or 'a record'} {change}: {reason}")]
    if not identity:
        raise ValueError("'meta' names no record")
    moved = {name: value for name, value in previous.items() if name not in now or value != now[name]}
    return [
        change_event(
            "pipedrive",
            delivery,
            Change(
                object=record,
                id=identity,
                change="merged" if meta.get("merged_to_id") else change,
                key=_key(meta, record, identity),
                account=as_text(meta.get("company_id")),
                occurred_at=_moment(meta),
                values=scalars({name: now.get(name) for name in {*moved, "status", "pipeline_id"} if name in now}),
                previous=scalars(moved) if now else {},
                details=_details(meta),
            ),
        )
    ]


def _key(meta: Mapping[str, Any], record: str, identity: str) -> list[str]:
    """Name the change: by its uuid in version 2, by record and time in version 1, which has none.

    The webhook's own id is left out: while a password is changed two webhooks tell the same.
    """
    if meta.get("entity"):
        return [as_text(meta.get("id"))]
    moment = as_text(meta.get("timestamp_micro") or meta.get("timestamp"))
    return [as_text(meta.get("company_id")), record, identity, as_text(meta.get("action")), moment]


def _moment(meta: Mapping[str, Any]) -> datetime | None:
    """Read the time: text in version 2, seconds since 1970 in version 1."""
    told = meta.get("timestamp")
    return from_milliseconds(told * 1000) if isinstance(told, int) else read_time(told)


def _details(meta: Mapping[str, Any]) -> dict[str, Any]:
    merged_to = as_text(meta.get("merged_to_id"))
    return {"merged_into": merged_to} if merged_to else {}


def _no_interest(record: str, change: str, now: Mapping[str, Any], previous: Mapping[str, Any]) -> str:
    """Say why a change cannot start anything, or nothing."""
    if record not in {"deal", "organization"}:
        return "such records start nothing"
    if not change:
        return "such actions start nothing"
    if change == "created":
        return "" if record == "deal" and now.get("status", OPEN) != OPEN else "a new open record starts nothing"
    if record == "deal" and change == "changed" and previous.get("status", now.get("status")) == now.get("status"):
        return "its status did not change"
    return ""


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def sample(secret: str, url: str, now: datetime) -> Delivery:
    """Make a delivery of version 2: a deal was won."""
    meta = {"action": "change", "entity": "deal", "entity_id": "8", "company_id": "8087566", "timestamp": zulu(now)}
    meta |= {"id": uuid_of(now), "webhook_id": "4710827", "version": "2.0"}
    data = {"id": 8, "title": "Acme - Managed IT", "status": "won", "org_id": 1, "person_id": 8, "pipeline_id": 1}
    told = {"meta": meta, "data": data, "previous": {"status": "open", "won_time": None}}
    return json_delivery(told, url, now, basic(secret, "pipedrive"))


source = Source("pipedrive", check_basic, events, any_text, sample, busy_status=None)
"""Never told to come later: ten failed first tries stop its deliveries for half an hour, and lose them."""
