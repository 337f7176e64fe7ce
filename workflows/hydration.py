"""Completing events: those of CRMs and of HaloPSA tell that a record changed, and the record says what it means."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Final, Protocol

from worker.errors import NeedsOperator
from worker.events import Event
from worker.run import Guard
from workflows.crm.hydrator import as_told

SYSTEMS: Final = ("hubspot", "pipedrive", "salesforce", "dynamics", "zoho", "halopsa")


class Hydrator(Protocol):
    """Completes the events of one system."""

    async def hydrate(self, event: Event) -> Event:
        """Read the record that an event is about, and return what it means.

        Raises:
            Ignored: it means nothing.
            RetryLater: the system cannot be asked now.
            NeedsOperator: it refuses, or a person must decide.
        """
        ...

    def changed_since(self, moment: datetime) -> AsyncIterator[Event]:
        """Search for records that have changed and may mean something.

        Args:
            moment: from when on (UTC).

        Raises:
            NeedsOperator: the system is not asked, or refuses.
            RetryLater: it cannot be asked now.
        """
        ...

    async def note_on_deal(self, event: Event, text: str, guard: Guard) -> bool:
        """Write a note on the deal of a canonical event, once.

        Args:
            event: whose deal it is.
            text: what it says.
            guard: the run.

        Returns:
            Whether it was written now.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class Hydration:
    """Completes the events of every system that is connected.

    Args:
        hydrators: by the system's word ("hubspot").
    """

    def __init__(self, hydrators: Mapping[str, Hydrator]) -> None:
        self._hydrators = hydrators

    async def hydrate(self, event: Event) -> Event:
        """Complete an event; canonical ones come back as they are, unless they were completed before: then anew.

        Raises:
            Ignored: it means nothing.
            RetryLater: the system cannot be asked now.
            NeedsOperator: the system is not connected or refuses, or a person must decide.
        """
        told = as_told(event)
        system = told.type.partition(".")[0]
        return await self._of(system).hydrate(told) if system in SYSTEMS else event

    def changed_since(self, system: str, moment: datetime) -> AsyncIterator[Event]:
        """Search a system for records that have changed; see `Hydrator.changed_since`."""
        return self._of(system).changed_since(moment)

    async def note_on_deal(self, event: Event, text: str, guard: Guard) -> bool:
        """Write a note on the deal in the CRM that it comes from; see `Hydrator.note_on_deal`."""
        system = event.origin.partition("/")[0]
        return await self._of(system).note_on_deal(event, text, guard) if system in SYSTEMS else False

    async def aclose(self) -> None:
        """Close the connections."""
        for hydrator in self._hydrators.values():
            await hydrator.aclose()

    def _of(self, system: str) -> Hydrator:
        if system not in self._hydrators:
            mend = f"set what reading from it needs (PARHELION_{system.upper()}_…), then replay the event."
            raise NeedsOperator(f"{system} tells ids only, and is not connected.", mend=mend)
        return self._hydrators[system]
