"""Senders that open a connection and take their time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from worker.http_protocol import PunctualProtocol
from worker.ports import bind

BODY = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hasty(PunctualProtocol):
    head_within_s = 0.2


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse((await request.body()).decode())


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener = bind(("127.0.0.1", 0), "WEB_BIND")
    app = Starlette(routes=[Route("/", echo, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, http=Hasty, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await task


async def opened(port: int, said: bytes) -> Connection:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    return reader, writer


async def answer(connection: Connection, body: bytes) -> bytes:
    return await connection[0].readuntil(body)


@pytest.mark.parametrize("said", [b"", b"POST", b"POST / HTTP/1.1\r\nhost: x\r\n"])
async def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(port: int, said: bytes) -> None:
    reader, writer = await opened(port, said)

    assert await reader.read() == b""
    writer.close()


async def test_the_same_holds_for_the_next_request_of_a_connection(port: int) -> None:
    connection = await opened(port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await answer(connection, b"\r\n\r\n")
    connection[1].write(b"GET / HT")

    assert await connection[0].read() == b""
    connection[1].close()


async def test_a_body_may_come_later_than_that(port: int) -> None:
    slow, doomed = await opened(port, BODY), await opened(port, b"POST")
    assert await doomed[0].read() == b""
    slow[1].write(b"cd")

    assert (await answer(slow, b"abcd")).startswith(b"HTTP/1.1 200")
    for connection in (slow, doomed):
        connection[1].close()
