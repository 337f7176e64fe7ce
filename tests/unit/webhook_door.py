"""The web application with everything around it that a test looks at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.applications import Starlette

from webhooks.app import webhook_app
from webhooks.delivery import Delivery
from webhooks.edge import Edge
from webhooks.refused import Refused
from worker.events import Event

NOW = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)
LIMIT = 10_000
PUBLIC = "https://hooks.msp.example"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WHPK = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
SECRETS = {
    "standard": WHSEC,
    "token": "token-s3cret",
    "hubspot": "hubspot-s3cret",
    "pipedrive": "pipe:correct horse",
    "salesforce": "salesforce-s3cret",
    "dynamics": "dynamics-s3cret",
    "zoho": "zoho-s3cret",
    "halopsa": "halo:pa:ss:wörd",
}
"""A secret for every source."""


@dataclass(frozen=True)
class Taken:
    accepted: list[str]
    duplicates: list[str]


@dataclass
class Shelf:
    """Stands where the inbox's store would: keeps events, or fails as the store does."""

    events: dict[str, Event] = field(default_factory=dict)
    trouble: Exception | None = None

    async def accept(self, events: Sequence[Event]) -> Taken:
        if self.trouble:
            raise self.trouble
        new = [event for event in events if event.id not in self.events]
        self.events |= {event.id: event for event in new}
        return Taken([event.id for event in new], [event.id for event in events if event not in new])

    async def ready(self) -> None:
        if self.trouble:
            raise self.trouble


@dataclass
class Web:
    """The application, its inbox, and what it told about deliveries."""

    shelf: Shelf = field(default_factory=Shelf)
    outcomes: list[tuple[str, str]] = field(default_factory=list)
    secrets: dict[str, list[str]] = field(
        default_factory=lambda: {name: [one] for name, one in SECRETS.items()} | {"standard": [WHSEC, WHPK]}
    )
    edge: Edge = field(default_factory=lambda: Edge(public_url=PUBLIC))
    client: str = "198.51.100.7"
    refused: list[Refused] = field(default_factory=list)
    refused_trouble: Exception | None = None

    def app(self) -> Starlette:
        return webhook_app(
            inbox=self.shelf,
            secrets=self.secrets,
            max_body_bytes=LIMIT,
            ready=self.shelf.ready,
            metrics=metrics,
            now=lambda: NOW,
            edge=self.edge,
            on_delivery=lambda source, outcome: self.outcomes.append((source, outcome)),
            on_refused=self.keep,
        )

    async def keep(self, refused: Refused) -> None:
        if self.refused_trouble:
            raise self.refused_trouble
        self.refused.append(refused)

    async def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app(), raise_app_exceptions=False, client=(self.client, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://parhelion.test") as client:
            return await client.request(method, path, **more)

    async def send(self, delivery: Delivery, **headers: str) -> httpx.Response:
        """Send a delivery as it is, to the path of its address."""
        raw = [*delivery.headers.raw, *((name.encode(), value.encode()) for name, value in headers.items())]
        return await self.request("POST", delivery.url.removeprefix(PUBLIC), content=delivery.body, headers=raw)


async def metrics() -> tuple[bytes, str]:
    return b"deliveries_total 1\n", "text/plain; version=0.0.4; charset=utf-8"
