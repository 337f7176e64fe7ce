"""The list of workflows, and how each reads fact and client off its event."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from worker.events import Event, read_time
from worker.run import Route, Run, Start, Workflow
from workflows.canonical import normalised_name
from workflows.churn_client import churn_client
from workflows.msp import Msp
from workflows.onboard_client import onboard_client

MAX_TEXT: Final = 200


def onboarding_route(event: Event) -> Route:
    """One won deal is one fact. An event without a deal's id stands for itself."""
    deal_id = _text(event.data.get("deal"), "id") or f"unknown ({event.id})"
    return Route(f"deal:{event.origin}:{deal_id}:won", _keys(event), _client_name(event))


def churn_route(event: Event) -> Route:
    """One client that leaves on one day is one fact."""
    client = _text(_client(event), "id") or normalised_name(_text(_client(event), "name")) or f"unknown ({event.id})"
    return Route(f"client:{event.origin}:{client}:leaves:{_leaving_day(event)}", _keys(event), _client_name(event))


def _listed(
    version: int, on: str, route: Callable[[Event], Route], plan: Callable[[Run, Msp, Event], Awaitable[Any]]
) -> Workflow[Msp]:
    """List a workflow under its function's name, which is also the name of its section of the policy."""
    name = plan.__name__

    def start(msp: Msp) -> Start:
        return Start(getattr(msp.policy, name).mode, timedelta(hours=msp.policy.approval_hours))

    return Workflow(name, version, on, route, plan, start)


WORKFLOWS: Final[Sequence[Workflow[Msp]]] = [
    _listed(1, "deal.won", onboarding_route, onboard_client),
    _listed(1, "client.churned", churn_route, churn_client),
]


def _client(event: Event) -> Any:
    return event.data.get("client")


def _client_name(event: Event) -> str:
    return _text(_client(event), "name") or _text(_client(event), "id")


def _keys(event: Event) -> list[str]:
    names = {"crm": _text(_client(event), "id"), "name": normalised_name(_text(_client(event), "name"))}
    return [f"{kind}:{name}" for kind, name in names.items() if name]


def _leaving_day(event: Event) -> str:
    """The day as the event writes it; without one the day of the event."""
    day = _text(event.data, "last_service_day")
    moment = read_time(day) or read_time(event.data.get("effective_at")) or event.occurred_at
    return day[:10] if read_time(day) else moment.date().isoformat()


def _text(part: Any, name: str) -> str:
    value = part.get(name) if isinstance(part, dict) else None
    return str(value).strip()[:MAX_TEXT] if isinstance(value, str | int) else ""
