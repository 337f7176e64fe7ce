"""Facts from before the beginning count as history and start nothing."""

from datetime import datetime

from worker.errors import Ignored
from worker.events import Event


def refuse_history(event: Event, won_at: datetime | None, since: datetime | None, first_start: datetime | None) -> None:
    """Ignore what happened before the beginning.

    Args:
        event: tells when its sender says that it happened.
        won_at: when the CRM says that the deal was won; counts where the policy names a beginning, so that old deals
            which are imported or edited start nothing.
        since: the beginning that the policy names.
        first_start: the beginning otherwise; None: there is none.

    Raises:
        Ignored: it is history.
    """
    beginning = since or first_start
    happened = min(event.occurred_at, won_at) if since and won_at else event.occurred_at
    if beginning and happened < beginning:
        raise Ignored(
            f"it happened on {happened:%Y-%m-%d %H:%M} UTC, before {beginning:%Y-%m-%d %H:%M}, and is history"
        )
