"""The composition root: the one place where engine, workflows and sources meet."""

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from pydantic import SecretStr
from starlette.applications import Starlette

from webhooks.app import webhook_app
from webhooks.sources import secret_problem
from worker import metrics
from worker.engine import Engine
from worker.errors import StoreUnavailable
from worker.events import Event
from worker.inbox import Inbox
from worker.jobs import DoorbellWorker, encode_doorbell
from worker.journal import Journal
from worker.journal.reading import Reader
from worker.journal.scripts import Scripts
from worker.journal.verbs import Verbs
from worker.settings import PREFIX, WEBHOOK_SECRET, BadSettings, Settings
from worker.store import BRISK_TRIES, PATIENT_TRIES, store_client
from workflows.halopsa.client import Halo, HaloConnection
from workflows.registry import WORKFLOWS

DOORBELL: Final = encode_doorbell()


@dataclass(frozen=True, slots=True)
class Store:
    """The parts of the journal on one connection."""

    journal: Journal
    reader: Reader
    verbs: Verbs


@asynccontextmanager
async def open_store(url: str, *, tries: int = BRISK_TRIES) -> AsyncIterator[Store]:
    """Open the journal at an address for a while."""
    client = store_client(url, tries=tries)
    scripts = Scripts(client, DOORBELL)
    try:
        yield Store(Journal(scripts), Reader(scripts), Verbs(scripts))
    finally:
        await client.aclose(close_connection_pool=True)


def inbox_of(store: Store) -> Inbox:
    """Make the inbox in front of a journal."""
    return Inbox(store.journal, store.reader, WORKFLOWS, hydrate)


async def hydrate(event: Event) -> Event:
    """Complete an event. Canonical events are complete as they come."""
    return event


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
    """Refuse to work without a HaloPSA.

    Raises:
        BadSettings: names what is missing.
    """
    if missing := settings.missing_for_work():
        raise BadSettings(missing)


def web_app(settings: Settings, store: Store) -> Starlette:
    """Build the public web application."""

    async def show_metrics() -> tuple[bytes, str]:
        return generate_latest() + await _journal_metrics(store.reader), CONTENT_TYPE_LATEST

    return webhook_app(
        inbox=inbox_of(store),
        secrets={
            source: [secret.get_secret_value() for secret in secrets]
            for source, secrets in settings.webhook_secrets.items()
        },
        max_body_bytes=settings.max_body_bytes,
        ready=store.reader.ping,
        metrics=show_metrics,
        now=lambda: datetime.now(UTC),
        on_delivery=lambda source, outcome: metrics.DELIVERIES.labels(source, outcome).inc(),
    )


async def _journal_metrics(reader: Reader) -> bytes:
    registry = CollectorRegistry()
    runs = Gauge("parhelion_runs", "Runs in the journal by state.", ["state"], registry=registry)
    answers = Gauge("parhelion_store_up", "Whether Valkey answers.", registry=registry)
    try:
        for state, number in (await reader.counts()).items():
            runs.labels(state).set(number)
        answers.set(1)
    except StoreUnavailable:
        answers.set(0)
    return generate_latest(registry)


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What makes up a worker process."""

    name: str
    journal: Journal
    engine: Engine[Halo]
    doorbells: DoorbellWorker


@asynccontextmanager
async def open_worker(settings: Settings, url: str) -> AsyncIterator[WorkerParts]:
    """Put a worker together, and take it apart at the end."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    halo = halo_connection(settings)
    async with open_store(url, tries=PATIENT_TRIES) as store:
        engine = Engine(store.journal, WORKFLOWS, halo.for_run, worker=name, hydrate=hydrate)
        inbox = inbox_of(store)

        async def answer(subject: str) -> None:
            kind, _, identity = subject.partition("/")
            runs: Sequence[str] = await inbox.route(identity) if kind == "event" else [identity]
            for run in runs:
                await engine.advance(run)

        doorbells = DoorbellWorker(url, answer, slots=settings.worker_slots)
        try:
            yield WorkerParts(name, store.journal, engine, doorbells)
        finally:
            await doorbells.close()
            await halo.aclose()


def halo_connection(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> HaloConnection:
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
        transport=transport,
    )
