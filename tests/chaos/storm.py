"""A storm over real processes: workers, the web and Valkey are killed, stopped and restarted under load.

`python -m tests.chaos.storm` lets it blow for CHAOS_SECONDS with CHAOS_SEED and tells what was killed, lost, doubled.
"""

import asyncio
import contextlib
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, Final

import httpx

from tests.chaos.scale import SECONDS, SEED
from tests.chaos.supervised import Supervised, Valkey, port_out_of_the_way
from tests.chaos.tenants import churned, count_standing, deal_won
from tests.integration.processes import PARHELION, SECRET, Halo, look_alike, until
from webhooks.signatures import sign_standard
from worker.assemble.store import Store, open_store
from worker.events import Event

WORKERS: Final = 3
CALMS_WITHIN_S: Final = 300
NOTES: Final = ("Onboarded", "Leaving;", "What", "Wound")
"""The first words of the notes in their order: the onboarding's report, the leaving, what it changes, its report."""
WHOLE: Final = Counter({"clients": 1, "sites": 2, "contacts": 2, "contracts": 1, "assets": 1}) + Counter(NOTES)
"""What stands for a client that was onboarded and wound down once each."""


@dataclass
class Verdict:
    """What a storm did, and what it broke."""

    seed: int
    mischief: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    runs: int = 0
    taken_over: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    deserted: list[str] = field(default_factory=list)
    overlapped: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.deserted or self.overlapped)

    def __str__(self) -> str:
        done = ", ".join(f"{number} x {what}" for what, number in sorted(self.mischief.items()))
        return (
            f"chaos: seed {self.seed}; {done}; {self.acknowledged} deliveries acknowledged, {self.runs} runs, "
            f"{self.taken_over} taken over; lost {len(self.lost)}, doubled {len(self.doubled)}, "
            f"overlapped {len(self.overlapped)}, exited unasked {len(self.deserted)}"
        )

    def complaints(self) -> str:
        return "\n".join([str(self), *self.lost, *self.doubled, *self.overlapped, *self.deserted])


@dataclass(frozen=True)
class Harm:
    """One kind of harm, and to whom it is done."""

    what: str
    to: Sequence[Supervised]
    do: Callable[[Supervised], Awaitable[None]]


async def do_harm(harm: Harm, victim: Supervised) -> None:
    """Do one harm to a process that nobody else harms meanwhile."""
    victim.harmed = True
    try:
        await harm.do(victim)
    finally:
        victim.harmed = False


class Storm:
    """The processes under fire.

    Args:
        folder: where Valkey's files and the logs go.
        halo: the look-alike.
        seed: for everything that is left to chance.
    """

    def __init__(self, folder: Path, halo: Halo, seed: int) -> None:
        self._random = random.Random(seed)
        self._halo = halo
        self._acknowledged: set[str] = set()
        self.verdict = Verdict(seed)
        self.valkey = Valkey(folder, self.verdict.deserted)
        web_port = port_out_of_the_way()
        self._web_url = f"http://127.0.0.1:{web_port}"
        env = {
            "PARHELION_REDIS_URL": self.valkey.url,
            "PARHELION_WEB_BIND": f"127.0.0.1:{web_port}",
            "PARHELION_HALO_URL": halo.url,
            "PARHELION_HALO_CLIENT_ID": "parhelion",
            "PARHELION_HALO_CLIENT_SECRET": "sandbox-secret",
            "PARHELION_HALO_BUDGET_REQUESTS": "1000000",
            "PARHELION_WEBHOOK_SECRET_STANDARD": SECRET,
            "PARHELION_LOG_FORMAT": "json",
        }

        def supervised(name: str, role: str) -> Supervised:
            return Supervised(name, (*PARHELION, role), folder, self.verdict.deserted, env)

        self.web = supervised("web", "web")
        self.workers = [supervised(f"worker-{n}", "worker") for n in range(WORKERS)]

        self._kinds = [
            Harm("worker killed", self.workers, lambda worker: worker.restart(SIGKILL, self._up_to(1))),
            Harm("worker stopped past its lease", self.workers, lambda worker: worker.freeze(9 + self._up_to(5))),
            Harm("worker terminated", self.workers, lambda worker: worker.restart(SIGTERM, 0)),
            Harm("web killed", [self.web], lambda web: web.restart(SIGKILL, self._up_to(1))),
            Harm("valkey killed", [self.valkey], lambda valkey: valkey.restart(SIGKILL, self._up_to(2))),
            Harm("valkey frozen", [self.valkey], lambda valkey: valkey.freeze(6)),
        ]

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        """Everything runs, and is ended hard at the end."""
        everything = [self.valkey, self.web, *self.workers]
        try:
            await self.valkey.start()
            await asyncio.gather(*(process.start() for process in everything[1:]))
            yield
        finally:
            await asyncio.gather(*(process.end(SIGKILL) for process in everything))

    async def blow(self, seconds: float) -> None:
        """Do harm for so long, each kind at least once; processes that were killed are up again at the end."""
        due = self._random.sample(self._kinds, len(self._kinds))
        end = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as harms:
            while due or asyncio.get_running_loop().time() < end:
                harm = due.pop() if due else self._random.choice(self._kinds)
                unharmed = [process for process in harm.to if not process.harmed]
                if unharmed:
                    self.verdict.mischief[harm.what] += 1
                    harms.create_task(do_harm(harm, self._random.choice(unharmed)))
                elif harm.what not in self.verdict.mischief:
                    due.insert(0, harm)
                await asyncio.sleep(self._random.uniform(0.3, 1.5))

    async def send(self, events: list[Event], within: float) -> None:
        """Send each event three times at moments of chance within so many seconds, each time until it gets its 202."""
        deliveries = [event for event in events for _ in range(3)]
        async with httpx.AsyncClient(timeout=10) as client, asyncio.TaskGroup() as senders:
            for event in deliveries:
                senders.create_task(self._deliver(client, event, self._random.uniform(0, within)))

    async def judge(self, numbers: range) -> Verdict:
        """Wait until all is calm, and hold what stands against what was acknowledged."""
        async with open_store(self.valkey.url) as store:
            with contextlib.suppress(TimeoutError):
                await until(lambda: self._calm(store), within=CALMS_WITHIN_S)
            await self._find_lost(store)
            await self._find_doubled(numbers)
        return self.verdict

    def _up_to(self, seconds: float) -> float:
        return self._random.uniform(0, seconds)

    async def _deliver(self, client: httpx.AsyncClient, event: Event, delay: float) -> None:
        await asyncio.sleep(delay)
        body = event.dump().encode()
        while True:
            headers = sign_standard(SECRET, event.id.partition(":")[2], datetime.now(UTC), body)
            with contextlib.suppress(httpx.HTTPError):
                answer = await client.post(
                    f"{self._web_url}/webhooks/standard",
                    content=body,
                    headers={**headers, "content-type": "application/json"},
                )
                if answer.status_code == httpx.codes.ACCEPTED:
                    told = answer.json()
                    self._acknowledged.update(told["accepted"], told["duplicates"])
                    self.verdict.acknowledged += 1
                    return
            await asyncio.sleep(0.3)

    async def _calm(self, store: Store) -> bool:
        counts = await store.reader.counts()
        events = await store.reader.events()
        return not (counts["queued"] + counts["running"] + counts["waiting"]) and all(
            event["state"] != "received" for _, event in events
        )

    async def _find_lost(self, store: Store) -> None:
        events = dict(await store.reader.events())
        runs = {run.id: run for run in await store.reader.runs()}
        self.verdict.runs = len(runs)
        self.verdict.taken_over = sum(int(run.fields.get("interruptions", "0")) for run in runs.values())
        started = {run.fields["event"] for run in runs.values()}
        for event_id in sorted(self._acknowledged):
            if event_id not in started and "repeats" not in events.get(event_id, {}):
                self.verdict.lost.append(f"lost: {event_id} got 202 and has no run")
        for run in runs.values():
            if run.state != "succeeded":
                self.verdict.lost.append(f"not at its end: {run.summary()}")

    async def _find_doubled(self, numbers: range) -> None:
        state = await self._halo.state()
        for number in numbers:
            standing = count_standing(state, number)
            if standing != WHOLE:
                surplus, missing = dict(standing - WHOLE), dict(WHOLE - standing)
                self.verdict.doubled.append(f"client {number}: {surplus} too many, {missing} missing")
            if (order := notes_of(state, number)) != list(NOTES):
                self.verdict.overlapped.append(f"client {number}: {order}")


def notes_of(state: dict[str, list[dict[str, Any]]], number: int) -> list[str]:
    """The first words of a client's notes in the order in which HaloPSA got them."""
    clients = {int(row["id"]) for row in state["Client"] if row["name"] == f"Client {number}"}
    notes = sorted(
        (row for row in state["CRMNote"] if int(row["client_id"]) in clients), key=lambda row: int(row["id"])
    )
    return [str(row["note"]).split(maxsplit=1)[0] for row in notes]


async def storm(folder: Path, *, seconds: float, seed: int) -> Verdict:
    """Onboard clients and wind them down under fire for so many seconds; then see what stands."""
    numbers = range(1, max(8, int(seconds)) + 1)
    now = datetime.now(UTC)
    events = [
        event
        for number in numbers
        for event in (
            deal_won(number, at=now - timedelta(days=9)),
            deal_won(number, at=now - timedelta(days=9), delivery="repeated"),
            churned(number, at=now - timedelta(days=8), leaves=timedelta(days=2)),
        )
    ]
    async with look_alike() as halo:
        await halo.faults(latency_ms=100, lose_answers=0.01, fail_before=0.01, seed=seed)
        weather = Storm(folder, halo, seed)
        async with weather.up():
            async with asyncio.TaskGroup() as together:
                together.create_task(weather.blow(seconds))
                together.create_task(weather.send(events, seconds * 0.9))
            return await weather.judge(numbers)


def main() -> int:
    """Let it blow and tell; the exit code says whether all promises were kept."""
    sys.stdout.write(f"chaos: {SECONDS:.0f} s with seed {SEED}\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as folder:
        verdict = asyncio.run(storm(Path(folder), seconds=SECONDS, seed=SEED))
    sys.stdout.write(f"{verdict if verdict.clean else verdict.complaints()}\n")
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
