"""The request budget: all workers together send at most so many requests in a rolling window.

A step reserves its requests before it sends the first one. What is reserved counts as sent until it is settled, and
what was sent counts for a whole window from then on: so the other side never sees more than the limit in any window.

A run for which there is no room is parked: without a slot, without an attempt, with its place in the client's queue.
Only a step that needs more than a whole window waits where it is, since done anew it would get no further.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from worker.journal.records import Claim
from worker.journal.scripts import Scripts
from worker.run import CALL_BUDGET_S, Guard

BULK_SHARE: Final = 0.7
"""How much of a window bulk work may take."""
URGENT_REQUESTS: Final = 60
"""A run that has sent more than this is bulk work."""
FIRST_NEED: Final = 4
"""How many requests a step reserves that has not run in this process yet."""
HOLD_SPARE_S: Final = 20.0
"""A reservation that nobody settles counts as sent when a call that began at once would have been over for so long."""
HOLD_MARGIN_S: Final = 10.0
"""A call must be over so long before its reservation lapses: a process may have stood still, a lease long at most."""
LOOK_EVERY_S: Final = 1.0
LONGEST_REFUSAL_S: Final = 3600.0
"""A ``Retry-After`` beyond this is not believed."""


class OutsideCall:
    """One outside request in flight; see `worker.run.Call`."""

    def __init__(self) -> None:
        self.known = False
        self.too_many = False
        self.again_after: float | None = None

    def settled(self) -> None:
        """Say that the outcome is known."""
        self.known = True

    def refused(self, after: float | None) -> None:
        """Say that there were too many requests."""
        self.too_many, self.again_after = True, after


@dataclass(frozen=True, slots=True)
class NoRoom:
    """Why nothing may be sent now, in words for an operator, and about when to come again (server ms)."""

    text: str
    at: int


@dataclass(slots=True)
class Hold:
    """A reservation: its name in the store, when it lapses (monotonic s), what is left of it, and what was sent."""

    name: str
    lapses: float
    left: int
    sent: int = 0

    def allows(self, budget_s: float) -> bool:
        """Whether it has a request left for a call that may take so many seconds."""
        return self.left > 0 and time.monotonic() + budget_s <= self.lapses - HOLD_MARGIN_S


@dataclass(frozen=True, slots=True)
class BudgetState:
    """The budget as it is now.

    Attributes:
        limit: requests in a window; 0 while nothing was ever asked for.
        window_s: the window's length in seconds.
        spent: requests sent within the window.
        held: requests reserved by steps under way.
        waiting: how many wait for room.
        refused: how many answers were 429 so far.
        observed: how many requests at most were ours in the window at the last 429; None: there was none.
        refused_at: when that was (server ms).
        closed_until: until when nothing may be sent (server ms); 0: it was never closed.
    """

    limit: int
    window_s: float
    spent: int
    held: int
    waiting: int
    refused: int
    observed: int | None
    refused_at: int
    closed_until: int


class Budget:
    """The budget, as this process asks for it.

    Args:
        scripts: where it is kept.
        requests: how many may be sent in a window.
        window_s: the window's length in seconds.

    Raises (every method that asks):
        StoreUnavailable: Valkey did not answer.
    """

    def __init__(self, scripts: Scripts, *, requests: int = 250, window_s: float = 300.0) -> None:
        self._scripts = scripts
        self._requests = requests
        self._window_s = window_s
        self._needs: dict[str, int] = {}

    def guard(self, *, bulk: bool) -> Guard:
        """Give work without a run what stands before its requests."""
        return WaitingGuard(self, bulk=bulk)

    def capacity(self, *, bulk: bool) -> int:
        """Tell how many requests urgent or bulk work may send in a window."""
        return max(1, int(self._requests * BULK_SHARE)) if bulk else self._requests

    def need(self, kind: str) -> int:
        """Tell how many requests a step of this kind needed when it last ran here."""
        return self._needs.get(kind, FIRST_NEED)

    def learn(self, kind: str, need: int) -> None:
        """Remember how many requests a step of this kind needs."""
        self._needs[kind] = need

    async def reserve(
        self,
        number: int,
        *,
        bulk: bool,
        waiter: str,
        since: int,
        again: int | None = None,
        budget_s: float = CALL_BUDGET_S,
    ) -> Hold | NoRoom:
        """Reserve requests.

        Args:
            number: how many.
            bulk: whether they are bulk work.
            waiter: who asks: a run's id, or another name.
            since: when its work began (ms): who began earlier goes first.
            again: how many it will ask for if it must come again; None: as many.
            budget_s: the seconds that a call may take.
        """
        name, lasts_s = uuid4().hex, budget_s + HOLD_SPARE_S
        lapses = time.monotonic() + lasts_s
        limits = (self._requests, self.capacity(bulk=True), int(self._window_s * 1000), int(lasts_s * 1000))
        whom = (number if again is None else again, int(bulk), waiter, since)
        answer, *at = await self._scripts.call("reserve_requests", name, number, *whom, *limits)
        if answer == "granted":
            return Hold(f"{name} {number} {int(bulk)}", lapses, number)
        return self._closed(at[0]) if answer == "closed" else self._used_up(at[0], bulk=bulk)

    async def settle(self, holds: Sequence[Hold], *, run: str = "") -> None:
        """Say what was sent of reservations; the rest is free again."""
        if holds:
            await self._scripts.call(
                "settle_requests", run, *(part for hold in holds for part in (hold.name, hold.sent))
            )

    async def close(self, after: float | None) -> NoRoom:
        """Let nobody send for a while, since the other side answered 429.

        Args:
            after: how many seconds it asked to wait; None: it did not say.
        """
        told_ms = -1 if after is None else int(min(after, LONGEST_REFUSAL_S) * 1000)
        return self._closed(await self._scripts.call("close_budget", told_ms))

    async def observed(self) -> int | None:
        """Tell how many requests at most were ours in the window when the other side last answered 429; None: never."""
        return (await self.state()).observed

    async def state(self) -> BudgetState:
        """Read the budget."""
        flat, waiting = await self._scripts.call("read_budget")
        found = {name: int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
        return BudgetState(
            limit=found.get("limit", 0),
            window_s=found.get("window", 0) / 1000,
            spent=found.get("spent", 0),
            held=found.get("held", 0),
            waiting=waiting,
            refused=found.get("refused", 0),
            observed=found.get("observed"),
            refused_at=found.get("refused_at", 0),
            closed_until=found.get("closed_until", 0),
        )

    def _used_up(self, at: int, *, bulk: bool) -> NoRoom:
        whose = " for bulk work" if bulk else ""
        text = f"{self.capacity(bulk=bulk)} requests in {self._window_s:g} s{whose} are used up; room again about"
        return NoRoom(f"the request budget: {text} {_clock(at)}", at)

    def _closed(self, at: int) -> NoRoom:
        text = "too many requests were answered with 429; closed for all until about"
        return NoRoom(f"the request budget: {text} {_clock(at)}", at)


class Permits:
    """What one claim of a run reserves and sends, step by step.

    Args:
        budget: where it reserves.
        claim: the run.
    """

    def __init__(self, budget: Budget, claim: Claim) -> None:
        self._budget = budget
        self._claim = claim
        self._again = claim.need
        self._sent = claim.requests
        self._sent_in_step = 0
        self._holds: list[Hold] = []
        self._one_asks = asyncio.Lock()

    @property
    def sent(self) -> list[tuple[str, int]]:
        """The reservations that are not settled, with how many requests were sent of each."""
        return [(hold.name, hold.sent) for hold in self._holds]

    @property
    def beyond_a_window(self) -> bool:
        """Whether the current step has sent as much as ever fits into a window: done anew, it would get no further."""
        return self._sent_in_step >= self._capacity

    async def take(self, step: str, budget_s: float) -> NoRoom | None:
        """Take one request; None where it may be sent at once.

        Args:
            step: which step sends it.
            budget_s: the seconds that it may take.
        """
        async with self._one_asks:
            hold = next((hold for hold in self._holds if hold.allows(budget_s)), None)
            if hold is None:
                answer = await self._reserve(self._kind(step), budget_s)
                if isinstance(answer, NoRoom):
                    return answer
                hold = answer
                self._holds.append(hold)
            hold.left -= 1
            hold.sent += 1
            self._sent += 1
            self._sent_in_step += 1
            return None

    async def settle(self) -> None:
        """Give back what was not sent."""
        holds, self._holds = self._holds, []
        await self._budget.settle(holds, run=self._claim.run)

    def step_done(self, step: str) -> None:
        """Take note that a step is done, and that its reservations are settled with it."""
        if self._sent_in_step:
            self._budget.learn(self._kind(step), self._sent_in_step)
        self._holds, self._sent_in_step = [], 0

    async def close(self, after: float | None) -> NoRoom:
        """Close the budget; see `Budget.close`."""
        return await self._budget.close(after)

    @property
    def _bulk(self) -> bool:
        return self._sent >= URGENT_REQUESTS

    @property
    def _capacity(self) -> int:
        return self._budget.capacity(bulk=self._bulk)

    def _kind(self, step: str) -> str:
        return f"{self._claim.workflow} {step.partition(':')[0]}"

    async def _reserve(self, kind: str, budget_s: float) -> Hold | NoRoom:
        if not self._sent_in_step:
            number = again = min(max(self._budget.need(kind), self._again), self._capacity)
        elif self.beyond_a_window:
            number = again = 1
        else:  # more than foreseen: if there is no room, the step is done anew with twice as many
            number, again = 1, min(self._sent_in_step * 2, self._capacity)
        answer = await self._budget.reserve(
            number,
            again=again,
            bulk=self._bulk,
            waiter=self._claim.run,
            since=self._claim.started,
            budget_s=budget_s,
        )
        if isinstance(answer, Hold):
            self._again = 0
        return answer


class WaitingGuard:
    """Stands before the requests of work without a run: each waits in place until there is room for it.

    Args:
        budget: where requests are taken from; None = without limit.
        bulk: whether it is bulk work.
    """

    in_doubt: Final = False

    def __init__(self, budget: Budget | None, *, bulk: bool) -> None:
        self._budget = budget
        self._bulk = bulk
        self._name = f"without a run {uuid4().hex}"
        self._since = int(time.time() * 1000)

    @asynccontextmanager
    async def call(
        self,
        what: str,  # noqa: ARG002 - nothing is said about it here
        *,
        write: bool,  # noqa: ARG002 - work without a run keeps no intents
        budget_s: float = CALL_BUDGET_S,
        limited: bool = True,
    ) -> AsyncIterator[OutsideCall]:
        """Guard one outside request; see `worker.run.Guard.call`.

        Raises:
            StoreUnavailable: the budget could not be asked.
        """
        call = OutsideCall()
        if self._budget is None or not limited:
            async with asyncio.timeout(budget_s):
                yield call
            return
        hold = await self._room(self._budget, budget_s)
        hold.sent = 1
        try:
            async with asyncio.timeout(budget_s):
                yield call
        finally:
            await self._budget.settle([hold])
            if call.too_many:
                await self._budget.close(call.again_after)

    async def _room(self, budget: Budget, budget_s: float) -> Hold:
        while True:
            answer = await budget.reserve(1, bulk=self._bulk, waiter=self._name, since=self._since, budget_s=budget_s)
            if isinstance(answer, Hold):
                return answer
            # The server's clock says when; asking again now and then needs no second clock.
            await asyncio.sleep(LOOK_EVERY_S)


def _clock(ms: Any) -> str:
    return f"{datetime.fromtimestamp(int(ms) / 1000, UTC):%H:%M:%S} UTC"
