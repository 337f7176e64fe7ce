"""What `/metrics` shows: this process's counters, and what the journal knows at the moment."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from worker.budget import Budget
from worker.errors import StoreUnavailable
from worker.journal.examinations import Examinations
from worker.journal.heard import Heard
from worker.journal.reading import Reader
from worker.journal.scripts import Scripts
from worker.journal.upkeep import Upkeep


async def exposition(scripts: Scripts) -> tuple[bytes, str]:
    """Write all metrics in Prometheus' text format; returns them with their content type.

    Where Valkey does not answer, ``parhelion_store_up`` is 0.
    """
    return generate_latest() + await _journal_metrics(scripts), CONTENT_TYPE_LATEST


async def _journal_metrics(scripts: Scripts) -> bytes:
    reader, upkeep = Reader(scripts), Upkeep(scripts)
    registry = CollectorRegistry()
    runs = Gauge("parhelion_runs", "Runs in the journal by state.", ["state"], registry=registry)
    failed = Gauge(
        "parhelion_events_failed", "Events that could not be completed: a person must act.", registry=registry
    )
    alerts = Gauge("parhelion_alerts_waiting", "Alerts that are still to be sent.", registry=registry)
    ended = Gauge("parhelion_ended_kept", "Ended runs and events that are not archived yet.", registry=registry)
    memory = Gauge("parhelion_store_memory_bytes", "Valkey's memory; no limit is 0.", ["kind"], registry=registry)
    requests = Gauge(
        "parhelion_budget_requests",
        "The request budget: the limit in a window, what is spent and held of it, the runs that wait for room.",
        ["kind"],
        registry=registry,
    )
    refused = Gauge("parhelion_budget_refused", "Answers with 429 so far.", registry=registry)
    heard = Gauge(
        "parhelion_source_last_delivery_timestamp",
        "When a source was last heard, in seconds since 1970, to ten seconds.",
        ["source"],
        registry=registry,
    )
    findings = Gauge(
        "parhelion_data_quality_findings", "Findings of the last scheduled examination.", ["kind"], registry=registry
    )
    answers = Gauge("parhelion_store_up", "Whether Valkey answers.", registry=registry)
    try:
        for state, number in (await reader.counts()).items():
            runs.labels(state).set(number)
        failed.set(await reader.failed_events())
        backlog = await upkeep.backlog()
        alerts.set(backlog.alerts)
        ended.set(backlog.ended)
        if (found := await upkeep.memory()) is not None:
            memory.labels("used").set(found.used)
            memory.labels("max").set(found.limit)
        budget = await Budget(scripts).state()
        for kind in ("limit", "spent", "held", "waiting"):
            requests.labels(kind).set(getattr(budget, kind))
        refused.set(budget.refused)
        for source, at in (await Heard(scripts).last()).items():
            heard.labels(source).set(at)
        for kind, number in (await Examinations(scripts, "").last()).items():
            findings.labels(kind).set(number)
        answers.set(1)
    except StoreUnavailable:
        answers.set(0)
    return generate_latest(registry)
