"""Signing in to HaloPSA: one token, fetched once, renewed early, never shown."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import httpx
import pytest

from tests.memory_run import MemoryRun, Notebook
from workflows.halopsa import Halo, HaloConnection, HaloForbidden, HaloUnavailable
from workflows.halopsa.models import Client

SECRET = "s3cr3t-v4lue"


@dataclass
class Server:
    """A HaloPSA that grants tokens ``t1``, ``t2``, … and knows which of them it accepts."""

    expires_in: object = 3600
    accepts: Callable[[str], bool] = lambda _: True
    told: dict[str, str] | None = None
    refusal: httpx.Response | None = None
    granted: int = 0
    asked: list[httpx.URL] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        self.asked.append(request.url)
        if request.url.path == "/api/authinfo":
            return httpx.Response(200, json=self.told) if self.told else httpx.Response(404)
        if request.url.path.endswith("/token"):
            self.forms.append(parse_qs((await request.aread()).decode()))
            if self.refusal:
                return self.refusal
            self.granted += 1
            return httpx.Response(200, json={"access_token": f"t{self.granted}", "expires_in": self.expires_in})
        token = request.headers["Authorization"].removeprefix("Bearer ")
        return httpx.Response(200, json={"id": 1}) if self.accepts(token) else httpx.Response(401)

    def paths(self) -> list[str]:
        return [url.path for url in self.asked]


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def read_client(halo: Halo) -> Client:
    return await halo.clients.get(1)


def connect(server: Server, **settings: object) -> HaloConnection:
    return HaloConnection(
        "https://halo.test",
        client_id="app",
        client_secret=SECRET,
        transport=httpx.MockTransport(server),
        **settings,  # type: ignore[arg-type]  # the tests vary every setting
    )


async def ask(connection: HaloConnection) -> Client:
    run = MemoryRun(Notebook())
    return await run.step("read", read_client, connection.for_run(run))


async def test_twenty_runs_at_once_sign_in_once() -> None:
    server = Server()
    connection = connect(server)

    await asyncio.gather(*(ask(connection) for _ in range(20)))

    assert server.granted == 1


async def test_the_form_holds_what_client_credentials_need() -> None:
    server = Server()
    await ask(connect(server, scope="read:customers edit:customers"))

    assert server.forms == [
        {
            "grant_type": ["client_credentials"],
            "client_id": ["app"],
            "client_secret": [SECRET],
            "scope": ["read:customers edit:customers"],
        }
    ]


@pytest.mark.parametrize(("life", "good_for"), [(3600, 3540), (100, 90), ("3600", 3540), (None, 3540)])
async def test_a_token_is_renewed_before_it_ends(life: object, good_for: float) -> None:
    clock, server = Clock(), Server(expires_in=life)
    connection = connect(server, clock=clock)

    await ask(connection)
    clock.now += good_for - 1
    await ask(connection)
    assert server.granted == 1

    clock.now += 2
    await ask(connection)
    assert server.granted == 2


async def test_a_refused_token_is_renewed_once_for_all() -> None:
    server = Server(accepts=lambda token: token != "t1")
    connection = connect(server)

    await asyncio.gather(*(ask(connection) for _ in range(5)))

    assert server.granted == 2


async def test_a_second_401_is_a_missing_permission() -> None:
    server = Server(accepts=lambda _: False)

    with pytest.raises(HaloForbidden, match="GET /Client/1"):
        await ask(connect(server))
    assert server.granted == 2
    assert server.paths().count("/api/Client/1") == 2


@pytest.mark.parametrize(
    ("told", "settings", "url"),
    [
        (None, {}, "https://halo.test/auth/token"),
        (
            {"auth_url": "https://auth.test", "tenant_id": "acme"},
            {},
            "https://auth.test/token?tenant=acme",
        ),
        ({"auth_url": "https://halo.test/auth/"}, {}, "https://halo.test/auth/token"),
        ({"auth_url": "http://evil.test/auth"}, {}, "https://halo.test/auth/token"),
        (None, {"auth_url": "https://auth.test", "tenant": "acme"}, "https://auth.test/token?tenant=acme"),
        (None, {"auth_url": "https://auth.test/token"}, "https://auth.test/token"),
        ({"auth_url": "https://x.test", "tenant_id": "b"}, {"tenant": "a"}, "https://x.test/token?tenant=a"),
    ],
)
async def test_where_tokens_come_from(told: dict[str, str] | None, settings: dict[str, str], url: str) -> None:
    server = Server(told=told)
    await ask(connect(server, **settings))

    assert url in [str(asked) for asked in server.asked]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(401, json={"error": "invalid_client"}), HaloForbidden),
        (httpx.Response(400, json={"error": "invalid_scope", "error_description": "bad scope"}), HaloForbidden),
        (httpx.Response(429), HaloUnavailable),
        (httpx.Response(502, text="not json"), HaloUnavailable),
        (httpx.Response(200, text="<html>"), HaloUnavailable),
        (httpx.Response(200, json={"token_type": "Bearer"}), HaloUnavailable),
    ],
)
async def test_a_refused_sign_in_says_why_and_keeps_the_secret(answer: httpx.Response, error: type[Exception]) -> None:
    connection = connect(Server(refusal=answer))

    with pytest.raises(error) as raised:
        await ask(connection)
    assert SECRET not in f"{raised.value!r} {raised.value} {connection!r} {connection.__dict__}"


async def test_a_sign_in_goes_through_the_fence_and_takes_no_intent() -> None:
    notebook = Notebook()
    run = MemoryRun(notebook)
    with pytest.raises(HaloUnavailable):
        await run.step("read", read_client, connect(Server(refusal=httpx.Response(429))).for_run(run))

    assert [what for what, _ in run.calls] == ["GET /api/authinfo", "POST /auth/token"]
    assert notebook.intents == set()


async def test_a_halopsa_that_is_too_busy_to_say_where_to_sign_in_is_not_asked_elsewhere() -> None:
    asked: list[str] = []

    def busy(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(429, headers={"Retry-After": "7"})

    connection = HaloConnection("http://x", client_id="a", client_secret="b", transport=httpx.MockTransport(busy))
    with pytest.raises(HaloUnavailable) as raised:
        await ask(connection)
    assert (raised.value.after, asked) == (7.0, ["/api/authinfo"])


async def test_no_answer_to_the_sign_in_passes_by_itself() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    connection = HaloConnection("http://x", client_id="a", client_secret="b", transport=httpx.MockTransport(refuse))
    with pytest.raises(HaloUnavailable, match="sign-in"):
        await ask(connection)
    await connection.aclose()
