"""The inbox in front of a journal."""

from worker.assemble.store import Store
from worker.events import Event
from worker.inbox import Check, Hydrate, Inbox
from workflows.registry import WORKFLOWS


def inbox_of(store: Store, *, check: Check | None = None, hydrate: Hydrate | None = None) -> Inbox:
    """Make the inbox in front of a journal; who only takes events in needs nothing that completes them."""
    return Inbox(store.journal, store.reader, WORKFLOWS, hydrate or as_it_came, check=check)


async def as_it_came(event: Event) -> Event:
    """Leave an event as it is: it is completed by whoever works on it."""
    return event
