"""Deliveries that come while Valkey syncs an earlier one to the disk are stored together, in the next call."""

import asyncio
from collections.abc import Sequence
from typing import Final

from worker.events import Event
from worker.journal import Journal, Receipt

MOST: Final = 200
"""A call that has so many events is full. Valkey does nothing else while it stores them."""


class Gathering:
    """Stores deliveries, at any time in one call at most.

    Args:
        journal: where they are stored.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._one_call = asyncio.Lock()
        self._gathered: list[Sequence[Event]] = []
        self._stored: asyncio.Task[list[Receipt]] | None = None

    async def ingest(self, events: Sequence[Event]) -> Receipt:
        """Store a delivery's events, all or none.

        Raises:
            StoreUnavailable: nothing was stored.
        """
        if self._stored is None or sum(map(len, self._gathered)) >= MOST:
            self._gathered = []
            self._stored = asyncio.create_task(self._store(self._gathered))
        place = len(self._gathered)
        self._gathered.append(events)
        receipts = await asyncio.shield(self._stored)  # a sender who gives up must not take the others along
        return receipts[place]

    async def _store(self, deliveries: list[Sequence[Event]]) -> list[Receipt]:
        async with self._one_call:
            if deliveries is self._gathered:
                self._stored = None
            return await self._journal.ingest_all(deliveries)
