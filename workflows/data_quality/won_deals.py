"""The deals that the CRMs say are won."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Protocol

from worker.errors import Ignored, NeedsOperator
from worker.events import Event
from workflows.data_quality.finding import WonDeal


class Crms(Protocol):
    """Asks CRMs, as `workflows.hydration.Hydration` does."""

    def changed_since(self, system: str, moment: datetime) -> AsyncIterator[Event]:
        """Search a system for records that have changed."""

    async def hydrate(self, event: Event) -> Event:
        """Read the record that an event is about, and return what it means."""
        ...


async def won_deals(crms: Crms, systems: Iterable[str], since: datetime) -> list[WonDeal]:
    """Read the won deals that have changed.

    Args:
        crms: asks them.
        systems: those that can be asked ("hubspot").
        since: an aware time.

    Returns:
        Each deal once; without those that start nothing, or that a person must decide on.

    Raises:
        RetryLater: one of them cannot be asked now.
        NeedsOperator: one of them refuses to be searched.
    """
    found: dict[tuple[str, str], WonDeal] = {}
    for system in systems:
        async for told in crms.changed_since(system, since):
            try:
                event = await crms.hydrate(told)
            except (Ignored, NeedsOperator):
                continue
            if event.type == "deal.won":
                deal, client = event.data.get("deal") or {}, event.data.get("client") or {}
                names = (deal.get("id"), deal.get("name"), client.get("id"), client.get("name"))
                won = WonDeal(*(str(name or "") for name in names))
                found[system, won.id] = won
    return list(found.values())
