"""The fence: no request leaves for HaloPSA unless the run still holds its lease, and no write without an intent."""

from http import HTTPStatus
from typing import Final

import httpx

from worker.run import CALL_BUDGET_S, Guard
from workflows.halopsa.errors import retry_after

NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class FencedTransport(httpx.AsyncBaseTransport):
    """Guards every request.

    Args:
        guard: a run, or what else the requests belong to.
        inner: sends them; shared by all runs of the process and not closed here.
        writes: False for requests that change nothing whatever their method is, as those of a sign-in.
        limited: False for requests that go elsewhere, so that they do not count in HaloPSA's request budget.
    """

    def __init__(
        self, guard: Guard, inner: httpx.AsyncBaseTransport, *, writes: bool = True, limited: bool = True
    ) -> None:
        self._guard = guard
        self._inner = inner
        self._writes = writes
        self._limited = limited

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its whole answer within its budget: the request's own timeout.

        Raises:
            TimeoutError: the budget ran out.
            httpx.TransportError: no answer came.
        """
        what = f"{request.method} {request.url.path}"
        budget_s = request.extensions.get("timeout", {}).get("read") or CALL_BUDGET_S
        write = self._writes and request.method != "GET"
        async with self._guard.call(what, write=write, budget_s=budget_s, limited=self._limited) as call:
            try:
                response = await self._inner.handle_async_request(request)
                await response.aread()
            except NEVER_SENT:
                call.settled()
                raise
            call.settled()
            if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                call.refused(retry_after(response))
            return response
