"""Alerts: what needs a person is posted to one address, in order, each until it is taken, by one worker at a time.

One body serves Microsoft Teams and whoever reads plain text. Teams' workflows take a message with Adaptive Cards as
attachments (https://learn.microsoft.com/connectors/teams/, "Microsoft Teams Webhook"). Slack's incoming webhooks take
``text`` (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/); attachments mean something else
there, and its markup must be escaped.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import structlog

from worker import metrics
from worker.errors import StoreUnavailable
from worker.journal.upkeep import Upkeep

Sign = Callable[[str, datetime, bytes], dict[str, str]]

LOOK_EVERY_S: Final = 1.0
POST_WITHIN_S: Final = 10.0
HOLD_MS: Final = 15_000
"""Longer than a post may take: no two workers send an alert at the same time, and a dead one is soon replaced."""
WAIT_FIRST_S: Final = 1.0
WAIT_CAP_S: Final = 300.0
WAIT_ASKED_CAP_S: Final = 3600.0
TEXT_LENGTH: Final = 2000
"""Teams refuses messages of more than 28 kB (https://learn.microsoft.com/microsoftteams/limits-specifications-teams)."""
REFUSED: Final = range(400, 500)
TRIED_AGAIN: Final = frozenset({408, 425, 429})
SLACK_HOSTS: Final = ("hooks.slack.com", "hooks.slack-gov.com")

REMEDIES: Final = {
    "event failed": "Others may have failed for the same reason: parhelion events list --failed. Mend it, then: "
    "parhelion events replay --failed --reason …",
    "run failed": "Mend what it says, then: parhelion runs retry {run} --reason …",
    "approval overdue": "Decide: parhelion runs approve {run} --reason …, or reject",
    "blocked client": "Retry or cancel it: parhelion runs retry {run} --reason …",
    "data quality": "Each finding says how to mend it: parhelion data-quality",
    "backfill not made": "What it would have found is missing until then: parhelion events backfill --since … {source}",
    "subscription not renewed": "Deliveries end when it does, a week after the last renewal at the latest",
    "source silent": "Look in the sender's own log of deliveries, and whether its webhook is still active there",
}

_log = structlog.stdlib.get_logger("alerts")


class AlertSender:
    """Sends alerts.

    Args:
        upkeep: has them.
        worker: who sends.
        url: where to; whoever knows it may post there, so it is never shown.
        sign: makes the headers that prove the sender, from message id, time and body; None = unsigned.
        transport: httpx's, for tests.
    """

    def __init__(
        self,
        upkeep: Upkeep,
        *,
        worker: str,
        url: str,
        sign: Sign | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._upkeep = upkeep
        self._worker = worker
        self._url = url
        self._sign = sign
        self._client = httpx.AsyncClient(transport=transport)
        self._slack = httpx.URL(url).host in SLACK_HOSTS

    async def send_for_ever(self) -> None:
        """Send what there is, until cancelled."""
        while True:
            try:
                while await self.send_next():
                    pass
            except StoreUnavailable as error:
                _log.warning("store away", error=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send_next(self) -> bool:
        """Send the oldest alert; returns whether it is done with, so that the next one may follow."""
        taken = await self._upkeep.next_alert(self._worker, hold_ms=HOLD_MS)
        if taken is None:
            return False
        text, tries = taken
        alert = json.loads(text)
        outcome, wait_s = await self._post(alert, tries)
        metrics.ALERTS.labels(outcome).inc()
        if outcome == "put off":
            await self._upkeep.put_alert_off(self._worker, text, wait_ms=int(wait_s * 1000))
            return False
        await self._upkeep.drop_alert(self._worker, text)
        return True

    async def _post(self, alert: dict[str, Any], tries: int) -> tuple[str, float]:
        """Post an alert; returns "sent", "refused", or "put off" and for how many seconds."""
        body = json.dumps((slack_message if self._slack else message)(alert), ensure_ascii=False).encode()
        message_id = str(alert["id"]).replace(" ", "-")
        headers = {"content-type": "application/json"}
        if self._sign is not None:
            headers |= self._sign(message_id, datetime.now(UTC), body)
        log = _log.bind(alert=message_id, attempt=tries + 1)
        try:
            async with asyncio.timeout(POST_WITHIN_S):
                answer = await self._client.post(self._url, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            log.warning("alert not sent", reason=type(error).__name__)
            return "put off", _backoff(tries)
        if answer.is_success:
            log.info("alert sent", kind=alert["kind"])
            return "sent", 0
        if answer.status_code in REFUSED and answer.status_code not in TRIED_AGAIN:
            log.error("alert refused, given up", status=answer.status_code, text=plain_text(alert))
            return "refused", 0
        log.warning("alert not sent", status=answer.status_code)
        return "put off", max(_asked_wait(answer), _backoff(tries))


def message(alert: dict[str, Any]) -> dict[str, Any]:
    """Write an alert for Teams, with the plain text beside the card for other receivers."""
    heading, *lines = _lines(alert)
    # A TextRun knows no Markdown (https://learn.microsoft.com/adaptive-cards/schema-explorer/text-run), as which a
    # TextBlock would take client names and errors.
    runs = [{"type": "TextRun", "text": heading, "weight": "Bolder"}, *({"type": "TextRun", "text": t} for t in lines)]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [{"type": "RichTextBlock", "inlines": [run]} for run in runs],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "text": plain_text(alert), "attachments": [attachment]}


def slack_message(alert: dict[str, Any]) -> dict[str, Any]:
    """Write an alert for Slack, which reads ``<!channel>`` and links between angle brackets."""
    escaped = plain_text(alert).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped}


def plain_text(alert: dict[str, Any]) -> str:
    """Write an alert in words, a line each: what, whose, why, and what to do."""
    return "\n".join(_lines(alert))


def _lines(alert: dict[str, Any]) -> list[str]:
    why = str(alert["text"])
    run = alert.get("run")
    about = f"{alert['workflow']} for {alert['client']}" if run else alert["source"]
    remedy = REMEDIES.get(alert["kind"], "")
    return [
        f"Parhelion: {alert['kind']}: {about}"[:TEXT_LENGTH],
        why if len(why) <= TEXT_LENGTH else why[:TEXT_LENGTH] + " …",
        *([remedy.format(run=run, source=alert.get("source"))] if remedy else []),
        *([f"More: parhelion runs show {run}"] if run else []),
    ]


def _backoff(tries: int) -> float:
    return float(min(WAIT_CAP_S, WAIT_FIRST_S * 2.0 ** min(tries, 20)))


def _asked_wait(answer: httpx.Response) -> float:
    """Read ``Retry-After``: seconds, or a date (RFC 9110, section 10.2.3); 0 where there is none to be read."""
    value = answer.headers.get("retry-after", "")
    try:
        wait = float(value) if value.isdigit() else (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(wait, 0.0), WAIT_ASKED_CAP_S)
