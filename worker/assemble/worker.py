"""A worker process."""

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from worker.assemble.checks import policy_of
from worker.assemble.chores import Chore, open_chores
from worker.assemble.crms import Completion, hydration_of
from worker.assemble.halo import halo_connection, rmm_webhook
from worker.assemble.inbox import inbox_of
from worker.assemble.store import budget_of, durability_of, open_store
from worker.durability import Durability
from worker.engine import Engine
from worker.inbox import Inbox
from worker.jobs import DoorbellWorker
from worker.planning import Planner
from worker.settings import Settings
from worker.store import PATIENT_TRIES
from worker.sweep import sweep_for_ever
from workflows.msp import Msp, msp_for_run
from workflows.registry import WORKFLOWS


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What makes up a worker process.

    Attributes:
        chores: what runs for as long as the process does.
    """

    name: str
    durability: Durability
    engine: Engine[Msp]
    doorbells: DoorbellWorker
    chores: Sequence[Chore]


@asynccontextmanager
async def open_worker(settings: Settings, url: str) -> AsyncIterator[WorkerParts]:
    """Put a worker together, and take it apart at the end."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    policy = policy_of(settings)
    halo = halo_connection(settings, policy)
    rmm = rmm_webhook(settings)
    async with open_store(url, tries=PATIENT_TRIES) as store:
        budget = budget_of(settings, store)
        connect = partial(hydration_of, settings, policy, halo.for_run(budget.guard(bulk=False)))
        completion = Completion(store.upkeep.first_start, connect)
        engine = Engine(
            store.journal,
            WORKFLOWS,
            msp_for_run(halo, completion, rmm),
            worker=name,
            hydrate=completion.hydrate,
            rules=policy.model_dump_json(),
            planner=Planner(halo, policy).of_new_run,
            budget=budget,
        )
        inbox = inbox_of(store, hydrate=completion.hydrate)
        doorbells = DoorbellWorker(url, partial(_answer, inbox, engine), slots=settings.worker_slots)
        working: list[Chore] = [doorbells.run, engine.keep_leases, partial(sweep_for_ever, store.journal, name)]
        try:
            async with open_chores(settings, policy, store, halo, name) as chores:
                parts = [*working, *chores]
                yield WorkerParts(name, durability_of(settings, store), engine, doorbells, parts)
        finally:
            await doorbells.close()
            await completion.aclose()
            if rmm:
                await rmm.aclose()
            await halo.aclose()


async def _answer(inbox: Inbox, engine: Engine[Msp], subject: str) -> None:
    """Work on what a doorbell names: an event's runs, or a run."""
    kind, _, identity = subject.partition("/")
    runs: Sequence[str] = await inbox.route(identity) if kind == "event" else [identity]
    for run in runs:
        await engine.advance(run)
