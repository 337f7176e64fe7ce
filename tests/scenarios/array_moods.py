"""Tenants that treat arrays of records in one way or another, whatever the answer says."""

import json
from typing import Any, Literal

import httpx

Mood = Literal["plain", "last shown", "last written", "refused", "as many as possible"]


class Moody(httpx.AsyncBaseTransport):
    """Takes arrays of more than one record apart before they reach a tenant, which is sent one record at a time.

    Args:
        inner: leads to the tenant.
        mood: what becomes of an array: it is taken plainly; all of it is written and the last record shown; the last
            one is written alone; it is refused as such; or what can be is written, and it is refused if a record is.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, mood: Mood) -> None:
        self._inner = inner
        self._mood = mood

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        records = json.loads(request.content) if request.method == "POST" and "/api/" in request.url.path else []
        if len(records) < 2 or self._mood == "plain":
            return await self._inner.handle_async_request(request)
        if self._mood == "refused":
            return httpx.Response(400, json="Input string is not valid")
        if self._mood == "last written":
            return await self._alone(request, records[-1])
        answers = [await self._alone(request, record) for record in records]
        return next((answer for answer in answers if answer.is_error), answers[-1])

    async def _alone(self, request: httpx.Request, record: Any) -> httpx.Response:
        headers = {"Authorization": request.headers["Authorization"], "Content-Type": "application/json"}
        url = request.url.copy_remove_param("returnall")
        return await self._inner.handle_async_request(httpx.Request("POST", url, headers=headers, json=[record]))
