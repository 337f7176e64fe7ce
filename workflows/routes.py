"""How each workflow reads its business fact and its client off an event, without I/O."""

from typing import Any, Final

from worker.events import Event, read_time
from worker.run import Route
from workflows.canonical import normalised_name
from workflows.matching import queue_name

MAX_TEXT: Final = 200


def onboarding_route(event: Event) -> Route:
    """One won deal is one fact."""
    return Route(f"{_deal(event)}:won", _client_keys(event), _client_name(event))


def reopening_route(event: Event) -> Route:
    """A deal may be reopened many times. The run does not wait for the one that it is to stop."""
    return Route(_at(event, f"{_deal(event)}:reopened"), [_deal(event)], _client_name(event))


def churn_route(event: Event) -> Route:
    """One client that leaves on one day is one fact; where nobody knows the day, until the client is back.

    What tells of the client's last end before tells itself apart by that.
    """
    fact = _left(event) if is_undated(event) else _leaves(event, _after_its_end(event) or _leaving_day(event))
    return Route(fact, _client_keys(event), _client_name(event))


def is_undated(event: Event) -> bool:
    """Whether nobody knows since when the client has left that the event tells of."""
    return event.data.get("undated") is True


def churns_before(event: Event) -> dict[str, str]:
    """Name the churns that the return of the event's client makes past, so that it may leave anew.

    Returns:
        A step's id → the fact that it has left: on a day that nobody knows, or on the very day of its return.
    """
    return {"left": _left(event), "left-today": _leaves(event, event.occurred_at.date().isoformat())}


def update_route(event: Event) -> Route:
    """A client changes many times. One that others were merged into is waited for under their keys too."""
    keys = [*_client_keys(event), *_merged_keys(event)]
    return Route(_at(event, f"{_client(event)}:updated"), keys, _client_name(event))


def reactivation_route(event: Event) -> Route:
    """A client may come back many times."""
    return Route(_at(event, f"{_client(event)}:reactivated"), _client_keys(event), _client_name(event))


def new_contact_route(event: Event) -> Route:
    """A contact is new once, until it leaves."""
    return Route(f"{_contact(event)}:created", _client_keys(event), _client_name(event))


def departure_route(event: Event) -> Route:
    """A contact may leave many times. Nothing that holds up the client holds up the departure."""
    return Route(_at(event, f"{_contact(event)}:departed"), [_contact(event)], _client_name(event))


def client_keys(crm_id: str, name: str) -> list[str]:
    """Say under which names runs of a client wait for each other; what is empty names nothing."""
    names = {"crm": crm_id, "name": queue_name(name)}
    return [f"{kind}:{known}" for kind, known in names.items() if known]


def _deal(event: Event) -> str:
    """Name the event's deal; one without an id stands for itself."""
    return f"deal:{event.origin}:{_text(event.data.get('deal'), 'id') or f'unknown ({event.id})'}"


def _client(event: Event) -> str:
    return f"client:{event.origin}:{_named(event, 'client') or f'unknown ({event.id})'}"


def _leaves(event: Event, day: str) -> str:
    return f"{_client(event)}:leaves:{day}"


def _left(event: Event) -> str:
    """Who brings a client back may be another system than the one that said that it left."""
    return f"client:{_named(event, 'client') or f'unknown ({event.id})'}:left"


def _contact(event: Event) -> str:
    contact = _text(event.data.get("contact"), "id") or _text(event.data.get("contact"), "email").casefold()
    contact = contact or _named(event, "contact") or f"unknown ({event.id})"
    return f"contact:{event.origin}:{_named(event, 'client')}:{contact}"


def _named(event: Event, part: str) -> str:
    """Name a part of the event by its id, else by its name."""
    return _text(event.data.get(part), "id") or normalised_name(_text(event.data.get(part), "name"))


def _at(event: Event, fact: str) -> str:
    """Tell a fact that comes again from its other times."""
    return f"{fact}:{event.occurred_at.isoformat()}"


def _client_name(event: Event) -> str:
    client = event.data.get("client")
    return _text(client, "name") or _text(client, "id")


def _client_keys(event: Event) -> list[str]:
    client = event.data.get("client")
    return client_keys(_text(client, "id"), _text(client, "name"))


def _merged_keys(event: Event) -> list[str]:
    client = event.data.get("client")
    merged = client.get("merged_ids") if isinstance(client, dict) else None
    known = [_as_text(one) for one in merged] if isinstance(merged, list) else []
    return [key for one in dict.fromkeys(known) for key in client_keys(one, "")]


def _after_its_end(event: Event) -> str:
    """Say after which of its ends the client leaves; empty where that is not told, or the day is."""
    last_end = event.data.get("last_end_note")
    told = isinstance(last_end, int) and read_time(_text(event.data, "last_service_day")) is None
    return f"after {last_end}" if told else ""


def _leaving_day(event: Event) -> str:
    """The day as the event writes it; without one the day of the event."""
    day = _text(event.data, "last_service_day")
    moment = read_time(day) or read_time(event.data.get("effective_at")) or event.occurred_at
    return day[:10] if read_time(day) else moment.date().isoformat()


def _text(part: Any, name: str) -> str:
    return _as_text(part.get(name)) if isinstance(part, dict) else ""


def _as_text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()[:MAX_TEXT] if isinstance(value, str | int) else ""
