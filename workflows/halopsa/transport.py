"""The fence: no request leaves for HaloPSA unless the run still holds its lease, and no write without an intent."""

from typing import Final

import httpx

from worker.run import Run

NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class FencedTransport(httpx.AsyncBaseTransport):
    """Guards every request with the run.

    Args:
        run: whose requests these are.
        inner: sends them; shared by all runs of the process and not closed here.
    """

    def __init__(self, run: Run, inner: httpx.AsyncBaseTransport) -> None:
        self._run = run
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its whole answer within the call's budget.

        Raises:
            TimeoutError: the budget ran out.
            httpx.TransportError: no answer came.
        """
        what = f"{request.method} {request.url.path}"
        async with self._run.call(what, write=request.method != "GET") as call:
            try:
                response = await self._inner.handle_async_request(request)
                await response.aread()
            except NEVER_SENT:
                call.settled()
                raise
            call.settled()
            return response
