"""Backfill: systems are asked what has changed, and what did not arrive as a delivery is taken in all the same."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from worker.errors import Ignored, NeedsOperator, RetryLater, StoreUnavailable
from worker.events import Event
from worker.inbox import Inbox
from worker.journal.backfills import HOLD_MS, Backfills
from worker.journal.reading import Reader
from worker.journal.troubles import Troubles
from worker.run import Workflow

LOOK_EVERY_S: Final = 10.0
AGAIN_AFTER_S: Final = 300.0
OVERLAP: Final = timedelta(hours=1)
"""Searches show a change late, and clocks differ."""
TELL_EVERY: Final = 100
AT_ONCE: Final = 50
PACE_S: Final = 0.2
"""From the fifty-first on five records a second are read: HubSpot takes ten, and deliveries are read meanwhile."""
BUSY_TRIES: Final = 12
BUSY_AT_MOST_S: Final = 60.0
NOT_MADE: Final = "backfill not made"

Tell = Callable[[str], None]

_log = structlog.stdlib.get_logger("backfill")


class Systems(Protocol):
    """What asks the systems."""

    def changed_since(self, system: str, moment: datetime) -> AsyncIterator[Event]:
        """Search a system for records that have changed since a moment (UTC)."""

    async def hydrate(self, event: Event) -> Event:
        """Read the record that an event is about, and return what it means."""


@dataclass(frozen=True, slots=True)
class Missed:
    """An event that did not arrive.

    Attributes:
        id: the event's.
        type: what has happened ("deal.won"); as long as the record cannot be read, that it changed ("hubspot.deal").
        client: the client's name or id; empty where it is not known.
        occurred_at: when the record was last changed (UTC).
        trouble: why the record cannot be read now; empty where it could.
    """

    id: str
    type: str
    client: str
    occurred_at: datetime
    trouble: str = ""


@dataclass(slots=True)
class Outcome:
    """What a system had to tell.

    Attributes:
        changed: how many records have changed.
        known: how many of them arrived before.
        meaningless: how many start nothing.
        missed: the others.
    """

    system: str
    since: datetime
    changed: int = 0
    known: int = 0
    meaningless: int = 0
    missed: list[Missed] = field(default_factory=list)


class Backfill:
    """Finds what was missed, and hands it in.

    Args:
        systems: are asked.
        inbox: takes in what they tell.
        reader: knows the events that came in.
        backfills: knows the facts that have had a run.
        workflows: what an event may start.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        systems: Systems,
        inbox: Inbox,
        reader: Reader,
        backfills: Backfills,
        workflows: Sequence[Workflow[Any]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._systems = systems
        self._inbox = inbox
        self._reader = reader
        self._backfills = backfills
        self._workflows = workflows
        self._sleep = sleep

    async def make(self, system: str, since: datetime, *, tell: Tell, plan: bool = False) -> Outcome:
        """Ask one system.

        Args:
            system: its word ("hubspot").
            since: from when on (UTC).
            tell: is told of progress.
            plan: hand nothing in.

        Raises:
            RetryLater: the system cannot be asked now. What was found before is handed in.
            NeedsOperator: it is not connected, or refuses.
            StoreUnavailable: Valkey does not answer.
        """
        outcome = Outcome(system, since)
        seen: set[str] = set()
        async for event in self._changed_since(system, since):
            if event.id in seen:
                continue
            seen.add(event.id)
            outcome.changed += 1
            if missed := await self._judge(event, outcome):
                outcome.missed.append(missed)
                if not plan:
                    await self._inbox.accept([event])
            if outcome.changed % TELL_EVERY == 0:
                tell(f"{system}: {outcome.changed} changed records looked at, {len(outcome.missed)} missed")
        return outcome

    async def _judge(self, event: Event, outcome: Outcome) -> Missed | None:
        """Tell what an event means that was missed; count it where it was not."""
        if await self._reader.event(event.id) is not None:
            outcome.known += 1
            return None
        if outcome.changed - outcome.known > AT_ONCE:
            await self._sleep(PACE_S)
        try:
            meant = await self._meaning(event)
        except Ignored:
            outcome.meaningless += 1
            return None
        except (RetryLater, NeedsOperator) as trouble:
            # The inbox tries again for a day, or shows it to a person.
            return Missed(event.id, event.type, "", event.occurred_at, str(trouble))
        routes = [(workflow.name, workflow.route(meant)) for workflow in self._workflows if workflow.on == meant.type]
        if not routes:
            outcome.meaningless += 1
            return None
        # A fact whose run failed or was cancelled is known: it is for a person to start it again.
        if all([await self._backfills.is_known(name, route.fact) for name, route in routes]):
            outcome.known += 1
            return None
        return Missed(event.id, meant.type, routes[0][1].client, meant.occurred_at)

    async def _changed_since(self, system: str, since: datetime) -> AsyncIterator[Event]:
        """Search, and begin anew after the system took no more for a moment: what was seen is not looked at again."""
        for _ in range(BUSY_TRIES):
            try:
                async for event in self._systems.changed_since(system, since):
                    yield event
            except RetryLater as busy:
                if busy.after is None or busy.after > BUSY_AT_MOST_S:
                    raise
                await self._sleep(busy.after)
            else:
                return
        async for event in self._systems.changed_since(system, since):
            yield event

    async def _meaning(self, event: Event) -> Event:
        """Read what an event means, waiting where the system says how long it takes no more: many are read in a row."""
        for _ in range(BUSY_TRIES):
            try:
                return await self._systems.hydrate(event)
            except RetryLater as busy:
                if busy.after is None or busy.after > BUSY_AT_MOST_S:
                    raise
                await self._sleep(busy.after)
        return await self._systems.hydrate(event)


class ScheduledBackfill:
    """Asks the systems after every outage of the web endpoint, and as often as the policy says. All workers may look.

    People are told of a system that refuses to be asked.

    Args:
        backfill: asks.
        backfills: decides among the workers.
        every_hours: by system, how often it is asked; None: after outages only.
        troubles: is told of what a person must mend.
        keep_every_s: how often a backfill that takes long is taken again.
    """

    def __init__(
        self,
        backfill: Backfill,
        backfills: Backfills,
        every_hours: Mapping[str, float | None],
        troubles: Troubles,
        *,
        keep_every_s: float = HOLD_MS / 3000,
    ) -> None:
        self._backfill = backfill
        self._backfills = backfills
        self._every_hours = every_hours
        self._troubles = troubles
        self._keep_every_s = keep_every_s

    async def keep_for_ever(self) -> None:
        """Ask when it is time, until cancelled; a system that has much to tell does not keep the others waiting."""
        async with asyncio.TaskGroup() as group:
            for system in self._every_hours:
                group.create_task(self._keep_asking(system))

    async def _keep_asking(self, system: str) -> None:
        while True:
            wait_s = LOOK_EVERY_S
            try:
                await self.make_if_due(system)
            except (RetryLater, NeedsOperator, StoreUnavailable) as error:
                _log.warning("backfill not made now", system=system, error=str(error))
                wait_s = AGAIN_AFTER_S
            await asyncio.sleep(wait_s)

    async def make_if_due(self, system: str) -> Outcome | None:
        """Ask a system if it is time, and this worker's turn.

        Raises:
            RetryLater: the system cannot be asked now.
            NeedsOperator: it refuses.
            StoreUnavailable: Valkey does not answer.
        """
        due = await self._backfills.take(system, self._every_hours[system])
        if due is None:
            return None
        try:
            async with self._held(system):
                outcome = await self._backfill.make(system, due.since - OVERLAP, tell=_log.info)
        except (RetryLater, NeedsOperator) as error:
            # No other worker is to try sooner than this one.
            await self._backfills.take(system, self._every_hours[system], hold_ms=int(AGAIN_AFTER_S * 1000))
            if isinstance(error, NeedsOperator):
                await self._troubles.note(NOT_MADE, system, str(error))
            raise
        await self._backfills.done(system, due.now)
        await self._troubles.mended(NOT_MADE, system)
        _log.info(
            "backfill made",
            system=system,
            since=outcome.since.isoformat(),
            changed=outcome.changed,
            missed=[missed.id for missed in outcome.missed],
        )
        return outcome

    @asynccontextmanager
    async def _held(self, system: str) -> AsyncIterator[None]:
        """Keep other workers off for as long as it takes."""
        keeping = asyncio.create_task(self._keep(system))
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self, system: str) -> None:
        while True:
            await asyncio.sleep(self._keep_every_s)
            with suppress(StoreUnavailable):
                await self._backfills.take(system, self._every_hours[system])
