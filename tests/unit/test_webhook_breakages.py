"""A delivery with one thing broken is never called good, and no part of it that is intact is blamed."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from tests.unit.webhook_door import LIMIT, NOW, PUBLIC, SECRETS, Web
from webhooks.delivery import Delivery
from webhooks.edge import Edge
from webhooks.judging.captured import Captured
from webhooks.judging.causes import Verdict
from webhooks.judging.verdict import explain
from webhooks.samples import sample

ALL = tuple(SECRETS)
SIGNED = ("standard", "hubspot")
BY_HEADER = ("standard", "token", "hubspot", "pipedrive", "dynamics", "halopsa")
BY_ADDRESS = ("salesforce", "zoho", "halopsa")
TELLING_ACCOUNT = ("hubspot", "pipedrive", "salesforce", "dynamics")
PROOFS = {
    "standard": "webhook-signature",
    "hubspot": "x-hubspot-signature-v3",
    "dynamics": "x-webhook-secret",
    **dict.fromkeys(("token", "pipedrive", "halopsa"), "authorization"),
}
TIMES = {"standard": ("webhook-timestamp", 1), "hubspot": ("x-hubspot-request-timestamp", 1000)}
OTHER = "whsec_" + "QUJD" * 8
OPEN = Edge(public_url=PUBLIC)


@dataclass(frozen=True)
class Broken:
    """A sample with one thing broken, and what is to be said of it."""

    name: str
    sources: tuple[str, ...]
    change: Callable[[str, Delivery], Delivery]
    cause: str
    told: str = ""
    secret: Callable[[str], str] = str
    edge: Edge = OPEN
    max_body_bytes: int = LIMIT


def intact(name: str) -> Delivery:
    return sample(name, SECRETS[name], f"{PUBLIC}/webhooks/{name}", NOW)


def same(_: str, sent: Delivery) -> Delivery:
    return sent


def header(sent: Delivery, name: str, value: str | None) -> Delivery:
    rest = {key: old for key, old in sent.headers.items() if key != name}
    return replace(sent, headers=Headers(rest if value is None else {**rest, name: value}))


def with_header(key: str, value: str) -> Callable[[str, Delivery], Delivery]:
    return lambda _, sent: header(sent, key, value)


def at(ending: str) -> Callable[[str, Delivery], Delivery]:
    return lambda name, sent: replace(sent, url=f"{PUBLIC}/webhooks/{name}{ending}")


def body(change: Callable[[bytes], bytes]) -> Callable[[str, Delivery], Delivery]:
    return lambda _, sent: replace(sent, body=change(sent.body))


def with_time(change: Callable[[int, int], object]) -> Callable[[str, Delivery], Delivery]:
    def changed(name: str, sent: Delivery) -> Delivery:
        key, per_second = TIMES[name]
        return header(sent, key, str(change(int(sent.headers[key]), per_second)))

    return changed


def with_signature(change: Callable[[str], str]) -> Callable[[str, Delivery], Delivery]:
    def changed(name: str, sent: Delivery) -> Delivery:
        version, _, text = sent.headers[PROOFS[name]].rpartition(",")
        return header(sent, PROOFS[name], f"{version}{',' if version else ''}{change(text)}")

    return changed


def doubled(name: str, sent: Delivery) -> Delivery:
    proof = PROOFS[name].encode()
    raw = sent.headers.raw
    return replace(sent, headers=Headers(raw=[*raw, *(one for one in raw if one[0] == proof)]))


def bare(name: str, sent: Delivery) -> Delivery:
    rest = {"content-type": sent.headers["content-type"]}
    without = sent.body.replace(b"token", b"taken") if name == "zoho" else sent.body
    return Delivery(Headers(rest), without, NOW, f"{PUBLIC}/webhooks/{name}")


def late(_: str, sent: Delivery) -> Delivery:
    return replace(sent, received_at=NOW + timedelta(minutes=7))


def early(_: str, sent: Delivery) -> Delivery:
    return replace(sent, received_at=NOW - timedelta(minutes=7))


def put(_: str, sent: Delivery) -> Delivery:
    return replace(sent, method="PUT")


def cut_with_length(_: str, sent: Delivery) -> Delivery:
    return replace(header(sent, "content-length", str(len(sent.body))), body=sent.body[:-5])


def hexed(text: str) -> str:
    return base64.b64decode(text).hex()


def indented(content: bytes) -> bytes:
    return json.dumps(json.loads(content), indent=2).encode()


def as_v2(_: str, sent: Delivery) -> Delivery:
    """Leave HubSpot's older signature, under the wrong version."""
    return header(header(sent, "x-hubspot-signature-v3", None), "x-hubspot-signature-version", "v2")


BROKEN = [
    Broken("other secret", ALL, same, "wrong_secret", secret=lambda _: OTHER),
    Broken("blank after the secret", ALL, same, "wrong_secret", "without the blanks", lambda text: text + "\n"),
    Broken("quoted secret", ALL, same, "wrong_secret", "without the quotes", lambda text: f'"{text}"'),
    Broken("other type", ALL, with_header("content-type", "text/plain"), "unsupported_type", "text/plain"),
    Broken("other encoding", ALL, with_header("content-encoding", "br"), "unsupported_type", "br"),
    Broken("no gzip", ALL, with_header("content-encoding", "gzip"), "not_readable", "gzip"),
    Broken("other method", ALL, put, "wrong_method", "PUT"),
    Broken("too large", ALL, same, "too_large", "50", max_body_bytes=50),
    Broken("address that goes on", ALL, at("/a/b"), "wrong_url"),
    Broken("secret in the address", ("standard", "token", "hubspot", "pipedrive", "dynamics"), at("/x"), "wrong_url"),
    Broken("wrong secret in the address", BY_ADDRESS, at("/wrong"), "wrong_secret", "address"),
    Broken("no proof", ALL, bare, "missing"),
    Broken("proof twice", BY_HEADER, doubled, "malformed", "more than once"),
    Broken(
        "foreign account",
        TELLING_ACCOUNT,
        same,
        "wrong_account",
        edge=replace(OPEN, accounts={name: ["9"] for name in ALL}),
    ),
    Broken("too late", SIGNED, late, "too_old", "420 seconds after"),
    Broken("too early", SIGNED, early, "too_old", "420 seconds before"),
    Broken("junk for a time", SIGNED, with_time(lambda *_: "today"), "malformed", "since 1970"),
    Broken("other unit of time", SIGNED, with_time(lambda old, unit: old * 1000 // unit**2), "malformed", "fits"),
    Broken("time a little later", SIGNED, with_time(lambda old, unit: old + 5 * unit), "changed_header", "timestamp"),
    Broken("time a day later", SIGNED, with_time(lambda old, unit: old + 86400 * unit), "changed_header", "timestamp"),
    Broken("signature in hex", SIGNED, with_signature(hexed), "malformed", "hex"),
    Broken("signature cut short", SIGNED, with_signature(lambda old: old[:-4]), "malformed", "base64"),
    Broken("signature that is none", SIGNED, with_signature(lambda _: "N/A"), "malformed", "base64"),
    Broken("signature with another end", SIGNED, with_signature(lambda old: old[:-5] + "AAAA="), "changed_header"),
    Broken("byte order mark", SIGNED, body(lambda old: b"\xef\xbb\xbf" + old), "changed_body", "byte order mark"),
    Broken("line end", SIGNED, body(lambda old: old + b"\n"), "changed_body"),
    Broken("JSON written anew", SIGNED, body(indented), "changed_body", "JSON"),
    Broken(
        "another value", SIGNED, body(lambda old: old.replace(b"deal", b"dael")), "wrong_secret", "body was changed"
    ),
    Broken("body cut short", (*SIGNED, "zoho"), cut_with_length, "changed_body", "cut short"),
    Broken("body that is no JSON", ("zoho",), body(lambda _: b"hello"), "malformed", "no JSON"),
    Broken("version missing", ("standard",), with_header("webhook-signature", "AAAA"), "wrong_scheme", "v1,"),
    Broken("v1 as v2", ("hubspot",), as_v2, "wrong_scheme", "v1"),
    Broken("with a query", ("hubspot",), at("?x=1"), "wrong_url", "signed for"),
    Broken("with a slash", ("hubspot",), at("/"), "wrong_url", "signed for"),
    Broken(
        "other public address",
        ("hubspot",),
        same,
        "wrong_url",
        "signed for",
        edge=Edge(public_url="http://10.0.0.1:8080"),
    ),
    Broken("no Basic", ("pipedrive", "halopsa"), with_header("authorization", "Basic !"), "malformed", "base64"),
    Broken(
        "no pair", ("pipedrive", "halopsa"), with_header("authorization", "Basic eHg="), "malformed", "user:password"
    ),
    Broken("no token", ("token",), with_header("authorization", "Bearer"), "malformed", "Bearer"),
]


async def judge(name: str, sent: Delivery, secret: str = "", edge: Edge = OPEN, most: int = LIMIT) -> Verdict:
    captured = Captured(name, sent, dated=True)
    return await explain(captured, [secret or SECRETS[name]], edge=edge, max_body_bytes=most)


@pytest.mark.parametrize(
    ("broken", "name"), [pytest.param(one, name, id=f"{name}: {one.name}") for one in BROKEN for name in one.sources]
)
async def test_the_one_thing_that_is_broken_is_named(broken: Broken, name: str) -> None:
    secret = broken.secret(SECRETS[name])
    verdict = await judge(name, broken.change(name, intact(name)), secret, broken.edge, broken.max_body_bytes)

    assert (await judge(name, intact(name))).cause == "good"
    assert (verdict.cause, broken.told in verdict.text) == (broken.cause, True), verdict.text
    assert secret.strip() not in verdict.text
    assert SECRETS[name] not in verdict.text


HEADERS = [
    *("authorization", "content-type", "content-encoding", "content-length", "x-webhook-secret", "webhook-id"),
    *("webhook-timestamp", "webhook-signature", "x-hubspot-signature-v3", "x-hubspot-request-timestamp"),
    *(
        "x-hubspot-signature",
        "x-hubspot-signature-version",
        "host",
        "forwarded",
        "x-original-url",
        "x-forwarded-prefix",
    ),
]
VALUES = [
    "",
    "x",
    ",",
    "v1,",
    "v1,AAAA",
    "v2",
    "gzip",
    "br",
    "text/xml",
    "9" * 15,
    "9" * 5000,
    "Bearer x",
    "Basic Og==",
    "\xe9",
]
VALUES += [
    "1795424400",
    "1795424400000",
    "host=[",
    "https://[x",
    "application/json; charset=latin-1",
    "application/json",
]


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(st.tuples(st.sampled_from(HEADERS), st.sampled_from(VALUES)), max_size=2),
    content=st.none() | st.sampled_from([b"", b"{}", b"[]", b"null", b"\xff", b"<a/>", b"x" * (LIMIT + 1)]),
    ending=st.sampled_from(["", "/", "?x=1", "/x", "/x/y", "/%ff", "?code=dynamics-s3cret", "?%zz&=&"]),
    method=st.sampled_from(["POST", "POST", "POST", "GET"]),
    off=st.sampled_from([0, 0, 0, 299, 301, -(10**6)]),
)
async def test_the_verdict_is_good_just_where_the_door_opens(
    *, name: str, changes: list[tuple[str, str]], content: bytes | None, ending: str, method: str, off: int
) -> None:
    sent = sample(name, SECRETS[name], f"{PUBLIC}/webhooks/{name}", NOW - timedelta(seconds=off))
    headers = Headers(dict(sent.headers) | dict(changes))
    changed = replace(sent, headers=headers, url=sent.url + ending, received_at=NOW, method=method)
    changed = changed if content is None else replace(changed, body=content)
    web = Web(secrets={name: [SECRETS[name]]})
    raw = changed.headers.raw
    answer = await web.request(method, changed.url.removeprefix(PUBLIC), content=changed.body, headers=raw)
    verdict = await judge(name, changed)

    assert (verdict.cause == "good") == answer.is_success, verdict
    assert verdict.status == answer.status_code, verdict
    assert SECRETS[name] not in verdict.text
