"""Facts from before the beginning count as history and start nothing."""

from datetime import datetime

from worker.errors import Ignored
from worker.events import Event


def refuse_history(event: Event, beginning: datetime | None, on: datetime | None = None) -> None:
    """Ignore what happened before the beginning.

    Args:
        event: tells when the record changed.
        beginning: of what counts; None: all does.
        on: the day of the fact itself, where the CRM keeps it; some keep no time of day.

    Raises:
        Ignored: it is history.
    """
    if beginning is None:
        return
    old = event.occurred_at < beginning
    if old or (on and on.date() < beginning.date()):
        happened = event.occurred_at if old or on is None else on
        raise Ignored(f"it happened at {happened:%Y-%m-%d %H:%M %Z}, before {beginning:%Y-%m-%d %H:%M %Z}: history")
