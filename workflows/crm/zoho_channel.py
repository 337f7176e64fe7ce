"""Zoho CRM's notification channel, which ends unless it is asked for again.

Path, fields and how to renew it: zoho.com/crm/developer, "Enable notifications" (API version 7). A channel lives an
hour unless told otherwise, a week at most; one that is asked for longer lives an hour. To renew is to enable it anew.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from worker.errors import NeedsOperator
from workflows.crm.api import Api, CrmRefused
from workflows.crm.mapping import moment_of

LIFE: Final = timedelta(days=6, hours=20)
"""Shorter than a week, so that a clock that is off does not make it longer."""
LEAST: Final = timedelta(days=2)
MEND: Final = "check PUBLIC_URL, the channel's number, and the refresh token's scope ZohoCRM.notifications.ALL."
EVENTS: Final = ("Deals.all", "Accounts.edit", "Accounts.delete")


class ZohoChannel:
    """A channel that tells one address of changed deals and accounts.

    Args:
        api: Zoho's, signed in.
        version: of the API.
        channel_id: the channel's number, of one's own choice.
        notify_url: where notifications go.
        token: comes back in each of them, as their proof.
    """

    def __init__(self, api: Api, version: str, *, channel_id: int, notify_url: str, token: str) -> None:
        self._api = api
        self._path = f"/crm/{version}/actions/watch"
        self._wanted = {
            "channel_id": channel_id,
            "events": EVENTS,
            "notify_url": notify_url,
            "token": token,
            "notify_on_related_action": False,
        }

    async def renew(self, now: datetime) -> datetime:
        """Open the channel, or keep it open.

        Args:
            now: the time (UTC).

        Returns:
            When it ends (UTC).

        Raises:
            RetryLater: Zoho cannot be asked now.
            NeedsOperator: Zoho refuses, or ends the channel sooner than it was asked to.
        """
        until = (now + LIFE).astimezone(UTC).isoformat(timespec="seconds")
        channel = {**self._wanted, "channel_expiry": until}
        try:
            answer = await self._api.send("POST", self._path, json={"watch": [channel]})
        except CrmRefused as refused:
            raise NeedsOperator(f"Zoho does not open the notification channel: {refused.what}", mend=MEND) from refused
        ends = [moment_of(event.get("channel_expiry")) for event in _events(answer)]
        end = min((one for one in ends if one), default=None)
        if end is None or end < now + LEAST:
            told = f"until {end:%Y-%m-%d %H:%M} UTC only" if end else "without saying until when"
            raise NeedsOperator(
                f"Zoho keeps the notification channel open {told}; asked was {until}.",
                mend="compare the clock here with the real time, and the API's version with Zoho's documentation.",
            )
        return end

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()


def _events(answer: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """Give what each module's part of the channel became.

    Raises:
        NeedsOperator: Zoho did not open one.
    """
    for one in (answer or {}).get("watch") or ():
        if one.get("status") == "error":
            told = f"{one.get('code')}: {one.get('message')}"
            raise NeedsOperator(f"Zoho does not open the notification channel: {told}.", mend=MEND)
        yield from (one.get("details") or {}).get("events") or ()
