"""Over a real connection a lost answer looks to the caller as HaloPSA's would."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from workflows.sandbox import Sandbox, sandbox_app

CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": "parhelion",
    "client_secret": "sandbox-secret",
    "scope": "all",
}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a token, of a server on a free port."""
    config = uvicorn.Config(sandbox_app(sandbox), port=0, lifespan="off", log_level="critical")
    listening = config.bind_socket()
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    port = listening.getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        granted = await client.post("/auth/token", data=CREDENTIALS)
        client.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"
        yield client
    server.should_exit = True
    await serving


async def test_a_lost_answer_is_a_broken_connection_and_the_write_is_done(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    sandbox.faults.lose_answers = 1
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post("/api/Client", json=[{"name": "Acme"}])
    sandbox.faults.lose_answers = 0
    found = await http.get("/api/Client", params={"search": "Acme"})
    assert found.json()["record_count"] == 1


async def test_authinfo_names_the_address_that_was_called(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/authinfo")).json()["auth_url"] == f"{http.base_url}/auth"
