"""The ways out of a process: to HaloPSA and to the RMM."""

import httpx
from pydantic import SecretStr

from worker.assemble.checks import check_worker
from worker.settings import Settings
from workflows.halopsa import HaloConnection
from workflows.policy import Policy
from workflows.rmm import RmmWebhook


def halo_connection(
    settings: Settings, policy: Policy, transport: httpx.AsyncBaseTransport | None = None
) -> HaloConnection:
    """Make the process's connection to HaloPSA.

    Raises:
        BadSettings: HaloPSA is not configured.
    """
    check_worker(settings)
    secret = settings.halo_client_secret or SecretStr("")
    return HaloConnection(
        settings.halo_url or "",
        client_id=settings.halo_client_id or "",
        client_secret=secret.get_secret_value(),
        auth_url=settings.halo_auth_url,
        tenant=settings.halo_tenant,
        scope=settings.halo_scope,
        closer_agent_id=settings.halo_closer_agent_id,
        dialect=settings.halo_dialect,
        # The guide's clients have no other field of their own that could hold a key than their notes.
        key=policy.halopsa.external_key if settings.halo_dialect == "v2" else None,
        address=policy.halopsa.places,
        transport=transport,
    )


def rmm_webhook(settings: Settings) -> RmmWebhook | None:
    """Make the process's way to the RMM; None where there is no address."""
    return None if settings.rmm_webhook_url is None else RmmWebhook(settings.rmm_webhook_url.get_secret_value())
