"""What `/metrics` shows: this process's counters, and what the journal knows at the moment."""

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from worker.budget import Budget
from worker.errors import StoreUnavailable
from worker.journal.examinations import Examinations
from worker.journal.heard import Heard
from worker.journal.reading import Reader
from worker.journal.scripts import Scripts
from worker.journal.upkeep import Upkeep

WITHIN_S: Final = 4.0
"""Prometheus waits ten seconds by default; a Valkey that does not answer must not make it wait for the counters."""


async def exposition(scripts: Scripts) -> tuple[bytes, str]:
    """Write all metrics in Prometheus' text format; returns them with their content type.

    Where Valkey does not answer, ``parhelion_store_up`` is 0, and what it knows is left out: a number of failed events,
    for example, is not none because nobody can be asked.
    """
    own, gauges = CollectorRegistry(), _Gauges()
    store_up = Gauge("parhelion_store_up", "Whether Valkey answers.", registry=own)
    told = generate_latest()
    try:
        async with asyncio.timeout(WITHIN_S):
            await gauges.fill(scripts)
        store_up.set(1)
        told += generate_latest(gauges.registry)
    except (StoreUnavailable, TimeoutError):
        store_up.set(0)
    return told + generate_latest(own), CONTENT_TYPE_LATEST


class _Gauges:
    """What the journal knows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.runs = self._gauge("runs", "Runs in the journal by state.", "state")
        self.failed = self._gauge("events_failed", "Events that could not be completed: a person must act.")
        self.alerts = self._gauge("alerts_waiting", "Alerts that are still to be sent.")
        self.ended = self._gauge("ended_kept", "Ended runs and events that are not archived yet.")
        self.memory = self._gauge("store_memory_bytes", "Valkey's memory; no limit is 0.", "kind")
        told = "The request budget: the limit in a window, what is spent and held of it, the runs that wait for room."
        self.requests = self._gauge("budget_requests", told, "kind")
        self.refused = self._gauge("budget_refused", "Answers with 429 so far.")
        told = "When a source was last heard, in seconds since 1970, to ten seconds."
        self.heard = self._gauge("source_last_delivery_timestamp", told, "source")
        self.findings = self._gauge("data_quality_findings", "Findings of the last scheduled examination.", "kind")

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"parhelion_{name}", text, labels, registry=self.registry)

    async def fill(self, scripts: Scripts) -> None:
        """Read the journal.

        Raises:
            StoreUnavailable: Valkey does not answer.
        """
        reader, upkeep = Reader(scripts), Upkeep(scripts)
        for state, number in (await reader.counts()).items():
            self.runs.labels(state).set(number)
        self.failed.set(await reader.failed_events())
        backlog = await upkeep.backlog()
        self.alerts.set(backlog.alerts)
        self.ended.set(backlog.ended)
        if (found := await upkeep.memory()) is not None:
            self.memory.labels("used").set(found.used)
            self.memory.labels("max").set(found.limit)
        budget = await Budget(scripts).state()
        for kind in ("limit", "spent", "held", "waiting"):
            self.requests.labels(kind).set(getattr(budget, kind))
        self.refused.set(budget.refused)
        for source, at in (await Heard(scripts).last()).items():
            self.heard.labels(source).set(at)
        for kind, number in (await Examinations(scripts, "").last()).items():
            self.findings.labels(kind).set(number)
