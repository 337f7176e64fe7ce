"""Requests and answers over ASGI, the answer that never comes included."""

import httpx
from starlette.types import Receive, Send

from workflows.sandbox.answers import Answer


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


async def send_answer(send: Send, answer: Answer, *, lost: bool) -> None:
    """Send an answer, or drop the connection after its head.

    Raises:
        httpx.ReadError: the answer is lost. A server of ASGI apps closes the connection at that, so that its caller
            finds the answer cut off; a caller through `httpx.ASGITransport` gets this error itself.
    """
    headers = [(b"content-length", str(len(answer.body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    if answer.body:
        headers.append((b"content-type", answer.content_type.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if lost:
        raise httpx.ReadError("the sandbox dropped the connection before it answered")
    await send({"type": "http.response.body", "body": answer.body})
