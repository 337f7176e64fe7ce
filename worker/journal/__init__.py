"""The journal: the one truth about events and runs, kept in Valkey.

Every transition is one Lua script (the ``*.lua`` files beside this one), atomic and safe to repeat, since the client
repeats a command whose answer was lost. A run's owner is told by its token; time is the server's.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice
from types import MappingProxyType
from typing import Final

from worker.errors import Fenced
from worker.events import Event
from worker.journal.records import Claim, Failure, RunState, pack_body, read_claim, shorten
from worker.journal.scripts import Scripts

LEASE_MS: Final = 8000
"""How long a worker owns a run after each transition."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the inbox did with a delivery's events, by their ids."""

    accepted: list[str]
    duplicates: list[str]


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that an event is to start, unless its fact has one already."""

    run: str
    workflow: str
    version: int
    fact: str
    keys: Sequence[str]
    client: str
    occurred: int


@dataclass(frozen=True, slots=True)
class Release:
    """Why and until when a worker gives a run back.

    Attributes:
        due: server ms; 0 = now, -1 = not by itself.
        settled: steps whose writes were answered.
        forget: steps to be done anew.
        away: gives its place in the client's queue back too.
        expects: goes on early if anything happens to the client,
        expected: or to clients of these names.
        asks: a person must decide about the step.
        overdue: nobody has decided in time; say so.
        awaits: the name of an event that lets it go on.
    """

    state: RunState
    waiting: str
    due: int = 0
    step: str = ""
    failure: str = ""
    attempt: int = 0
    settled: Sequence[str] = ()
    forget: Sequence[str] = ()
    away: bool = False
    history: str = ""
    actor: str = ""
    expects: bool = False
    expected: Sequence[str] = ()
    asks: bool = False
    overdue: bool = False
    awaits: str = ""

    def dump(self) -> str:
        """Write the request as the release script reads it."""
        names = (*self.__slots__,)
        values = {name: getattr(self, name) for name in names} | {"waiting": shorten(self.waiting)}
        return json.dumps({k: list(v) if isinstance(v, tuple) else v for k, v in values.items()})


class Journal:
    """The transitions.

    Args:
        scripts: the connection to Valkey.
        lease_ms: how long a claim lasts without a sign of life.

    Raises (every method):
        StoreUnavailable: Valkey did not answer or refused; nothing was stored.
    """

    def __init__(self, scripts: Scripts, *, lease_ms: int = LEASE_MS) -> None:
        self._scripts = scripts
        self.lease_ms = lease_ms

    async def ingest(self, events: Sequence[Event]) -> Receipt:
        """Store a delivery's events, each once, and ring for each; all or nothing."""
        return (await self.ingest_all([events]))[0]

    async def ingest_all(self, deliveries: Sequence[Sequence[Event]]) -> list[Receipt]:
        """Store the events of several deliveries in one go, all or nothing; returns a receipt for each delivery."""
        argv: list[str | int] = []
        for event in chain.from_iterable(deliveries):
            body = event.dump()
            digest = hashlib.sha256(body.encode()).hexdigest()
            argv += [event.id, digest, event.source, event.type, _ms(event.occurred_at), pack_body(body)]
        answers = iter(await self._scripts.call("ingest", *argv))
        return [_receipt(list(islice(answers, len(events)))) for events in deliveries]

    async def route(
        self, event_id: str, runs: Sequence[NewRun], *, names: Sequence[str] = (), body: str = "", reason: str = ""
    ) -> list[str]:
        """Start an event's runs and wake those that await it under one of its names, or close it as ignored.

        Returns:
            The ids of its runs, at a repeat too.
        """
        routes = [{name: getattr(run, name) for name in run.__slots__} for run in runs]
        return list(
            await self._scripts.call(
                "route", event_id, pack_body(body), reason, json.dumps(routes), json.dumps(list(names))
            )
        )

    async def postpone(self, event_id: str, *, error: str, due: int | None) -> None:
        """Put a received event off until `due` (server ms), or fail it (None)."""
        await self._scripts.call(
            "postpone", event_id, "failed" if due is None else "received", due or 0, shorten(error)
        )

    async def claim(self, run_id: str, claim_id: str, worker: str, *, rules: str = "") -> Claim | None:
        """Take a run; None where it is ended, owned, not due or not first in its client's queue.

        Args:
            run_id: the run.
            claim_id: tells this claim from others.
            worker: who takes it.
            rules: the rules for a run that begins now, as text; a run keeps those that it began with.
        """
        digest = _digest(rules)
        argv = (run_id, claim_id, self.lease_ms, worker, digest)
        answer = await self._scripts.call("claim", *argv)
        if answer[0] == "rules":
            await self._scripts.call("keep_rules", digest, rules)
            answer = await self._scripts.call("claim", *argv)
        if answer[0] != "claimed":
            return None
        _, now, run, event, recorded = answer
        return read_claim(run_id, now, _pairs(run), _pairs(event), rules=recorded or rules)

    async def intent(self, claim: Claim, step: str, budget_ms: int) -> tuple[str, str]:
        """Announce a write.

        Returns:
            ("ok", ""), ("paused", "") or ("behind", the id of the run that goes first now).

        Raises:
            Fenced: the run is not ours any more.
        """
        answer, *more = await self._scripts.call("intent", claim.run, claim.token, step, budget_ms, self.lease_ms)
        return _owned(answer), (more or [""])[0]

    async def checkpoint(
        self,
        claim: Claim,
        step: str,
        record: str,
        *,
        history: str = "",
        actor: str = "",
        sent: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Keep a step's result, and perhaps say something in the run's history.

        Args:
            claim: whose step it is.
            step: its id.
            record: its result and times, as `StepRecord.dump` writes them.
            history: what to say there; "" = nothing.
            actor: who says it.
            sent: the step's reservations in the request budget, with how many requests were sent of each.

        Raises:
            Fenced: the run is not ours any more.
        """
        argv = (claim.run, claim.token, step, record, self.lease_ms, shorten(history), actor)
        _owned(await self._scripts.call("checkpoint", *argv, *(part for hold in sent for part in hold)))

    async def halt(self, claim: Claim, step: str, workflow: str, fact: str, reason: str) -> str:
        """Stop the run of a fact that does not hold any more; see `worker.run.Run.halt`.

        Raises:
            Fenced: the run is not ours any more.
        """
        answer, *more = await self._scripts.call("halt", claim.run, claim.token, step, workflow, fact, shorten(reason))
        return _owned(answer) and str(more[0])

    async def supersede(self, claim: Claim, step: str, reason: str, workflow: str = "") -> list[str]:
        """End the client's earlier runs of a workflow; see `worker.run.Run.supersede`.

        Raises:
            Fenced: the run is not ours any more.
        """
        answer, *more = await self._scripts.call("supersede", claim.run, claim.token, step, shorten(reason), workflow)
        return list(json.loads(more[0])) if _owned(answer) else []

    async def free_fact(self, claim: Claim) -> None:
        """Let the run's business fact start another run.

        Raises:
            Fenced: the run is not ours any more.
        """
        _owned(await self._scripts.call("free_fact", claim.run, claim.token))

    async def renew(self, claim: Claim) -> None:
        """Extend the lease.

        Raises:
            Fenced: the run is not ours any more.
        """
        _owned(await self._scripts.call("renew", claim.run, claim.token, self.lease_ms))

    async def join(self, claim: Claim, keys: Sequence[str]) -> str | None:
        """Enter further queues; returns the run that goes first there, if there is one.

        Raises:
            Fenced: the run is not ours any more.
        """
        answer = _owned(await self._scripts.call("join", claim.run, claim.token, json.dumps(list(keys))))
        return None if answer == "ok" else answer

    async def release(self, claim: Claim, release: Release) -> None:
        """Give the run back.

        Raises:
            Fenced: the run is not ours any more.
        """
        _owned(await self._scripts.call("release", claim.run, claim.token, release.dump()))

    async def finish(
        self,
        claim: Claim,
        state: RunState,
        *,
        result: str = "",
        error: str = "",
        failures: Mapping[str, Failure] = MappingProxyType({}),
    ) -> None:
        """End the run; `failures` says which steps failed, the first of them being where the run stands.

        Raises:
            Fenced: the run is not ours any more.
        """
        failed = [part for step, failure in failures.items() for part in (step, failure.dump())]
        _owned(await self._scripts.call("finish", claim.run, claim.token, state, result, shorten(error), *failed))

    async def rehydrated(self, claim: Claim, body: str) -> None:
        """Keep the completed event of a run that was retried."""
        await self._scripts.read("HSET", f"ph:event:{claim.event.id}", "body", pack_body(body))
        await self._scripts.read("HDEL", f"ph:run:{claim.run}", "rehydrate")

    async def sweep(self, worker: str, *, limit: int = 200, again_ms: int = 5000) -> int:
        """Ring again for what is due and quiet, and show that `worker` lives; returns the number of rings."""
        return int(await self._scripts.call("sweep", limit, again_ms, worker))


def _receipt(answers: Sequence[tuple[int, str]]) -> Receipt:
    return Receipt([name for new, name in answers if new], [name for new, name in answers if not new])


def _owned(answer: str) -> str:
    if answer == "fenced":
        raise Fenced
    return answer


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


@lru_cache(maxsize=8)
def _digest(rules: str) -> str:
    return hashlib.sha256(rules.encode()).hexdigest() if rules else ""


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
