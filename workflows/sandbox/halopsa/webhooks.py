"""Webhooks, what they sent and what they listen to, and links to other systems."""

from typing import Any

from workflows.sandbox.halopsa.store import Record, Store

WEBHOOK_DEFAULTS: dict[str, Any] = {
    "name": "",
    "url": "",
    "type": 0,
    "method": 0,
    "content_type": "application/json",
    "authentication_type": 0,
    "active": True,
    "disabled": False,
    "last_status": 0,
}
NOTIFICATION_DEFAULTS: dict[str, Any] = {
    "name": "",
    "type": 0,
    "delivery_method": 0,
    "eventno": 0,
    "agent_id": 0,
    "conditions": [],
}


def create(entity: str, defaults: Record, store: Store, sent: Record) -> Record:
    """Store a record that has no rules of its own."""
    return store[entity].add(_stamped(entity, store) | defaults | sent)


def update(entity: str, store: Store, record: Record, sent: Record) -> None:
    """Change the sent fields of a record that has no rules of its own."""
    store[entity].change(record, sent)


def show(_store: Store, record: Record) -> Record:
    """A record as reads show it."""
    return record


def show_webhook(_store: Store, webhook: Record) -> Record:
    """A webhook as reads show it: its password stays with HaloPSA."""
    return {name: value for name, value in webhook.items() if name != "basic_password"}


def is_of_webhook(_store: Store, record: Record, wanted: str) -> bool:
    """Whether a record belongs to the webhook with this id."""
    return str(record.get("webhook_id", "")).lower() == wanted.lower()


def is_third_party(_store: Store, link: Record, wanted: str) -> bool:
    """Whether a link leads to the other system's record with this id."""
    return str(link["third_party_id"]) == wanted


def _stamped(entity: str, store: Store) -> Record:
    return {"timestamp": store.now()} if entity == "WebhookEvent" else {}
