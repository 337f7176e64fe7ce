"""The composition root: the one place where engine, workflows and sources meet."""

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import httpx
import structlog
from pydantic import SecretStr
from starlette.applications import Starlette

from webhooks.app import webhook_app
from webhooks.door import TAKEN
from webhooks.edge import Edge
from webhooks.refused import Refused
from webhooks.signatures import sign_standard, standard_key_problem
from webhooks.sources import secret_problem
from worker import metrics
from worker.alerts import AlertSender
from worker.backfill import Backfill, ScheduledBackfill
from worker.budget import Budget, WaitingGuard
from worker.crm_connections import Completion, connected_systems, half_connected, hydration_of, won_lately
from worker.durability import Durability
from worker.engine import Engine
from worker.events import Event
from worker.exposition import exposition
from worker.inbox import Check, Hydrate, Inbox
from worker.jobs import DoorbellWorker, encode_doorbell
from worker.journal import Journal
from worker.journal.backfills import Backfills
from worker.journal.examinations import Examinations
from worker.journal.heard import Heard
from worker.journal.reading import Reader
from worker.journal.refused import RefusedDeliveries
from worker.journal.scripts import Scripts
from worker.journal.upkeep import Upkeep
from worker.journal.verbs import Verbs
from worker.planning import Planner
from worker.retention import Retention
from worker.settings import PREFIX, WEBHOOK_SECRET, BadSettings, Settings
from worker.silence import Ear, SilenceWatch
from worker.store import BRISK_TRIES, PATIENT_TRIES, store_client
from worker.sweep import sweep_for_ever
from workflows.data_quality.schedule import ScheduledExamination
from workflows.halopsa import HaloConnection
from workflows.msp import Msp, msp_for_run
from workflows.policy import Policy
from workflows.policy.file import DEFAULT_FILE, BadPolicy, load_policy
from workflows.registry import WORKFLOWS
from workflows.rmm import RmmWebhook

DOORBELL: Final = encode_doorbell()

Chore = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Store:
    """The parts of the journal on one connection."""

    scripts: Scripts
    journal: Journal
    reader: Reader
    verbs: Verbs
    upkeep: Upkeep
    refused: RefusedDeliveries
    heard: Heard


@asynccontextmanager
async def open_store(url: str, *, tries: int = BRISK_TRIES) -> AsyncIterator[Store]:
    """Open the journal at an address for a while."""
    client = store_client(url, tries=tries)
    scripts = Scripts(client, DOORBELL)
    try:
        yield Store(
            scripts,
            Journal(scripts),
            Reader(scripts),
            Verbs(scripts),
            Upkeep(scripts),
            RefusedDeliveries(scripts),
            Heard(scripts),
        )
    finally:
        await client.aclose(close_connection_pool=True)


def inbox_of(store: Store, *, check: Check | None = None, hydrate: Hydrate | None = None) -> Inbox:
    """Make the inbox in front of a journal; who only takes events in needs nothing that completes them."""
    return Inbox(store.journal, store.reader, WORKFLOWS, hydrate or as_it_came, check=check)


def budget_of(settings: Settings, store: Store) -> Budget:
    """Make what limits the requests to HaloPSA."""
    return Budget(store.scripts, requests=settings.halo_budget_requests, window_s=settings.halo_budget_window_s)


def durability_of(settings: Settings, store: Store) -> Durability:
    """Make what watches whether the store keeps what it is given."""
    return Durability(store.upkeep, allow_data_loss=settings.allow_data_loss)


async def as_it_came(event: Event) -> Event:
    """Leave an event as it is: it is completed by whoever works on it."""
    return event


def public_url(settings: Settings) -> str:
    """Tell the address that senders have, without ``/webhooks``: the one that is set, or where the endpoint listens."""
    host, port = settings.web_bind
    return settings.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"


def edge_of(settings: Settings) -> Edge:
    """Put together what the settings say about senders."""
    return Edge(
        public_url=public_url(settings),
        trusted_proxies=settings.trusted_proxies,
        allowed=settings.allowed_addresses,
        accounts=settings.accounts,
        per_second=settings.deliveries_per_second,
    )


def check_web(settings: Settings) -> None:
    """Refuse webhook secrets that cannot serve.

    Raises:
        BadSettings: names each of them, never its value.
    """
    problems = [
        f"{PREFIX}{WEBHOOK_SECRET}{source.upper()}: {problem}"
        for source, secrets in settings.webhook_secrets.items()
        for secret in secrets
        if (problem := secret_problem(source, secret.get_secret_value()))
    ]
    if problems:
        raise BadSettings(problems)


def check_worker(settings: Settings) -> None:
    """Refuse to work without a HaloPSA or what the policy needs, and with an alert secret that cannot serve.

    Raises:
        BadSettings: names what is missing or wrong.
    """
    problems = settings.missing_for_work()
    try:
        policy = policy_of(settings)
        if policy.churn_client.rmm == "webhook" and settings.rmm_webhook_url is None:
            problems.append(f'{PREFIX}RMM_WEBHOOK_URL: is not set, but the policy says churn_client.rmm = "webhook"')
    except BadSettings as error:
        problems += error.problems
    problems += half_connected(settings)
    if settings.alert_secret is not None:
        if settings.alert_url is None:
            problems.append(f"{PREFIX}ALERT_SECRET: {PREFIX}ALERT_URL is not set, so nothing is signed with it")
        if problem := standard_key_problem(settings.alert_secret.get_secret_value()):
            problems.append(f"{PREFIX}ALERT_SECRET: {problem}")
    if problems:
        raise BadSettings(problems)


def web_app(settings: Settings, store: Store) -> Starlette:
    """Build the public web application."""
    durability = durability_of(settings, store)
    ear = Ear(store.heard)

    async def ready() -> None:
        await store.reader.ping()
        await durability.check()

    async def keep_refused(refusal: Refused) -> None:
        told = asdict(refusal) | {"received_at": refusal.received_at.isoformat()}
        await store.refused.keep(told, refusal.received_at.timestamp())

    def on_delivery(source: str, outcome: str) -> None:
        metrics.DELIVERIES.labels(source, outcome).inc()
        if outcome in TAKEN:
            ear.hear(source)

    return webhook_app(
        inbox=inbox_of(store, check=durability.check),
        secrets={
            source: [secret.get_secret_value() for secret in secrets]
            for source, secrets in settings.webhook_secrets.items()
        },
        max_body_bytes=settings.max_body_bytes,
        ready=ready,
        metrics=partial(exposition, store.scripts),
        now=lambda: datetime.now(UTC),
        edge=edge_of(settings),
        on_delivery=on_delivery,
        on_refused=keep_refused,
    )


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
        senders = alert_senders(settings, store, name)
        backfill, systems = scheduled_backfill_of(settings, policy, store, halo, name)
        doorbells = DoorbellWorker(url, partial(_answer, inbox, engine), slots=settings.worker_slots)
        chores: list[Chore] = [
            doorbells.run,
            engine.keep_leases,
            partial(sweep_for_ever, store.journal, name),
            retention_of(settings, store, name).keep_for_ever,
            silence_watch_of(policy, store).watch_for_ever,
            examination_of(settings, policy, store, halo, name).keep_for_ever,
            backfill.keep_for_ever,
            *(sender.send_for_ever for sender in senders),
        ]
        try:
            yield WorkerParts(name, durability_of(settings, store), engine, doorbells, chores)
        finally:
            await doorbells.close()
            for sender in senders:
                await sender.close()
            await completion.aclose()
            await systems.aclose()
            if rmm:
                await rmm.aclose()
            await halo.aclose()


async def _answer(inbox: Inbox, engine: Engine[Msp], subject: str) -> None:
    """Work on what a doorbell names: an event's runs, or a run."""
    kind, _, identity = subject.partition("/")
    runs: Sequence[str] = await inbox.route(identity) if kind == "event" else [identity]
    for run in runs:
        await engine.advance(run)


def retention_of(settings: Settings, store: Store, worker: str) -> Retention:
    """Make what archives old records."""
    archive = settings.data_dir / "archive"
    return Retention(store.upkeep, store.reader, worker=worker, archive=archive, days=settings.retention_days)


def examination_of(
    settings: Settings, policy: Policy, store: Store, halo: HaloConnection, worker: str
) -> ScheduledExamination:
    """Make what examines HaloPSA's data as often as the policy says."""
    guard, tell = WaitingGuard(budget_of(settings, store), bulk=True), structlog.stdlib.get_logger("data_quality").info
    return ScheduledExamination(
        halo,
        guard,
        policy,
        folder=settings.data_dir / "data-quality",
        turn=Examinations(store.scripts, worker),
        clock=lambda: datetime.now(UTC),
        tell=tell,
        won=partial(won_lately, settings, policy, halo.for_run(guard), tell=tell),
    )


def backfill_of(
    settings: Settings, policy: Policy, store: Store, halo: HaloConnection, backfills: Backfills
) -> tuple[Backfill, Completion]:
    """Make what finds events that did not arrive, and the connections it has, to be closed by the caller.

    HaloPSA is asked within the bulk share of the request budget.
    """
    guard = WaitingGuard(budget_of(settings, store), bulk=True)
    systems = Completion(store.upkeep.first_start, partial(hydration_of, settings, policy, halo.for_run(guard)))
    return Backfill(systems, inbox_of(store), store.reader, backfills, WORKFLOWS), systems


def scheduled_backfill_of(
    settings: Settings, policy: Policy, store: Store, halo: HaloConnection, worker: str
) -> tuple[ScheduledBackfill, Completion]:
    """Make what has systems asked after outages and by the policy's schedule, and its connections, to be closed."""
    backfills = Backfills(store.scripts, worker)
    backfill, systems = backfill_of(settings, policy, store, halo, backfills)
    hours: dict[str, float | None] = {name: rules.backfill_hours for name, rules in policy.sources.items()}
    every_hours = {system: hours.get(system) for system in connected_systems(settings, policy)}
    return ScheduledBackfill(backfill, backfills, every_hours), systems


def silence_watch_of(policy: Policy, store: Store) -> SilenceWatch:
    """Make what tells people of sources that are not heard any more."""
    hours: dict[str, float] = {
        name: rules.silence_hours for name, rules in policy.sources.items() if rules.silence_hours is not None
    }
    return SilenceWatch(store.heard, hours)


def alert_senders(settings: Settings, store: Store, worker: str) -> list[AlertSender]:
    """Make what sends alerts: one sender, or none where there is no address."""
    if settings.alert_url is None:
        return []
    secret = settings.alert_secret
    sign = None if secret is None else partial(sign_standard, secret.get_secret_value())
    return [AlertSender(store.upkeep, worker=worker, url=settings.alert_url.get_secret_value(), sign=sign)]


def rmm_webhook(settings: Settings) -> RmmWebhook | None:
    """Make the process's way to the RMM; None where there is no address."""
    return None if settings.rmm_webhook_url is None else RmmWebhook(settings.rmm_webhook_url.get_secret_value())


def policy_of(settings: Settings) -> Policy:
    """Read the business policy.

    Raises:
        BadSettings: names everything that is wrong with its file.
    """
    try:
        return load_policy(settings.config)
    except BadPolicy as error:
        raise BadSettings([f"{settings.config or DEFAULT_FILE}: {problem}" for problem in error.problems]) from None


def halo_connection(
    settings: Settings, policy: Policy, transport: httpx.AsyncBaseTransport | None = None
) -> HaloConnection:
    """Make the process's connection to HaloPSA.

    Raises:
        BadSettings: HaloPSA is not configured.
    """
    check_worker(settings)
    secret = settings.halo_client_secret or SecretStr("")
    return HaloConnection(
        settings.halo_url or "",
        client_id=settings.halo_client_id or "",
        client_secret=secret.get_secret_value(),
        auth_url=settings.halo_auth_url,
        tenant=settings.halo_tenant,
        scope=settings.halo_scope,
        closer_agent_id=settings.halo_closer_agent_id,
        dialect=settings.halo_dialect,
        # The guide's clients have no other field of their own that could hold a key than their notes.
        key=policy.halopsa.external_key if settings.halo_dialect == "v2" else None,
        address=policy.halopsa.places,
        transport=transport,
    )
