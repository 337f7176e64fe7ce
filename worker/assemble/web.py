"""The web application."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

from starlette.applications import Starlette

from webhooks.app import webhook_app
from webhooks.door import TAKEN
from webhooks.edge import Edge
from webhooks.refused import Refused
from worker import metrics
from worker.assemble.inbox import inbox_of
from worker.assemble.store import Store, durability_of
from worker.exposition import exposition
from worker.settings import Settings
from worker.silence import Ear


def public_url(settings: Settings) -> str:
    """Tell the address that senders have, without ``/webhooks``: the one that is set, or where the endpoint listens."""
    host, port = settings.web_bind
    return settings.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"


def edge_of(settings: Settings) -> Edge:
    """Put together what the settings say about senders."""
    return Edge(
        public_url=public_url(settings),
        trusted_proxies=settings.trusted_proxies,
        allowed=settings.allowed_addresses,
        accounts=settings.accounts,
        per_second=settings.deliveries_per_second,
    )


def web_app(settings: Settings, store: Store) -> Starlette:
    """Build the public web application."""
    durability = durability_of(settings, store)
    ear = Ear(store.heard)

    async def ready() -> None:
        await store.reader.ping()
        await durability.check()

    async def keep_refused(refusal: Refused) -> None:
        told = asdict(refusal) | {"received_at": refusal.received_at.isoformat()}
        await store.refused.keep(told, refusal.received_at.timestamp())

    def on_delivery(source: str, outcome: str) -> None:
        metrics.DELIVERIES.labels(source, outcome).inc()
        if outcome in TAKEN:
            ear.hear(source)

    return webhook_app(
        inbox=inbox_of(store, check=durability.check),
        secrets={
            source: [secret.get_secret_value() for secret in secrets]
            for source, secrets in settings.webhook_secrets.items()
        },
        max_body_bytes=settings.max_body_bytes,
        ready=ready,
        metrics=partial(exposition, store.scripts),
        now=lambda: datetime.now(UTC),
        edge=edge_of(settings),
        on_delivery=on_delivery,
        on_refused=keep_refused,
    )
