"""The examination that the policy asks for every day or week."""

import asyncio
import contextlib
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final, Protocol

from worker.errors import NeedsOperator, RetryLater, StoreUnavailable
from worker.run import Guard
from workflows.data_quality.examination import examine
from workflows.data_quality.finding import Finding, WonDeal
from workflows.data_quality.tape import TapeInUse
from workflows.halopsa import HaloConnection
from workflows.policy import Policy
from workflows.policy.quality import DataQuality

LOOK_EVERY_S: Final = 60.0
RENEW_EVERY_S: Final = 20.0
AGAIN_AFTER_S: Final = 900.0
RESULTS_KEPT: Final = 60

Pause = Callable[[float], Awaitable[None]]
Tell = Callable[[str], None]
Won = Callable[[], Awaitable[Sequence[WonDeal]]]


class Turn(Protocol):
    """Which of all workers makes the examination of a day."""

    async def take(self, day: str) -> bool:
        """Take it, or keep it, for a minute at least; says whether it is this worker's and still to be made."""

    async def done(self, day: str, counts: Mapping[str, int]) -> None:
        """Say that it is made, and how many findings of which kind there are: nobody takes it again."""


class ScheduledExamination:
    """Examines a tenant's data whenever the policy says so; what was missed while no worker ran is made up for once.

    Args:
        connection: the way to HaloPSA.
        guard: stands before the requests, as bulk work.
        policy: the MSP's business rules.
        folder: gets a file of findings (JSON) for each day, and keeps what was read of an examination under way.
        turn: decides among the workers.
        clock: tells the time, with its zone.
        tell: is told of progress, and of what keeps it from being made.
        won: asks the CRMs for won deals; None: there are none to be asked.
        pause: waits for so many seconds.
    """

    def __init__(
        self,
        connection: HaloConnection,
        guard: Guard,
        policy: Policy,
        *,
        folder: Path,
        turn: Turn,
        clock: Callable[[], datetime],
        tell: Tell,
        won: Won | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._connection = connection
        self._guard = guard
        self._policy = policy
        self._folder = folder
        self._turn = turn
        self._clock = clock
        self._tell = tell
        self._won = won
        self._pause = pause

    async def keep_for_ever(self) -> None:
        """Examine when it is time, until cancelled."""
        while True:
            try:
                await self.examine_if_due()
                wait_s = LOOK_EVERY_S
            except (RetryLater, NeedsOperator, StoreUnavailable, TapeInUse, OSError) as error:
                self._tell(f"not made now: {error}")
                wait_s = AGAIN_AFTER_S
            await self._pause(wait_s)

    async def examine_if_due(self) -> None:
        """Make the latest examination that is due, if it is not made yet.

        Raises:
            HaloUnavailable: HaloPSA cannot be asked for a long time.
            NeedsOperator: HaloPSA does not let its clients be read.
            StoreUnavailable: the store cannot be asked.
            TapeInUse: a command is at it.
            OSError: the folder cannot be written.
        """
        due = last_due(self._policy.data_quality, self._policy.zone, self._clock())
        if due is None or not await self._turn.take(day := due.date().isoformat()):
            return
        findings = await self._examine(day)
        await asyncio.to_thread(_write, self._folder, day, findings)
        await self._turn.done(day, Counter(finding.kind for finding in findings))

    async def _examine(self, day: str) -> list[Finding]:
        keeper = asyncio.create_task(self._keep_turn(day))
        try:
            return await examine(
                self._connection,
                self._guard,
                self._policy,
                tape=self._folder / "reading.jsonl",
                now=self._clock(),
                won_deals=await self._won() if self._won else (),
                tell=self._tell,
                pause=self._pause,
            )
        finally:
            keeper.cancel()

    async def _keep_turn(self, day: str) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            with contextlib.suppress(StoreUnavailable):
                await self._turn.take(day)


def last_due(schedule: DataQuality, zone: tzinfo, now: datetime) -> datetime | None:
    """Return when an examination was last due; None where there is no schedule.

    Args:
        schedule: the policy's.
        zone: where its time of day is meant.
        now: an aware time.
    """
    if schedule.every == "never":
        return None
    local = now.astimezone(zone)
    day = local.date() if local.time() >= schedule.at else local.date() - timedelta(days=1)
    if schedule.every == "week":
        day -= timedelta(days=day.weekday())
    return datetime.combine(day, schedule.at, zone)


def _write(folder: Path, day: str, findings: Sequence[Finding]) -> None:
    """Write the findings of a day, whole or not at all, and delete those of long ago."""
    text = json.dumps([finding.model_dump(mode="json") for finding in findings], indent=2, ensure_ascii=False)
    written = folder / f"{day}.tmp"
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    written.replace(folder / f"{day}.json")
    for old in sorted(folder.glob("????-??-??.json"))[:-RESULTS_KEPT]:
        old.unlink()
