"""Tenants that treat arrays of records in one way or another, whatever the answer says."""

import json
from typing import Any, Literal

import httpx

Mood = Literal["plain", "last shown", "last written", "refused", "as many as possible", "cut short"]


class Moody(httpx.AsyncBaseTransport):
    """Takes arrays of more than one record apart before they reach a tenant, which is sent one record at a time.

    Args:
        inner: leads to the tenant.
        mood: what becomes of an array: it is taken plainly; all of it is written and the last record shown; the last
            one is written alone; it is refused as such; what can be is written, and it is refused if a record is; or
            the first two are written by half and fail then, and the others are taken plainly.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, mood: Mood) -> None:
        self._inner = inner
        self._mood = mood
        self._cuts = 2 if mood == "cut short" else 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        records = json.loads(request.content) if request.method == "POST" and "/api/" in request.url.path else []
        if len(records) < 2 or self._mood == "plain":
            return await self._inner.handle_async_request(request)
        if self._mood == "refused":
            return httpx.Response(400, json="Input string is not valid")
        if self._mood == "last written":
            return await self._alone(request, records[-1])
        if self._mood == "cut short":
            return await self._cut(request, records)
        answers = [await self._alone(request, record) for record in records]
        return next((answer for answer in answers if answer.is_error), answers[-1])

    async def _cut(self, request: httpx.Request, records: list[Any]) -> httpx.Response:
        if self._cuts == 0:
            return await self._inner.handle_async_request(request)
        self._cuts -= 1
        for record in records[: len(records) // 2]:
            await self._alone(request, record)
        return httpx.Response(502, html="<html>Bad Gateway</html>")

    async def _alone(self, request: httpx.Request, record: Any) -> httpx.Response:
        headers = {"Authorization": request.headers["Authorization"], "Content-Type": "application/json"}
        alone = httpx.Request("POST", request.url, headers=headers, json=[record])
        return await self._inner.handle_async_request(alone)
