"""The connections to CRMs that the settings name, and what completes events through them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr

from worker.errors import NeedsOperator, RetryLater
from worker.events import Event
from worker.run import Guard
from worker.settings import PREFIX, Settings
from workflows.crm import (
    Crm,
    CrmHydrator,
    Dynamics,
    HaloHydrator,
    HubSpot,
    Pipedrive,
    Salesforce,
    Zoho,
    ZohoChannel,
)
from workflows.crm.zoho import VERSION, signed_in
from workflows.data_quality import WonDeal, won_deals
from workflows.halopsa import Halo
from workflows.hydration import Hydration, Hydrator
from workflows.policy import Policy
from workflows.policy.sources import Source

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "hubspot": ("token",),
    "pipedrive": ("token",),
    "salesforce": ("client_id", "client_secret", "url"),
    "dynamics": ("tenant", "client_id", "client_secret", "url"),
    "zoho": ("client_id", "client_secret", "refresh_token"),
}
"""What reading from a CRM takes."""
CLIENTS: Final[Mapping[str, Callable[..., Crm]]] = {
    "hubspot": HubSpot,
    "pipedrive": Pipedrive,
    "salesforce": Salesforce,
    "dynamics": Dynamics,
    "zoho": Zoho,
}
WON_WITHIN: Final = timedelta(days=30)
"""Deals that were won earlier are not looked for when HaloPSA's data are examined."""
SENDERS_REPEAT: Final = timedelta(days=1)
"""So long senders repeat what was not taken (HubSpot): what happened shortly before the first start counts too."""
RENAMED: Final = {"api_version": "version"}


def half_connected(settings: Settings) -> list[str]:
    """Name what is missing of CRMs that are set in part."""
    return [
        f"{PREFIX}{f'{system}_{name}'.upper()}: is not set, but other settings of {system} are"
        for system, needed in NEEDED.items()
        if (given := _given(settings, system))
        for name in needed
        if name not in given
    ]


def channel_problems(settings: Settings) -> list[str]:
    """Name what is missing to keep Zoho's notification channel open, if that is asked for."""
    needed = {
        "ZOHO_CLIENT_ID": settings.zoho_client_id,
        "PUBLIC_URL": settings.public_url,
        "WEBHOOK_SECRET_ZOHO": settings.webhook_secrets.get("zoho"),
    }
    missing = [name for name, value in needed.items() if not value] if settings.channel_zoho else []
    return [f"{PREFIX}{name}: is not set, but {PREFIX}CHANNEL_ZOHO is" for name in missing]


def zoho_channel_of(settings: Settings) -> ZohoChannel | None:
    """Make what keeps Zoho's notification channel open, to be closed by the caller; None if nobody asked for it."""
    if settings.channel_zoho is None:
        return None
    given = _given(settings, "zoho")
    version = given.pop("api_version", VERSION)
    return ZohoChannel(
        signed_in(**given),
        version,
        channel_id=settings.channel_zoho,
        notify_url=f"{settings.public_url}/webhooks/zoho",
        token=settings.webhook_secrets["zoho"][0].get_secret_value(),
    )


def connected_systems(settings: Settings, policy: Policy) -> list[str]:
    """Name the systems that can be asked what changed: the connected CRMs, and HaloPSA where it is a source."""
    crms = [system for system in CLIENTS if _given(settings, system)]
    is_source = "halopsa" in policy.sources or "halopsa" in settings.webhook_secrets
    return [*crms, "halopsa"] if is_source else crms


class Completion:
    """Completes events, knowing from when on facts count; Valkey, which knows that, need not be there yet at a start.

    Args:
        first_start: asks when the first worker began.
        connect: makes what completes events, given from when on facts count.
    """

    def __init__(
        self, first_start: Callable[[], Awaitable[datetime]], connect: Callable[[datetime], Hydration]
    ) -> None:
        self._first_start = first_start
        self._connect = connect
        self._hydration: Hydration | None = None
        self._one_connects = asyncio.Lock()

    async def hydrate(self, event: Event) -> Event:
        """Complete an event; see `Hydration.hydrate`."""
        return await (await self.connected()).hydrate(event)

    async def changed_since(self, system: str, moment: datetime) -> AsyncIterator[Event]:
        """Search a system for records that have changed; see `Hydration.changed_since`."""
        async for event in (await self.connected()).changed_since(system, moment):
            yield event

    async def note_on_deal(self, event: Event, text: str, guard: Guard) -> bool:
        """Write a note on the deal of an event, once; see `Hydration.note_on_deal`."""
        return await (await self.connected()).note_on_deal(event, text, guard)

    async def connected(self) -> Hydration:
        """Give what completes events.

        Raises:
            StoreUnavailable: Valkey does not answer.
        """
        async with self._one_connects:
            if self._hydration is None:
                self._hydration = self._connect(await self._first_start() - SENDERS_REPEAT)
            return self._hydration

    async def aclose(self) -> None:
        """Close the connections."""
        if self._hydration is not None:
            await self._hydration.aclose()


def hydration_of(settings: Settings, policy: Policy, halo: Halo, first_start: datetime | None) -> Hydration:
    """Put together what completes events: a reader for each CRM that is connected, and one for HaloPSA.

    Args:
        settings: name the CRMs.
        policy: says what their records mean.
        halo: HaloPSA, guarded by the request budget.
        first_start: what happened before is history, unless the policy says since when facts count.
    """
    rules = policy.sources
    hydrators: dict[str, Hydrator] = {
        system: CrmHydrator(system, _connected(settings, system), rules.get(system, Source()), first_start=first_start)  # type: ignore[call-overload]  # the names are those of the policy
        for system in CLIENTS
        if _given(settings, system)
    }
    hydrators["halopsa"] = HaloHydrator(halo, rules.get("halopsa", Source()), first_start=first_start)
    return Hydration(hydrators)


async def won_lately(settings: Settings, policy: Policy, halo: Halo, *, tell: Callable[[str], None]) -> list[WonDeal]:
    """Ask the connected systems for the deals that were won in the last month.

    Args:
        settings: name the CRMs.
        policy: says what won is.
        halo: HaloPSA, guarded by the request budget.
        tell: is told of one that cannot be asked; then its deals are left out.
    """
    hydration = hydration_of(settings, policy, halo, first_start=None)
    found: list[WonDeal] = []
    try:
        for system in connected_systems(settings, policy):
            try:
                found += await won_deals(hydration, [system], datetime.now(UTC) - WON_WITHIN)
            except (RetryLater, NeedsOperator) as error:
                tell(f"{system} is not asked for won deals: {error}")
    finally:
        await hydration.aclose()
    return found


def _connected(settings: Settings, system: str) -> Crm:
    given = {RENAMED.get(name, name): value for name, value in _given(settings, system).items()}
    return CLIENTS[system](**given)


def _given(settings: Settings, system: str) -> dict[str, Any]:
    """The settings of a CRM that are set, by their names without the CRM's."""
    prefix = f"{system}_"
    values = {
        name.removeprefix(prefix): getattr(settings, name)
        for name in Settings.model_fields
        if name.startswith(prefix) and getattr(settings, name) is not None
    }
    return {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in values.items()}
