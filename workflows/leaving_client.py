"""The client that leaves: until when it is served, and that it becomes inactive."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from pydantic import Field

from workflows.canonical import ChurnedClient
from workflows.closing_rules import ClosingRules
from workflows.ensure import ClientRef, Ensured
from workflows.halopsa import Halo


class Leaving(ClientRef):
    """The client that leaves.

    Attributes:
        child_ids: clients in use that belong to it, or whose invoices it pays.
    """

    child_ids: list[int] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Departure:
    """A client that leaves.

    Attributes:
        churn: what the event says.
        client: who leaves.
        last_day: the last service day.
        leaves_at: when that is over (UTC); None: now.
        rules: what closing takes in this tenant.
        mark: tells this run's notes from all others.
        superseded: runs that waited for another day, and were ended.
    """

    churn: ChurnedClient
    client: Leaving
    last_day: date
    leaves_at: datetime | None
    rules: ClosingRules
    mark: str
    superseded: Sequence[str] = ()


async def deactivate(halo: Halo, client_id: int, *, seen_active: bool = False) -> Ensured:
    """Set the client inactive, unless it is.

    Args:
        halo: HaloPSA.
        client_id: the client.
        seen_active: whether it was active a moment ago, so that nobody but this step may have changed it.
    """
    if (seen_active and not halo.in_doubt) or not (await halo.clients.get(client_id)).inactive:
        await halo.clients.update(client_id, inactive=True)
    return Ensured(id=client_id)


def last_day_of(churn: ChurnedClient, now: datetime, zone: tzinfo) -> date:
    """Return the last day of service; today where the event names none.

    Args:
        churn: what the event says.
        now: an aware time.
        zone: where the days are meant.
    """
    return churn.last_service_day or (churn.effective_at or now).astimezone(zone).date()


async def today_in(zone: tzinfo) -> date:
    """Look which day it is."""
    return datetime.now(zone).date()


def leaves_at(churn: ChurnedClient, zone: tzinfo) -> datetime | None:
    """Return when the last service day, which is inclusive, is over (UTC); None: at once.

    Args:
        churn: what the event says.
        zone: where the day is meant.
    """
    if churn.last_service_day is None:
        return churn.effective_at
    return datetime.combine(churn.last_service_day + timedelta(days=1), time(), zone).astimezone(UTC)
