"""The journal on a connection, and what stands on nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from worker.budget import Budget
from worker.durability import Durability
from worker.jobs import encode_doorbell
from worker.journal import Journal
from worker.journal.heard import Heard
from worker.journal.reading import Reader
from worker.journal.refused import RefusedDeliveries
from worker.journal.scripts import Scripts
from worker.journal.upkeep import Upkeep
from worker.journal.verbs import Verbs
from worker.settings import Settings
from worker.store import BRISK_TRIES, store_client

DOORBELL: Final = encode_doorbell()


@dataclass(frozen=True, slots=True)
class Store:
    """The parts of the journal on one connection."""

    scripts: Scripts
    journal: Journal
    reader: Reader
    verbs: Verbs
    upkeep: Upkeep
    refused: RefusedDeliveries
    heard: Heard


@asynccontextmanager
async def open_store(url: str, *, tries: int = BRISK_TRIES) -> AsyncIterator[Store]:
    """Open the journal at an address for a while."""
    client = store_client(url, tries=tries)
    scripts = Scripts(client, DOORBELL)
    try:
        yield Store(
            scripts,
            Journal(scripts),
            Reader(scripts),
            Verbs(scripts),
            Upkeep(scripts),
            RefusedDeliveries(scripts),
            Heard(scripts),
        )
    finally:
        await client.aclose(close_connection_pool=True)


def budget_of(settings: Settings, store: Store) -> Budget:
    """Make what limits the requests to HaloPSA."""
    return Budget(store.scripts, requests=settings.halo_budget_requests, window_s=settings.halo_budget_window_s)


def durability_of(settings: Settings, store: Store) -> Durability:
    """Make what watches whether the store keeps what it is given."""
    return Durability(store.upkeep, allow_data_loss=settings.allow_data_loss)
