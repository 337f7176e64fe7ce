"""HaloPSA's own webhooks: proven by Basic, a bearer token, a key in a header, or the address; nothing is signed.

Fields: Halo guide 838 ("Webhooks"). What a body says is no proof: the record is read again before anything is done.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from webhooks.changes import Change, as_text, change_event, content_key, scalars
from webhooks.credentials import any_text, check_shared_secret
from webhooks.delivery import Delivery, Ignored, Source
from webhooks.sending import basic, json_body, json_delivery, uuid_of
from worker.events import Event, read_json, read_time

RECORDS: Final = ("ticket", "client", "contract", "user", "site", "asset", "invoice")
"""Kinds of records by the words of an event ("ticket status changed") or the name of the nested object."""
SCREEN_WORDS: Final = {"customer": "client", "agreement": "contract"}
"""What HaloPSA's screens call them, and so its events may."""
OTHERS: Final = frozenset(
    {"agent", "appointment", "article", "item", "order", "quotation", "quote", "supplier", "test"}
)
"""Words of events about what is none of these; a number of theirs must not be taken for a ticket's."""
WORD: Final = re.compile(r"[a-z0-9]+")
TOLD: Final = ("status_id", "tickettype_id", "client_id", "inactive", "hasbeenclosed")


def events(delivery: Delivery) -> Sequence[Event | Ignored]:
    """Read one message, or a batch of them as an array, in whatever letter case and payload type."""
    body = read_json(delivery.body)
    messages = [inner for one in (body if isinstance(body, list) else [body]) for inner in _wrapped(one) or [one]]
    if not all(isinstance(message, dict) for message in messages):
        raise ValueError("the body must be a JSON object, or an array of objects")
    return [_event(delivery, _folded(message)) for message in messages]


def _wrapped(body: Any) -> list[Any]:
    """Give the messages of a batch that comes in an object: the form of a batch is not documented."""
    is_envelope = isinstance(body, dict) and not _names_a_record(body)
    lists = [value for value in body.values() if isinstance(value, list)] if is_envelope else []
    return next((inner for inner in lists if any(map(_names_a_record, inner))), [])


def _names_a_record(message: Any) -> bool:
    names = _lowered(message) if isinstance(message, dict) else {}
    return "object_id" in names or any(isinstance(names.get(name), dict) for name in (*RECORDS, *SCREEN_WORDS))


def _event(delivery: Delivery, message: Mapping[str, Any]) -> Event | Ignored:
    words = as_text(message.get("event"))
    kind = _kind(words, message)
    nested = _nested(kind, message)
    identity = _identity(kind, message, nested)
    if not kind:
        return Ignored(f"{words[:100]}: such events start nothing")
    if not identity:
        return Ignored(f"a message that names no record; its fields: {', '.join(sorted(message))[:200]}")
    moment = read_time(message.get("timestamp"))
    raised = as_text(message.get("escmsg_id")) or as_text(message.get("id"))
    content = json_body(message)
    return change_event(
        "halopsa",
        delivery,
        Change(
            object=kind,
            id=identity,
            change="changed",
            # escmsg_id names what was raised; whether a message that is sent again keeps its id is not known.
            key=[raised or content_key(delivery, content, timed=moment is not None)],
            occurred_at=moment,
            values=scalars({name: nested[name] for name in TOLD if name in nested}),
            details={"event": words, "agent_id": as_text(message.get("agent_id"))},
        ),
    )


def _kind(words: str, message: Mapping[str, Any]) -> str:
    """Tell what a message is about; a ticket where nothing says otherwise, nothing where it is of no interest."""
    told = [SCREEN_WORDS.get(name, name) for name, inner in message.items() if isinstance(inner, dict)]
    named = [kind for kind in RECORDS if kind in told or f"{kind}_id" in message]
    said = [SCREEN_WORDS.get(word, word) for word in WORD.findall(words.lower())]
    spoken = [kind for kind in RECORDS if kind in said]
    return next(iter(spoken + named), "" if OTHERS.intersection(said) else "ticket")


def _nested(kind: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the record that the message holds; an empty one for event information only."""
    on_screen = (word for word, meant in SCREEN_WORDS.items() if meant == kind)
    places = (message.get(name) for name in (kind, *on_screen, "object", "data"))
    return next((place for place in places if isinstance(place, dict)), {})


def _identity(kind: str, message: Mapping[str, Any], nested: Mapping[str, Any]) -> str:
    places = (message.get("object_id"), message.get(f"{kind}_id"), nested.get("id"), nested.get(f"{kind}_id"))
    return next((text for place in places if (text := as_text(place)).isdecimal() and text != "0"), "")


def _folded(value: Mapping[str, Any]) -> dict[str, Any]:
    """Write the names of an object, and those in its inner objects, in lower case."""
    return {name.lower(): _lowered(inner) if isinstance(inner, dict) else inner for name, inner in value.items()}


def _lowered(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): inner for name, inner in value.items()}


def sample(secret: str, url: str, now: datetime) -> Delivery:
    """Make the message that a ticket's status changed, with Basic."""
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
    told = {"id": "8e25bc7b-e07e-4102-9398-5d6647e1e79d", "webhook_id": "53232637-7724-4a19-b126-3c7267a292aa"}
    told |= {"escmsg_id": uuid_of(now), "event": "ticket status changed", "timestamp": moment}
    ticket = {"id": 4242, "status_id": 9, "tickettype_id": 25, "client_id": 1, "hasbeenclosed": True}
    record = {"notification_id": 41, "object_id": 4242, "agent_id": 3, "ticket": ticket}
    return json_delivery(told | record, url, now, basic(secret, "halopsa"))


source = Source("halopsa", check_shared_secret, events, any_text, sample, by_address=True, busy_status=None)
"""Never told to come later: as far as is documented a message is sent once."""
