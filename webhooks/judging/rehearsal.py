"""A captured request before the real door, behind which nothing is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from starlette.types import Message, Scope

from webhooks.app import webhook_app
from webhooks.delivery import Delivery, Source
from webhooks.edge import Edge
from webhooks.refused import Refused
from worker.events import Event


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an inbox says that keeps nothing."""

    accepted: Sequence[str]
    duplicates: Sequence[str] = ()


@dataclass(slots=True)
class Rehearsal:
    """What the door did with a request.

    Attributes:
        status: its answer.
        reason: why it refused, as the operator may know it; empty where it did not.
        events: what would have been stored.
    """

    status: int = 0
    reason: str = ""
    events: list[Event] = field(default_factory=list)

    async def accept(self, events: Sequence[Event]) -> Receipt:
        """Note the events, as the inbox that the door gives them to."""
        self.events += events
        return Receipt([event.id for event in events])

    async def keep(self, refused: Refused) -> None:
        """Note why the door refused."""
        self.reason = refused.reason

    async def send(self, message: Message) -> None:
        """Note the answer (ASGI)."""
        self.status = message.get("status", self.status)


async def rehearse(
    source: Source, secrets: Sequence[str], delivery: Delivery, *, edge: Edge, max_body_bytes: int
) -> Rehearsal:
    """Let a request through the web application.

    Args:
        source: whose door.
        secrets: those of the source.
        delivery: the request, its body as it came over the wire; the clock shows its time of receipt.
        edge: what the operator has set, of which addresses and rates are left out: where a captured request came from
            is not known, and it comes alone.
        max_body_bytes: the door's limit.
    """
    rehearsal = Rehearsal()

    async def receive() -> Message:
        return {"type": "http.request", "body": delivery.body, "more_body": False}

    async def nothing() -> None: ...

    async def no_metrics() -> tuple[bytes, str]:
        return b"", ""

    app = webhook_app(
        inbox=rehearsal,
        secrets={source.name: secrets},
        max_body_bytes=max_body_bytes,
        ready=nothing,
        metrics=no_metrics,
        now=lambda: delivery.received_at,
        edge=replace(edge, public_url="", allowed={}, per_second=None),
        on_refused=rehearsal.keep,
    )
    await app(_scope(source, delivery), receive, rehearsal.send)
    return rehearsal


def _scope(source: Source, delivery: Delivery) -> Scope:
    address, _, query = delivery.url.partition("?")
    mark = f"/webhooks/{source.name}"
    return {
        "type": "http",
        "method": delivery.method,
        # A proxy may lead another path here.
        "path": mark + unquote(address.partition(mark)[2]),
        # The door joins its public address and this one: here they are joined already.
        "raw_path": address.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower(), value) for name, value in delivery.headers.raw],
    }
