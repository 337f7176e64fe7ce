"""Network connections to HaloPSA."""

import asyncio
import importlib.util
import sys

import httpx

if importlib.util.find_spec("sniffio") is None:
    # httpcore tries to import it several times in every request, and each time Python searches all its folders, which
    # makes up a sixth of the request. None is Python's own way to say that a module is not to be had.
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # the types do not know of None


class Connections(httpx.AsyncBaseTransport):
    """As many connections as requests are under way at once, each kept open for the next request.

    For every request a pool of httpx looks at each of its connections, with a system call for each idle one; at 20
    requests at once that costs more than the requests themselves. So every pool here holds one connection.
    """

    def __init__(self) -> None:
        self._tls = httpx.create_ssl_context()
        self._one = httpx.Limits(max_connections=1)
        self._free: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its whole answer.

        Raises:
            httpx.TransportError: no answer came.
        """
        connection = self._free.pop() if self._free else httpx.AsyncHTTPTransport(verify=self._tls, limits=self._one)
        try:
            response = await connection.handle_async_request(request)
            await response.aread()
            return response
        finally:
            self._free.append(connection)

    async def aclose(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(connection.aclose() for connection in self._free))
