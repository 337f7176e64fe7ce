"""The counters of this process; what the journal knows is counted there when someone asks."""

from typing import Final

from prometheus_client import Counter

DELIVERIES: Final = Counter("parhelion_deliveries", "Webhook deliveries by source and outcome.", ["source", "outcome"])
EVENTS: Final = Counter("parhelion_events", "Events by what became of them.", ["source", "outcome"])
STEPS: Final = Counter("parhelion_steps", "Steps finished.", ["workflow"])
RETRIES: Final = Counter("parhelion_retries", "Steps that will be tried again.", ["workflow"])
RUNS_ENDED: Final = Counter("parhelion_runs_ended", "Runs ended, by state.", ["workflow", "state"])
ALERTS: Final = Counter("parhelion_alerts", "Alerts by what became of them.", ["outcome"])
ARCHIVED: Final = Counter("parhelion_archived", "Runs and events moved from Valkey into the archive.", ["kind"])
