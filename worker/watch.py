"""Watching the journal from outside the engine: waiting until an event is routed or a run has ended."""

import asyncio
import json
from typing import Final

from worker.journal.reading import Reader
from worker.journal.records import ENDED, RunRecord

LOOK_EVERY_S: Final = 0.05
"""Runs end in other processes; the journal is asked now and then."""


async def routed_runs(reader: Reader, event_id: str) -> list[str]:
    """Wait until an event is routed, ignored or given up.

    Returns:
        The runs that stand for it: its own, or the one whose fact it repeats; none if nothing wants it.
    """
    while (stored := await reader.event(event_id) or {}).get("state") == "received":  # noqa: ASYNC110 - see LOOK_EVERY_S
        await asyncio.sleep(LOOK_EVERY_S)
    return json.loads(stored.get("runs", "[]")) or [run for run in [stored.get("repeats")] if run]


async def ended_run(reader: Reader, run_id: str) -> RunRecord | None:
    """Wait until a run has ended; None if there is no such run."""
    while (run := await reader.run(run_id)) is not None and run.state not in ENDED:  # noqa: ASYNC110 - see LOOK_EVERY_S
        await asyncio.sleep(LOOK_EVERY_S)
    return run
