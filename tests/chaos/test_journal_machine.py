"""The journal's scripts in whatever order Hypothesis can think of, held against what must always be true of them."""

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.chaos.laboratory import HELD_CLOCK
from tests.chaos.scale import LONG
from worker.assemble.store import DOORBELL
from worker.errors import Fenced
from worker.events import Event
from worker.journal import LEASE_MS, Journal, NewRun, Release
from worker.journal.records import ENDED, Claim, StepRecord
from worker.journal.scripts import Scripts
from worker.journal.verbs import NotPossible, Operator, Verbs
from worker.store import store_client

T = TypeVar("T")

STARTED: Final = 1_795_424_400_000
JANE: Final = Operator("jane", "because")
KEYS: Final = st.sampled_from([["crm:a"], ["crm:a", "name:a"], ["name:a"]])
MOVES: Final = st.sampled_from(["claim", "claim", "receive", "intend", "checkpoint", "give back", "finish"])
STEPS: Final = st.sampled_from(["one", "two"])
RECORD: Final = StepRecord(0, 0, 1, 0, None).dump()
STANDS_FOR_ITS_FACT: Final = {"queued", "running", "waiting", "succeeded"}


@dataclass
class Known:
    """What the model knows of a run by itself: who owns it until when, and what it has done."""

    id: str
    fact: str
    occurred: int
    token: str = ""
    lease: int = 0
    holds: bool = False
    steps: set[str] = field(default_factory=set)


class JournalMachine(RuleBasedStateMachine):
    """Senders, workers, operators and time, at the journal's scripts; `url` says where Valkey is."""

    url = ""
    claims = Bundle("claims")

    @initialize(queues=st.lists(KEYS, min_size=2, max_size=4))
    def begin(self, queues: list[list[str]]) -> None:
        """Some runs are there already: Hypothesis likes to leave whole rules out."""
        self.runner = asyncio.Runner()
        self.redis = store_client(self.url, tries=1)
        self.scripts = Scripts(self.redis, DOORBELL, clock=HELD_CLOCK)
        self.journal, self.verbs = Journal(self.scripts), Verbs(self.scripts)
        self.numbers = itertools.count(1)
        self.runs: dict[str, Known] = {}
        self.given: list[Claim] = []
        self.ask("FLUSHDB")
        self.set_clock(STARTED)
        for number, keys in enumerate(queues):
            self.receive_one(keys, f"begin {number}", number % 3, 1)

    @rule(keys=KEYS, fact=st.sampled_from("abcdefgh"), minutes_ago=st.integers(0, 3), times=st.integers(1, 2))
    def receive(self, keys: list[str], fact: str, minutes_ago: int, times: int) -> None:
        """An event comes and is routed, perhaps twice."""
        self.receive_one(keys, fact, minutes_ago, times)

    def receive_one(self, keys: list[str], fact: str, minutes_ago: int, times: int) -> None:
        number = next(self.numbers)
        occurred = self.now - minutes_ago * 60_000
        event = Event(f"test:{number}", "test", "toy", datetime.fromtimestamp(occurred / 1000, UTC), {"n": number})
        run = NewRun(f"r{number:03}", "toy", 1, fact, keys, "A", occurred)
        stood_for = any(known.fact == fact and self.state(known) in STANDS_FOR_ITS_FACT for known in self.runs.values())
        for repeat in range(times):
            receipt = self.do(self.journal.ingest([event]))
            started = self.do(self.journal.route(event.id, [run], names=[f"toy {key}" for key in keys]))
            assert bool(receipt.accepted) == (repeat == 0)
            assert started == ([] if stood_for else [run.run])
        if not stood_for:
            self.runs[run.run] = Known(run.run, fact, occurred)

    @precondition(lambda self: self.runs)
    @rule(target=claims, number=st.integers(0, 20), again=st.booleans())
    def claim(self, number: int, again: bool) -> Any:
        """A worker asks for a run; its client asks once more if the answer was lost."""
        known = self.pick(number)
        may, claim_id = self.may_have(known), f"c{next(self.numbers)}"
        before = self.at_work_beside(known)
        claim = self.do(self.journal.claim(known.id, claim_id, "w"))
        if claim is None:
            assert not (may and self.is_first(known) and not before), f"{known} is free and first, and not given out"
            return multiple()
        assert may, f"{known} is given out"
        assert self.is_first(known), f"{known} is given out before its turn"
        assert not before, f"{known} is given out while {before} are at work"
        assert set(claim.steps) == known.steps
        known.token, known.lease, known.holds = claim.token, self.now + LEASE_MS, claim.holds
        self.given.append(claim)
        if again:
            repeated = self.do(self.journal.claim(known.id, claim_id, "w"))
            assert repeated
            assert repeated.token == claim.token
        return claim

    @rule(claim=claims, step=STEPS)
    def intend(self, claim: Claim, step: str) -> None:
        """A worker announces a write."""
        known = self.runs[claim.run]
        stopped = bool(self.fields(known).get("cancel"))
        first = self.is_first(known) and not self.at_work_beside(known)
        answer = "fenced"
        if self.is_done(claim, self.journal.intent(claim, step, 10_000), refused=stopped):
            answer, _ = self.answer
            assert (answer == "paused") == self.is_paused(known)
        if answer == "ok":
            assert first or known.holds, f"{known} writes before its turn"
            known.holds, known.lease = True, self.now + LEASE_MS

    @rule(claim=claims, step=STEPS)
    def checkpoint(self, claim: Claim, step: str) -> None:
        """A worker keeps a step's result."""
        if self.is_done(claim, self.journal.checkpoint(claim, step, RECORD)):
            self.runs[claim.run].steps.add(step)
            self.runs[claim.run].lease = self.now + LEASE_MS

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        """A worker holds on to its run."""
        if self.is_done(claim, self.journal.renew(claim)):
            self.runs[claim.run].lease = self.now + LEASE_MS

    @rule(claim=claims, key=st.sampled_from(["crm:a", "name:a", "halo:1"]))
    def learn(self, claim: Claim, key: str) -> None:
        """A worker learns another name of its client, and waits at once if somebody goes first there."""
        if self.is_done(claim, self.journal.join(claim, [key])) and self.answer is not None:
            self.do(self.journal.release(claim, Release("waiting", "its turn")))
            self.runs[claim.run].lease = 0

    @rule(
        claim=claims,
        wait_s=st.sampled_from([0, 3, 100, -1]),
        away=st.booleans(),
        until=st.sampled_from(["", "anything", "toy crm:a"]),
        times=st.integers(1, 2),
    )
    def give_back(self, claim: Claim, wait_s: int, away: bool, until: str, times: int) -> None:
        """A worker gives its run back, for a time or until something happens; -1 is a question to a person."""
        known, asks, expects = self.runs[claim.run], wait_s == -1, until == "anything"
        due, awaits = -1 if asks else self.now + wait_s * 1000, "" if expects else until
        release = Release("waiting", "?", due=due, step="one", away=away, expects=expects, asks=asks, awaits=awaits)
        if known.token != claim.token:
            with pytest.raises(Fenced):
                self.do(self.journal.release(claim, release))
            return
        for _ in range(times):
            self.do(self.journal.release(claim, release))
        known.lease = 0

    @rule(claim=claims, state=st.sampled_from(["succeeded", "failed"]), times=st.integers(1, 2))
    def finish(self, claim: Claim, state: Literal["succeeded", "failed"], times: int) -> None:
        """A worker ends its run."""
        known = self.runs[claim.run]
        if self.state(known) in ENDED and known.token == claim.token:
            return
        if self.is_done(claim, self.journal.finish(claim, state)):
            assert self.state(known) == state
            if times == 2:
                self.do(self.journal.finish(claim, state))
            known.lease = 0

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 20), verb=st.sampled_from(["retry", "cancel", "approve", "pause", "resume"]))
    def operate(self, number: int, verb: str) -> None:
        """A person acts on a run."""
        run = self.pick(number).id
        match verb:
            case "retry":
                self.attempt(self.verbs.retry(run, JANE))
            case "cancel":
                self.attempt(self.verbs.cancel(run, JANE))
            case "approve":
                self.attempt(self.verbs.decide(run, JANE, approved=True))
            case "pause":
                self.attempt(self.verbs.pause(f"run:{run}", JANE))
            case "resume":
                self.attempt(self.verbs.resume(f"run:{run}", JANE))

    @rule(verb=st.sampled_from(["pause", "resume"]))
    def operate_all(self, verb: str) -> None:
        """A person stops everything, or lets it go on."""
        self.attempt((self.verbs.pause if verb == "pause" else self.verbs.resume)("all", JANE))

    @rule(seconds=st.sampled_from([1, 1, 9, 120]))
    def wait(self, seconds: int) -> None:
        """Time passes; the sweep looks."""
        self.set_clock(self.now + seconds * 1000)
        due = self.ask("ZCOUNT", "ph:open", "-inf", self.now)
        assert self.do(self.journal.sweep("w")) == due

    @rule(moves=st.lists(st.tuples(MOVES, st.integers(0, 20)), min_size=4, max_size=12))
    def go_on(self, moves: list[tuple[str, int]]) -> None:
        """A busy time: the same acts in quick succession, since Hypothesis likes to leave whole rules out."""
        for move, number in moves:
            if move == "claim":
                self.claim(number, again=False)
            elif move == "receive":
                self.receive(["crm:a"], f"busy {number}", number % 4, 1)
            elif self.given:
                self.work(move, self.given[number % len(self.given)])

    def work(self, move: str, claim: Claim) -> None:
        match move:
            case "intend":
                self.intend(claim, "one")
            case "checkpoint":
                self.checkpoint(claim, "one")
            case "give back":
                self.give_back(claim, 0, away=False, until="", times=1)
            case "finish":
                self.finish(claim, "succeeded", 1)

    @invariant()
    def nothing_is_lost(self) -> None:
        """What is open will be looked at; nothing else is."""
        looked_at = {name.removeprefix("run/") for name in self.ask("ZRANGE", "ph:open", 0, -1)}
        assert looked_at == {known.id for known in self.runs.values() if self.state(known) not in ENDED}

    @invariant()
    def a_fact_has_one_run(self) -> None:
        standing = [known.fact for known in self.runs.values() if self.state(known) in STANDS_FOR_ITS_FACT]
        assert len(standing) == len(set(standing))

    @invariant()
    def every_run_is_listed_under_its_state(self) -> None:
        for known in self.runs.values():
            assert self.ask("ZSCORE", f"ph:runs:{self.state(known)}", known.id) is not None

    @invariant()
    def results_stay(self) -> None:
        for known in self.runs.values():
            assert {name[2:] for name in self.fields(known) if name.startswith("s:")} == known.steps

    def teardown(self) -> None:
        """Whatever happened: once people have decided and time passes, every run comes to an end."""
        if not hasattr(self, "runner"):
            return
        try:
            self.bring_to_an_end()
        finally:
            self.do(self.redis.aclose(close_connection_pool=True))
            self.runner.close()

    def bring_to_an_end(self) -> None:
        self.attempt(self.verbs.resume("all", JANE))
        for known in self.runs.values():
            for act in (self.verbs.resume(f"run:{known.id}", JANE), self.verbs.decide(known.id, JANE, approved=True)):
                self.attempt(act)
            if self.state(known) == "failed":
                self.attempt(self.verbs.cancel(known.id, JANE))
        for _ in range(20 * len(self.runs)):
            self.look()
        assert {self.state(known) for known in self.runs.values()} <= ENDED, "some run never ends"

    def look(self) -> None:
        """Move on to when something is to be looked at next, and answer every ring: finish what can be had."""
        first = self.ask("ZRANGE", "ph:open", 0, 0, "WITHSCORES")
        if not first:
            return
        self.set_clock(max(self.now, int(first[1])))
        due = self.ask("ZRANGEBYSCORE", "ph:open", "-inf", self.now)
        self.do(self.journal.sweep("w"))
        for name in due:
            claim = self.do(self.journal.claim(name.removeprefix("run/"), f"c{next(self.numbers)}", "w"))
            if claim is not None:
                self.do(self.journal.finish(claim, "succeeded"))

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(act)

    def ask(self, *command: str | int) -> Any:
        return self.do(self.scripts.read(*command))

    def attempt(self, act: Coroutine[Any, Any, Any]) -> None:
        """Do what may stand against the run's state."""
        try:
            self.do(act)
        except NotPossible:
            return

    def set_clock(self, now: int) -> None:
        self.now = now
        self.ask("SET", "test:now", now)

    def pick(self, number: int) -> Known:
        return list(self.runs.values())[number % len(self.runs)]

    def fields(self, known: Known) -> dict[str, str]:
        return dict(self.ask("HGETALL", f"ph:run:{known.id}"))

    def state(self, known: Known) -> str:
        return self.fields(known)["state"]

    def keys(self, known: Known) -> set[str]:
        return set(self.fields(known)["keys"].strip('[]"').split('","'))

    def is_paused(self, known: Known) -> bool:
        return bool({"all", f"run:{known.id}"} & set(self.ask("HKEYS", "ph:paused")))

    def may_have(self, known: Known) -> bool:
        """Whether a run is open, free, due and not stopped by a person."""
        run = self.fields(known)
        free = known.lease <= self.now and int(run.get("due", 0)) <= self.now
        return run["state"] not in ENDED and free and "cancel" not in run and not self.is_paused(known)

    def is_first(self, known: Known) -> bool:
        """Whether a run is the first in all of its client's queues: the one that wrote, else the earliest event."""
        queued = {name for key in self.keys(known) for name in self.ask("ZRANGE", f"ph:queue:{key}", 0, -1)}
        others = [self.runs[name] for name in queued if name != known.id]
        return all(self.place(known) < self.place(other) for other in others)

    def place(self, known: Known) -> tuple[int, str]:
        holds = "holds" in self.fields(known)
        return (0 if holds else known.occurred, known.id)

    def at_work_beside(self, known: Known) -> list[str]:
        """The other runs of the client that a worker has in its hands just now."""
        keys = self.keys(known)
        others = [other for other in self.runs.values() if other is not known and other.lease > self.now]
        return [other.id for other in others if keys & self.keys(other) and self.state(other) == "running"]

    def is_done(self, claim: Claim, act: Coroutine[Any, Any, Any], *, refused: bool = False) -> bool:
        """Do what only a run's owner may; it must be done exactly where the claim still is the owner's."""
        known = self.runs[claim.run]
        if known.token == claim.token and known.lease > self.now and not refused:
            self.answer = self.do(act)
            return True
        with pytest.raises(Fenced):
            self.do(act)
        return False


def test_the_journal_keeps_its_word_in_any_order(valkey: str) -> None:
    JournalMachine.url = valkey
    run_state_machine_as_test(
        JournalMachine,
        settings=settings(
            max_examples=1000 if LONG else 40,
            stateful_step_count=50 if LONG else 20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=not LONG,
            database=None,
        ),
    )
