"""Changing several records alike: in arrays where HaloPSA takes them, else singly."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from workflows.halopsa import HaloRefused
from workflows.halopsa.collection import Collection
from workflows.halopsa.models import Numbered

CHUNK: Final = 50
"""Records in one request."""

Changes = Mapping[int, Mapping[str, Any]]


async def update_each(collection: Collection[Numbered], changes: Changes) -> dict[int, str]:
    """Change records to values that may be written again without harm.

    Args:
        collection: where the records stand.
        changes: record → fields and values.

    Returns:
        What HaloPSA refused, in its words, by record.
    """
    refused: dict[int, str] = {}
    for chunk in _chunks(changes):
        shown = await _shown(collection, chunk) if len(chunk) > 1 else set()
        for record_id in chunk.keys() - shown:
            try:
                await collection.update(record_id, **chunk[record_id])
            except HaloRefused as refusal:
                refused[record_id] = refusal.what
    return refused


async def _shown(collection: Collection[Numbered], changes: Changes) -> set[int]:
    """Send an array; what HaloPSA does not show as changed is to be sent again."""
    try:
        return set(await collection.update_many(changes))
    except HaloRefused:
        return set()


def _chunks(changes: Changes) -> Iterator[Changes]:
    ids = sorted(changes)
    for start in range(0, len(ids), CHUNK):
        yield {record_id: changes[record_id] for record_id in ids[start : start + CHUNK]}
