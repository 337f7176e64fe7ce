"""What is kept of a refused delivery: why, and what the request looked like, but never its proof or its body."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.datastructures import Headers

SHOWN: Final = frozenset(
    {
        "content-encoding",
        "content-length",
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
        "x-hubspot-request-timestamp",
        "x-hubspot-signature-version",
    }
)
"""Headers whose values prove nothing; of all others only the name is kept."""
HIDDEN: Final = "(not kept)"
MAX_VALUE: Final = 200
MAX_NAMES: Final = 50
KEPT_PER_SECOND: Final = 1.0
"""Of each source: a flood of strangers' requests must cost little and hide nothing for long."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A delivery to an open source that was not taken in.

    Attributes:
        source: the source's name.
        status: the answer.
        reason: why; a sender that must not know is told less.
        request_id: under which the log has it.
        received_at: when it was refused (UTC).
        headers: by name; the values of those that may be a proof are left out.
    """

    source: str
    status: int
    reason: str
    request_id: str
    received_at: datetime
    headers: dict[str, str]


Keep = Callable[[Refused], Awaitable[None]]


def shown_headers(headers: Headers) -> dict[str, str]:
    """Give the headers as they may be kept."""
    some = headers.items()[:MAX_NAMES]
    return {name[:MAX_VALUE]: value[:MAX_VALUE] if name.lower() in SHOWN else HIDDEN for name, value in some}
