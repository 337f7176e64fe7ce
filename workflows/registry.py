"""The list of workflows, and the events that start them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from worker.events import Event
from worker.run import Route, Run, Start, Workflow
from workflows import routes
from workflows.churn_client import churn_client
from workflows.deal_reopened import deal_reopened
from workflows.depart_contact import depart_contact
from workflows.msp import Msp
from workflows.onboard_client import onboard_client
from workflows.onboard_contact import onboard_contact
from workflows.reactivate_client import reactivate_client
from workflows.update_client import update_client


def _listed(
    version: int, on: str, route: Callable[[Event], Route], plan: Callable[[Run, Msp, Event], Awaitable[Any]]
) -> Workflow[Msp]:
    """List a workflow under its function's name, which is also the name of its section of the policy."""
    name = plan.__name__

    def start(msp: Msp) -> Start:
        return Start(getattr(msp.policy, name).mode, timedelta(hours=msp.policy.approval_hours))

    return Workflow(name, version, on, route, plan, start)


WORKFLOWS: Final[Sequence[Workflow[Msp]]] = [
    _listed(1, "deal.won", routes.onboarding_route, onboard_client),
    _listed(1, "deal.reopened", routes.reopening_route, deal_reopened),
    _listed(1, "client.churned", routes.churn_route, churn_client),
    _listed(1, "client.updated", routes.update_route, update_client),
    _listed(1, "client.reactivated", routes.reactivation_route, reactivate_client),
    _listed(1, "contact.created", routes.new_contact_route, onboard_contact),
    _listed(1, "contact.departed", routes.departure_route, depart_contact),
]
