"""A caller of the sandbox's HaloPSA, as any integration would call it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from workflows.sandbox import Sandbox, sandbox_app

CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": "parhelion",
    "client_secret": "sandbox-secret",
    "scope": "all",
}


class HaloCaller:
    def __init__(self, sandbox: Sandbox, http: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.http = http

    async def sign_in(self) -> None:
        granted = await self.http.post("/auth/token", data=CREDENTIALS)
        self.http.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"

    async def post(self, entity: str, *records: dict[str, Any], status: int = 201, query: str = "") -> Any:
        answer = await self.http.post(f"/api/{entity}{query}", json=list(records))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, **query: object) -> Any:
        answer = await self.http.get(f"/api/{path}", params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def calling(sandbox: Sandbox) -> AsyncIterator[HaloCaller]:
    """A caller that has signed in."""
    transport = httpx.ASGITransport(sandbox_app(sandbox))
    async with httpx.AsyncClient(transport=transport, base_url="http://halo.test") as http:
        caller = HaloCaller(sandbox, http)
        await caller.sign_in()
        yield caller
