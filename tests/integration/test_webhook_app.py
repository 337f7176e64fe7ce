"""The web application as senders, probes and strangers meet it."""

import asyncio
import json
import socket
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import structlog
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from structlog.testing import capture_logs

from tests.unit.webhook_door import LIMIT, NOW, PUBLIC, SECRETS, WHSEC, Shelf, Web
from webhooks.samples import sample
from webhooks.signatures import sign_standard
from worker.errors import StoreUnavailable

TOKEN = "token-s3cret"
DEAL = {"type": "deal.won", "timestamp": "2026-11-23T08:59:00Z", "data": {"deal": {"id": "D-1"}}}
BODY = json.dumps(DEAL).encode()
JSON = {"content-type": "application/json"}
BEARER = {**JSON, "authorization": f"Bearer {TOKEN}"}


def signed(body: bytes = BODY, delivery_id: str = "msg_1") -> dict[str, str]:
    return JSON | sign_standard(WHSEC, delivery_id, NOW, body)


async def post(web: Web, path: str, body: Any = BODY, headers: Any = None) -> httpx.Response:
    return await web.request("POST", path, content=body, headers=BEARER if headers is None else headers)


def error(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"error", "detail"}
    assert body["detail"]
    return answer.status_code, body["error"]


async def test_a_delivery_is_kept_and_its_repeat_is_named_as_one() -> None:
    web = Web()
    first = await post(web, "/webhooks/standard", headers=signed())
    again = await post(web, "/webhooks/standard", headers=signed())

    assert first.status_code == again.status_code == 202
    assert first.json() == {"accepted": ["standard:msg_1"], "duplicates": [], "ignored": 0}
    assert again.json() == {"accepted": [], "duplicates": ["standard:msg_1"], "ignored": 0}
    assert web.shelf.events["standard:msg_1"].payload == DEAL
    assert web.outcomes == [("standard", "accepted"), ("standard", "duplicate")]


async def test_a_token_delivery_is_kept_once() -> None:
    web = Web()
    first, again = [await post(web, "/webhooks/token") for _ in range(2)]

    assert first.json()["accepted"] == again.json()["duplicates"] == list(web.shelf.events)


@pytest.mark.parametrize("path", ["/webhooks/token/", "/healthz/", "/readyz/", "/metrics/"])
async def test_a_trailing_slash_is_served_without_a_redirect(path: str) -> None:
    answer = await Web().request("POST" if "token" in path else "GET", path, content=BODY, headers=BEARER)

    assert answer.status_code in {200, 202}


@pytest.mark.parametrize("path", ["/webhooks/slack", "/webhooks/token/secret", "/webhooks/token//", "/webhooks/", "/"])
async def test_what_does_not_exist_is_not_found(path: str) -> None:
    assert error(await post(Web(), path)) == (404, "not_found")


@pytest.mark.parametrize("secrets", [[], [""], ["", " "]])
async def test_a_source_without_a_secret_is_as_unknown_as_any(secrets: list[str]) -> None:
    web = Web(secrets={"token": secrets})
    closed = await post(web, "/webhooks/token", headers={**JSON, "authorization": "Bearer "})
    unknown = await post(web, "/webhooks/slack")

    assert error(closed) == (404, "not_found")
    assert closed.json() == unknown.json()
    assert web.outcomes == [("unknown", "not_found"), ("unknown", "not_found")]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_only_post_delivers(method: str) -> None:
    answer = await Web().request(method, "/webhooks/token", headers=BEARER)

    assert answer.headers["allow"] == "POST"
    assert answer.status_code == 405
    assert method == "HEAD" or error(answer) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON; Charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/ld+json; version=1",
    ],
)
async def test_json_in_utf_8_is_read_under_any_of_its_names(kind: str) -> None:
    assert (await post(Web(), "/webhooks/token", headers=BEARER | {"content-type": kind})).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": ""},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-encoding": "br"},
        {"content-encoding": "gzip, gzip"},
    ],
)
async def test_another_type_or_encoding_is_refused(headers: dict[str, str]) -> None:
    web = Web()

    assert error(await post(web, "/webhooks/token", headers=BEARER | headers)) == (415, "unsupported_type")
    assert error(await post(web, "/webhooks/token", headers={})) == (415, "unsupported_type")
    assert not web.shelf.events


async def test_a_delivery_that_is_not_proven_is_refused_before_it_is_read() -> None:
    web = Web()

    assert error(await post(web, "/webhooks/token", b"not json", JSON)) == (401, "not_proven")
    assert error(await post(web, "/webhooks/standard", BODY + b" ", signed())) == (401, "not_proven")
    assert not web.shelf.events


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"\xff", b"[]", b'"text"', b"{}", b'{"type": 1}', b"99999", b"9" * 5000]
)
async def test_a_proven_delivery_that_cannot_be_read_is_told_so(body: bytes) -> None:
    web = Web()

    assert error(await post(web, "/webhooks/token", body)) == (400, "not_readable")
    assert error(await post(web, "/webhooks/standard", body, signed(body))) == (400, "not_readable")
    assert not web.shelf.events


async def test_where_valkey_is_stays_inside() -> None:
    trouble = StoreUnavailable("Valkey: Error 111 connecting to 10.0.0.7:6379")
    trouble.__cause__ = ConnectionError()
    web = Web(Shelf(trouble=trouble))
    answers = [await post(web, "/webhooks/token"), await web.request("GET", "/readyz")]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert not any("10.0.0.7" in answer.text for answer in answers)


async def test_while_nothing_can_be_stored_the_sender_is_asked_to_come_again() -> None:
    web = Web(Shelf(trouble=StoreUnavailable("Valkey is away")))
    answer = await post(web, "/webhooks/token")
    probe = await web.request("GET", "/readyz")

    assert error(answer) == error(probe) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert probe.json()["detail"] == "Valkey is away"
    assert (await web.request("GET", "/healthz")).json() == {"status": "ok"}


async def test_probes_and_metrics_answer() -> None:
    web = Web()

    assert (await web.request("GET", "/readyz")).json() == {"status": "ok"}
    assert (await web.request("GET", "/metrics")).text == "deliveries_total 1\n"
    assert (await web.request("GET", "/metrics")).headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_a_bug_is_answered_in_json_and_logged_once_with_its_trace() -> None:
    bug = ZeroDivisionError("behind the door")
    web = Web(Shelf(trouble=bug))
    with capture_logs() as lines:
        answer = await post(web, "/webhooks/token")

    assert error(answer) == (500, "internal")
    assert "behind the door" not in answer.text
    assert [line["exc_info"] for line in lines] == [bug]
    assert error(await web.request("GET", "/readyz")) == (500, "internal")


async def test_each_delivery_leaves_one_line_that_tells_no_secret() -> None:
    web = Web()
    with capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        taken = await post(web, "/webhooks/token")
        refused = await post(web, "/webhooks/standard", headers=BEARER)
        await post(web, f"/webhooks/{TOKEN}")

    assert [(line["event"], line["source"], line["outcome"], line["status"]) for line in lines] == [
        ("delivery", "token", "accepted", 202),
        ("delivery", "standard", "not_proven", 401),
        ("delivery", "unknown", "not_found", 404),
    ]
    assert (lines[0]["accepted"], lines[0]["duplicates"]) == (1, 0)
    assert [line["request_id"] for line in lines[:2]] == [one.headers["x-request-id"] for one in (taken, refused)]
    for told in (TOKEN, WHSEC, "D-1"):
        assert told not in repr(lines)


async def endless(sent: list[int]) -> AsyncIterator[bytes]:
    while True:
        sent.append(1000)
        yield b" " * 1000


async def test_a_body_is_read_no_further_than_the_limit() -> None:
    web, sent = Web(), list[int]()
    answer = await post(web, "/webhooks/token", endless(sent))

    assert error(answer) == (413, "too_large")
    assert answer.headers["connection"] == "close"
    assert sum(sent) == LIMIT + 1000


async def test_a_body_that_announces_itself_as_too_long_is_not_read_at_all() -> None:
    web, sent = Web(), list[int]()
    answer = await post(web, "/webhooks/token", endless(sent), BEARER | {"content-length": str(LIMIT + 1)})

    assert error(answer) == (413, "too_large")
    assert sent == []


async def test_a_body_of_just_the_limit_is_read() -> None:
    assert (await post(Web(), "/webhooks/token", BODY.ljust(LIMIT))).status_code == 202


JUNK = st.binary(max_size=40) | st.text(string.printable, max_size=40).map(str.encode)
NAMES = [
    b"webhook-id",
    b"webhook-timestamp",
    b"webhook-signature",
    b"authorization",
    b"content-type",
    b"content-length",
]
VALUES = [
    b"",
    b",",
    b"v1,",
    b"v1,\xe9",
    b"v1,AAAA v1",
    b"Bearer ",
    b"Bearer \xff",
    b"application/json;;charset",
    b"9" * 5000,
]
BODIES = [BODY, b"[]", b'{"type": "x", "timestamp": "9999-12-31T23:59:59-23:59"}', b'{"type": "\\ud800"}', b"[" * 9000]


@settings(max_examples=200, deadline=None)
@given(
    source=st.sampled_from(["standard", "token", "slack"]),
    body=st.sampled_from(BODIES) | JUNK,
    changed=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | JUNK), max_size=3),
    doubled=st.booleans(),
)
async def test_no_header_and_no_body_breaks_the_door(
    *, source: str, body: bytes, changed: list[tuple[bytes, bytes]], doubled: bool
) -> None:
    proof = [(name.encode(), value.encode()) for name, value in (BEARER | signed(body)).items()]
    kept = [one for one in proof if doubled or one[0] not in dict(changed)]
    answer = await post(Web(), f"/webhooks/{source}", body, kept + changed)

    assert answer.status_code in {202, 400, 401, 404, 413, 415}


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[int]:
    """Serve on a real socket, at a port of the system's choice."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


def head(announcement: bytes) -> bytes:
    return (
        b"POST /webhooks/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + announcement + b"\r\n\r\n"
    )


async def flood(writer: asyncio.StreamWriter, frame: bytes, times: int) -> int:
    """Send `frame` again and again; returns how often it was sent before the other side hung up."""
    for sent in range(times):
        try:
            writer.write(frame)
            await writer.drain()
        except ConnectionError:
            return sent
    return times


@pytest.mark.parametrize(
    ("announcement", "frame"),
    [
        pytest.param(b"Content-Length: 1000000000", b" " * 65_536, id="announced"),
        pytest.param(b"Transfer-Encoding: chunked", b"10000\r\n" + b" " * 65_536 + b"\r\n", id="in chunks"),
    ],
)
async def test_over_a_real_socket_a_flood_is_cut_off(announcement: bytes, frame: bytes) -> None:
    async with served(Web().app()) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(announcement))
        sent = await flood(writer, frame, times=15_000)
        writer.close()

    assert sent < 1000


async def test_over_a_real_socket_the_refused_sender_reads_why() -> None:
    async with served(Web().app()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(b"Content-Length: %d" % (LIMIT + 1)))
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"error":"too_large"' in answer


async def test_a_sender_that_hangs_up_in_the_middle_is_no_bug() -> None:
    web = Web()
    async with served(web.app()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(b"Content-Length: 100\r\nExpect: 100-continue"))
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        writer.close()

    assert web.outcomes == [("token", "not_readable")]


async def test_over_a_real_socket_the_signed_address_counts_as_it_came() -> None:
    path = "/webhooks/hubspot/?a=%20b&c"
    sent = sample("hubspot", SECRETS["hubspot"], PUBLIC + path, NOW)
    async with served(Web().app()) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.post(path, content=sent.body, headers=sent.headers.raw)

    assert answer.status_code == 202


async def test_over_a_real_socket_an_address_that_ends_with_the_secret_is_let_in() -> None:
    sent = sample("salesforce", SECRETS["salesforce"], f"{PUBLIC}/webhooks/salesforce", NOW)
    async with served(Web().app()) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        path = sent.url.removeprefix(PUBLIC)
        right = await client.post(path, content=sent.body, headers=sent.headers.raw)
        wrong = await client.post(path + "x", content=sent.body, headers=sent.headers.raw)

    assert (right.status_code, wrong.status_code) == (200, 404)
