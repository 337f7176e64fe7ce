"""Telling the RMM through a webhook that a client has left.

It is told at most once: what it does then cannot be looked up, and may not bear being done twice.
"""

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

import httpx
from pydantic import BaseModel

from worker.errors import NeedsOperator
from worker.run import CALL_BUDGET_S, Guard
from workflows.attempts import Attempts
from workflows.halopsa.dryrun import PlannedWrite
from workflows.halopsa.transport import NEVER_SENT, FencedTransport
from workflows.leaving_client import Departure
from workflows.snapshot import Snapshot

NOT_SET: Final = "the RMM has no webhook: PARHELION_RMM_WEBHOOK_URL is not set"
PLANNED: Final = "http://rmm.invalid/"


class Told(BaseModel):
    """What became of one try; `refusal` says why the RMM did not take it, so that nothing happened there."""

    refusal: str = ""


class Rmm:
    """The RMM's webhook in the hands of one run.

    Args:
        guard: the run.
        url: the webhook; whoever knows it may post there, so it is never shown.
        transport: sends through the fence.

    Attributes:
        tried: whether it was told anything in this claim of the run.
    """

    def __init__(self, guard: Guard, url: str, transport: httpx.AsyncBaseTransport) -> None:
        self._guard = guard
        self._url = url
        self._http = httpx.AsyncClient(transport=transport, timeout=CALL_BUDGET_S)
        self.tried = False

    async def tell(self, notice: Mapping[str, Any]) -> Told:
        """Post a notice.

        Args:
            notice: JSON data.

        Raises:
            NeedsOperator: it is not known whether the RMM took it.
        """
        if self._guard.in_doubt:
            raise _doubt("an earlier try was cut short")
        self.tried = True
        try:
            response = await self._http.post(self._url, json=notice)
        except NEVER_SENT as error:
            return Told(refusal=f"the RMM's webhook cannot be reached ({type(error).__name__})")
        except (httpx.RequestError, TimeoutError) as error:
            raise _doubt(f"no answer came ({type(error).__name__})") from None
        if response.is_server_error:
            raise _doubt(f"it answered {response.status_code}")
        return Told() if response.is_success else Told(refusal=f"the RMM's webhook answered {response.status_code}")


class RmmWebhook:
    """A process's way to the RMM's webhook.

    Args:
        url: the webhook.
        transport: sends the requests; None opens network connections.
    """

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._transport = transport or httpx.AsyncHTTPTransport()

    def for_run(self, guard: Guard) -> Rmm:
        """Give a run its own access."""
        return Rmm(guard, self._url, FencedTransport(guard, self._transport, limited=False))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


class _Noted(httpx.AsyncBaseTransport):
    """Writes down what would be sent."""

    def __init__(self, note: Callable[[PlannedWrite], None]) -> None:
        self._note = note

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._note(PlannedWrite(request.method, "the RMM's webhook", json.loads(request.content)))
        return httpx.Response(200)


def planned_rmm(guard: Guard, note: Callable[[PlannedWrite], None]) -> Rmm:
    """Give a plan an RMM that cannot be told anything.

    Args:
        guard: the plan's run.
        note: is told what would be sent.
    """
    return Rmm(guard, PLANNED, _Noted(note))


async def tell_rmm(rmm: Rmm, notice: dict[str, Any]) -> Told | None:
    """Tell the RMM.

    Raises:
        NeedsOperator: it is not known whether it took it.
    """
    return await rmm.tell(notice)


async def notify(attempts: Attempts, rmm: Rmm | None, leaving: Departure, snapshot: Snapshot) -> bool:
    """Tell the RMM that the client has left. What it refused is tried again whenever the run goes on.

    Returns:
        Whether it knows.
    """
    if rmm is None:
        attempts.refused["rmm"] = NOT_SET
        return False
    notice = {
        "type": "client.left",
        "run": attempts.run.id,
        "client": {"halopsa_id": leaving.client.id, "name": leaving.client.name, "id": leaving.churn.client.id},
        "last_service_day": leaving.last_day.isoformat(),
        "reason": leaving.churn.reason,
        "asset_ids": snapshot.asset_ids,
    }
    for number in count(1):
        told = await attempts.step(f"rmm:{number}", tell_rmm, rmm, notice)
        if told is None or not told.refusal:
            return told is not None
        if rmm.tried:
            attempts.refused["rmm"] = told.refusal
            return False
    raise AssertionError("count never ends")


def _doubt(why: str) -> NeedsOperator:
    return NeedsOperator(
        f"It is not known whether the RMM was told: {why}. Look there: if it was, mark this step done; else do by hand "
        "what is to be done there and skip this step."
    )
