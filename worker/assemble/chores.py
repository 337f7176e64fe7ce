"""What a worker does beside its runs."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import structlog

from webhooks.signatures import sign_standard
from worker.alerts import AlertSender
from worker.assemble.crms import Completion, connected_systems, hydration_of, won_lately, zoho_channel_of
from worker.assemble.inbox import inbox_of
from worker.assemble.store import Store, budget_of
from worker.backfill import Backfill, ScheduledBackfill
from worker.budget import WaitingGuard
from worker.journal.backfills import Backfills
from worker.journal.examinations import Examinations
from worker.journal.troubles import Troubles
from worker.renewal import Renewal
from worker.retention import Retention
from worker.settings import Settings
from worker.silence import SilenceWatch
from workflows.data_quality.schedule import ScheduledExamination
from workflows.halopsa import HaloConnection
from workflows.policy import Policy
from workflows.registry import WORKFLOWS

Chore = Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_chores(
    settings: Settings, policy: Policy, store: Store, halo: HaloConnection, worker: str
) -> AsyncIterator[Sequence[Chore]]:
    """Put a worker's chores together, and close their connections at the end."""
    async with AsyncExitStack() as stack:
        backfill, systems = scheduled_backfill_of(settings, policy, store, halo, worker)
        stack.push_async_callback(systems.aclose)
        chores = [
            retention_of(settings, store, worker).keep_for_ever,
            silence_watch_of(policy, store).watch_for_ever,
            examination_of(settings, policy, store, halo, worker).keep_for_ever,
            backfill.keep_for_ever,
        ]
        if channel := zoho_channel_of(settings):
            stack.push_async_callback(channel.aclose)
            chores.append(Renewal("zoho", channel.renew, Troubles(store.scripts)).keep_for_ever)
        if sender := alert_sender_of(settings, store, worker):
            stack.push_async_callback(sender.close)
            chores.append(sender.send_for_ever)
        yield chores


def retention_of(settings: Settings, store: Store, worker: str) -> Retention:
    """Make what archives old records."""
    archive = settings.data_dir / "archive"
    return Retention(store.upkeep, store.reader, worker=worker, archive=archive, days=settings.retention_days)


def silence_watch_of(policy: Policy, store: Store) -> SilenceWatch:
    """Make what tells people of sources that are not heard any more."""
    hours: dict[str, float] = {
        name: rules.silence_hours for name, rules in policy.sources.items() if rules.silence_hours is not None
    }
    return SilenceWatch(store.heard, hours)


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
    return ScheduledBackfill(backfill, backfills, every_hours, Troubles(store.scripts)), systems


def alert_sender_of(settings: Settings, store: Store, worker: str) -> AlertSender | None:
    """Make what sends alerts; None where there is no address."""
    if settings.alert_url is None:
        return None
    secret = settings.alert_secret
    sign = None if secret is None else partial(sign_standard, secret.get_secret_value())
    return AlertSender(store.upkeep, worker=worker, url=settings.alert_url.get_secret_value(), sign=sign)
