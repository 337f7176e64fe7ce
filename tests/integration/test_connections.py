"""Connections to HaloPSA over real sockets."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from workflows.halopsa.connections import Connections


class Server:
    """Answers requests once it is let, and counts the connections that were opened."""

    def __init__(self) -> None:
        self.opened = 0
        self.arrived = asyncio.Semaphore(0)
        self.may_answer = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            self.arrived.release()
            await self.may_answer.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]")
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, httpx.AsyncClient]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    async with listening, httpx.AsyncClient(base_url=f"http://{host}:{port}", transport=Connections()) as client:
        yield server, client


async def test_requests_one_after_the_other_share_a_connection(server: tuple[Server, httpx.AsyncClient]) -> None:
    counting, client = server
    counting.may_answer.set()

    answers = [await client.get("/Client") for _ in range(3)]

    assert [answer.json() for answer in answers] == [[], [], []]
    assert counting.opened == 1


async def test_requests_at_once_do_not_wait_for_each_other(server: tuple[Server, httpx.AsyncClient]) -> None:
    counting, client = server
    requests = [asyncio.create_task(client.get("/Client")) for _ in range(5)]
    async with asyncio.timeout(5):
        for _ in requests:
            await counting.arrived.acquire()
    counting.may_answer.set()
    await asyncio.gather(*requests)
    await client.get("/Client")

    assert counting.opened == 5


async def test_a_request_that_was_given_up_leaves_no_answer_for_the_next(
    server: tuple[Server, httpx.AsyncClient],
) -> None:
    counting, client = server
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.get("/Client")
    counting.may_answer.set()

    assert (await client.get("/Client")).json() == []
    assert counting.opened == 2
