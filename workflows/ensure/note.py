"""Notes on clients: found by their mark, else written."""

from datetime import UTC, datetime

from workflows.ensure.ensured import Ensured, Skippable, eldest
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound


async def ensure_note(halo: Halo, client_id: int, mark: str, text: str) -> Skippable:
    """Write a note on the client once. Where notes are not allowed, the run goes on and remarks it.

    Args:
        halo: HaloPSA.
        client_id: whose note it is.
        mark: tells the note from all others; becomes its last line.
        text: what it says.
    """
    if halo.in_doubt:
        known = [row for row in await halo.notes.find(client_id=client_id) if mark in row.text]
        if known:
            return Ensured(id=eldest(known).id)
    try:
        made = await halo.notes.create(client_id=client_id, text=f"{text}\n{mark}", at=datetime.now(UTC))
    except (HaloForbidden, HaloNotFound) as refusal:
        return Ensured(id=0, remarks=[f"not noted on the client: {refusal.what}"])
    return Ensured(id=made.id, created=True)
