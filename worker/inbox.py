"""The inbox: events are stored once, completed, and become runs, or are ignored with a reason."""

import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog

from worker import metrics
from worker.errors import Ignored, NeedsOperator, RetryLater
from worker.events import Event
from worker.journal import Journal, NewRun, Receipt
from worker.journal.gathering import Gathering
from worker.journal.reading import Reader
from worker.journal.records import read_event
from worker.run import Workflow

Hydrate = Callable[[Event], Awaitable[Event]]
Check = Callable[[], Awaitable[None]]

HYDRATE_AGAIN_S: Final = (1, 5, 30, 120, 300)
HYDRATE_FOR_MS: Final = 24 * 3600 * 1000

_log = structlog.stdlib.get_logger("inbox")


class Inbox:
    """Takes events in and sends them on.

    Args:
        journal: where they are stored.
        reader: gives them out again.
        workflows: what an event may start.
        hydrate: completes an event whose sender gives ids only; the others come back as they are.
        check: raises StoreUnavailable where the store is not to take anything new.
    """

    def __init__(
        self,
        journal: Journal,
        reader: Reader,
        workflows: Sequence[Workflow[Any]],
        hydrate: Hydrate,
        *,
        check: Check | None = None,
    ) -> None:
        self._journal = journal
        self._gathering = Gathering(journal)
        self._reader = reader
        self._workflows = workflows
        self._hydrate = hydrate
        self._check = check

    async def accept(self, events: Sequence[Event]) -> Receipt:
        """Store a delivery's events, all or none; each is worked on once, however often it comes.

        Raises:
            StoreUnavailable: nothing was stored.
        """
        if self._check is not None:
            await self._check()
        return await self._gathering.ingest(events)

    async def route(self, event_id: str) -> list[str]:
        """Send a stored event on; returns the ids of the runs it started, now or earlier.

        Raises:
            StoreUnavailable: the store does not answer; the sweep rings again.
        """
        stored = await self._reader.event(event_id)
        if stored is None:
            return []
        if stored["state"] != "received":
            return list(json.loads(stored.get("runs", "[]")))
        received = read_event(event_id, stored)
        try:
            event = await self._hydrate(received)
        except Ignored as ignored:
            return await self._send_on(received, [], reason=ignored.reason)
        except (RetryLater, NeedsOperator) as trouble:
            await self._postpone(event_id, stored, trouble)
            return []
        runs = [_new_run(workflow, event) for workflow in self._workflows if workflow.on == event.type]
        body = "" if event is received else event.dump()
        return await self._send_on(event, runs, body=body, reason=f"no workflow takes {event.type!r} events")

    async def _send_on(self, event: Event, runs: Sequence[NewRun], *, body: str = "", reason: str) -> list[str]:
        names = sorted({f"{event.type} {key}" for run in runs for key in run.keys})
        started = await self._journal.route(event.id, runs, names=names, body=body, reason=reason)
        metrics.EVENTS.labels(event.source, "routed" if started else "ignored").inc()
        _log.info("event routed", event_id=event.id, type=event.type, runs=started)
        return started

    async def _postpone(self, event_id: str, stored: dict[str, str], trouble: RetryLater | NeedsOperator) -> None:
        now = int(time.time() * 1000)
        tries = int(stored.get("attempts", "0"))
        give_up = isinstance(trouble, NeedsOperator) or now - int(stored["received"]) > HYDRATE_FOR_MS
        asked_s = trouble.after or 0.0 if isinstance(trouble, RetryLater) else 0.0
        wait_s = max(HYDRATE_AGAIN_S[min(tries, len(HYDRATE_AGAIN_S) - 1)], asked_s)
        _log.warning("event not complete", event_id=event_id, error=str(trouble), given_up=give_up)
        await self._journal.postpone(event_id, error=str(trouble), due=None if give_up else now + int(wait_s * 1000))


def _new_run(workflow: Workflow[Any], event: Event) -> NewRun:
    route = workflow.route(event)
    return NewRun(
        run=_new_id(),
        workflow=workflow.name,
        version=workflow.version,
        fact=route.fact,
        keys=route.keys,
        client=route.client,
        occurred=int(event.occurred_at.timestamp() * 1000),
    )


def _new_id() -> str:
    """Make an id that sorts by time and is short enough to type: 48 bits of milliseconds, 32 of chance."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(4).hex()}"
