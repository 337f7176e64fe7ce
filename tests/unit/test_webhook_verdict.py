"""Why a captured request fails: the true cause of each broken delivery is named."""

import base64
import gzip
import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.datastructures import Headers

from tests.unit.webhook_door import LIMIT, NOW, PUBLIC, SECRETS, WHSEC
from webhooks.delivery import Delivery
from webhooks.edge import Edge, read_networks
from webhooks.judging.captured import Captured, dump_captured, read_captured
from webhooks.judging.causes import Verdict
from webhooks.judging.verdict import explain
from webhooks.samples import sample
from webhooks.signatures import sign_standard
from webhooks.sources import hubspot

EVERY = pytest.mark.parametrize("name", SECRETS)
SIGNED = pytest.mark.parametrize("name", ["standard", "hubspot"])


def made(name: str, **changes: str) -> Delivery:
    sent = sample(name, SECRETS[name], f"{PUBLIC}/webhooks/{name}", NOW)
    length = {"content-length": str(len(sent.body))}
    return replace(sent, headers=Headers({**sent.headers, **length, **changes}))


async def judge(delivery: Delivery, *, secret: str = "", edge: Edge | None = None) -> Verdict:
    captured = read_captured(dump_captured(delivery).encode(), NOW)
    secrets = [secret or SECRETS[captured.source]]
    verdict = await explain(captured, secrets, edge=edge or Edge(), max_body_bytes=LIMIT)
    assert verdict.text
    assert SECRETS[captured.source] not in verdict.text
    return verdict


async def cause(delivery: Delivery, *, secret: str = "", public_url: str = "") -> str:
    return (await judge(delivery, secret=secret, edge=Edge(public_url=public_url))).cause


@EVERY
async def test_a_good_request_is_called_good(name: str) -> None:
    assert await cause(made(name)) == await cause(made(name), public_url=PUBLIC) == "good"


async def test_a_public_address_may_have_a_path() -> None:
    sent = sample("hubspot", SECRETS["hubspot"], "https://x.example/in/webhooks/hubspot", NOW)

    assert (
        await cause(replace(sent, url="http://inner:8080/webhooks/hubspot"), public_url="https://x.example/in/")
        == "good"
    )
    assert await cause(sent, public_url="https://x.example/in") == "good"


@EVERY
async def test_a_wrong_secret_is_named(name: str) -> None:
    assert await cause(made(name), secret="whsec_" + "QUJD" * 8) == "wrong_secret"


@SIGNED
async def test_a_changed_body_is_named(name: str) -> None:
    sent = made(name)
    longer = replace(sent, body=sent.body.replace(b"a", b"aa", 1))
    reformatted = replace(sent, body=json.dumps(json.loads(sent.body), indent=2).encode())

    assert await cause(longer) == await cause(reformatted) == "changed_body"


async def test_where_nothing_tells_secret_from_body_both_are_said() -> None:
    sent = sample("standard", SECRETS["standard"], f"{PUBLIC}/webhooks/standard", NOW)
    verdict = await judge(replace(sent, body=b"{}"))

    assert "secret" in verdict.text
    assert "body was changed" in verdict.text


@SIGNED
@pytest.mark.parametrize("minutes", [6, -6, 10_000])
async def test_a_request_that_is_too_old_or_early_is_named(name: str, minutes: int) -> None:
    assert await cause(replace(made(name), received_at=NOW + timedelta(minutes=minutes))) == "too_old"


@pytest.mark.parametrize(
    ("address", "host", "public_url"),
    [
        pytest.param("http://hooks.msp.example/webhooks/hubspot", "", "", id="scheme"),
        pytest.param("http://10.0.0.5:8080/webhooks/hubspot", "hooks.msp.example", "", id="inner host"),
        pytest.param(f"{PUBLIC}/webhooks/hubspot/", "", "", id="slash"),
        pytest.param(f"{PUBLIC}/webhooks/hubspot?x=1", "", "", id="query"),
        pytest.param("https://elsewhere.example/webhooks/hubspot", "", "", id="another host"),
        pytest.param(f"{PUBLIC}/webhooks/hubspot", "", "http://127.0.0.1:8080", id="public address set wrongly"),
    ],
)
async def test_a_wrong_address_is_named(address: str, host: str, public_url: str) -> None:
    sent = made("hubspot", **({"x-forwarded-host": host} if host else {}))

    assert await cause(replace(sent, url=address), public_url=public_url) == "wrong_url"


async def test_an_address_with_a_secret_where_none_is_taken_is_named() -> None:
    assert await cause(replace(made("token"), url=f"{PUBLIC}/webhooks/token/x")) == "wrong_url"


async def test_an_address_that_names_no_source_here_is_named() -> None:
    captured = Captured("HubSpot", replace(made("hubspot"), url=f"{PUBLIC}/webhooks/HubSpot"), dated=True)
    verdict = await explain(captured, [], edge=Edge(), max_body_bytes=LIMIT)

    assert (verdict.cause, verdict.status) == ("wrong_url", 404)


@EVERY
async def test_a_missing_proof_is_named(name: str) -> None:
    sent = made(name)
    body = b"<a/>" if name == "salesforce" else b'{"ids": []}'
    bare = replace(
        sent,
        url=f"{PUBLIC}/webhooks/{name}",
        headers=Headers({"content-type": sent.headers["content-type"]}),
        body=body,
    )

    assert await cause(bare) == "missing"


@pytest.mark.parametrize(
    ("name", "ending", "headers"),
    [
        ("token", "", {"x-api-key": "token-s3cret"}),
        ("token", "/token-s3cret", {}),
        ("pipedrive", "", {"authorization": "Bearer pipe:correct horse"}),
        ("hubspot", "?secret=hubspot-s3cret", {}),
    ],
)
async def test_a_secret_in_another_place_is_seen(name: str, ending: str, headers: dict[str, str]) -> None:
    sent = Delivery(Headers(headers), b"{}", NOW, f"{PUBLIC}/webhooks/{name}{ending}")
    verdict = await judge(sent)

    assert verdict.cause in {"missing", "wrong_scheme"}
    assert "the secret itself came, but in another place" in verdict.text


@pytest.mark.parametrize(("name", "given"), [("token", "Basic eDp5"), ("pipedrive", "Bearer x")])
async def test_a_proof_of_another_kind_is_named(name: str, given: str) -> None:
    assert await cause(made(name, authorization=given)) == "wrong_scheme"


async def test_what_is_proven_but_cannot_be_read_is_named() -> None:
    assert await cause(replace(made("token"), body=b"not json")) == "not_readable"


async def test_without_a_time_of_receipt_the_age_is_not_judged() -> None:
    told = json.loads(dump_captured(made("hubspot")))
    del told["received_at"]
    captured = read_captured(json.dumps(told).encode(), NOW + timedelta(days=30))

    verdict = await explain(captured, [SECRETS["hubspot"]], edge=Edge(), max_body_bytes=LIMIT)

    assert verdict.cause == "good"
    assert "its age is not judged" in verdict.text


def test_a_body_may_stand_in_the_file_as_text() -> None:
    told = json.loads(dump_captured(made("token")))
    told["body"] = base64.b64decode(told.pop("body_base64")).decode()
    told["headers"]["x-twice"] = ["a", "b"]
    delivery = read_captured(json.dumps(told).encode(), NOW).delivery

    assert delivery.body == made("token").body
    assert delivery.headers.getlist("x-twice") == ["a", "b"]


async def test_a_packed_body_is_unpacked_as_the_door_does() -> None:
    sent = made("standard")
    packed = replace(sent, body=gzip.compress(sent.body), headers=Headers({**sent.headers, "content-encoding": "gzip"}))

    assert await cause(packed) == "good"
    assert await cause(replace(packed, body=b"x")) == "not_readable"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"url": "x"}',
        b'{"url": "x", "headers": {"a": "\xe2\x82\xac"}}',
        b'{"url": "x", "headers": {}, "body": {"parsed": true}}',
        b'{"url": "x", "headers": {}, "body_base64": "!"}',
        b'{"url": "x", "headers": {}, "received_at": "noon"}',
    ],
)
def test_a_file_that_is_none_is_told_so(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_captured(text, NOW)


async def test_a_verdict_needs_a_source_and_a_secret() -> None:
    with pytest.raises(ValueError, match="no source"):
        await explain(Captured("", made("token"), dated=True), ["x"], edge=Edge(), max_body_bytes=LIMIT)
    with pytest.raises(ValueError, match="no secret"):
        await explain(Captured("token", made("token"), dated=True), [], edge=Edge(), max_body_bytes=LIMIT)


async def test_two_faults_are_both_told() -> None:
    sent = made("hubspot", **{"content-type": "text/plain"})
    verdict = await judge(replace(sent, received_at=NOW + timedelta(hours=1)), secret="another")

    assert (verdict.cause, verdict.status) == ("wrong_secret", 415)
    assert "it came as text/plain" in verdict.text
    assert "it came 3600 seconds after" in verdict.text


async def test_one_of_two_secrets_is_enough() -> None:
    captured = read_captured(dump_captured(made("hubspot")).encode(), NOW)
    verdict = await explain(captured, ["old", SECRETS["hubspot"]], edge=Edge(), max_body_bytes=LIMIT)

    assert verdict.cause == "good"


@pytest.mark.parametrize(
    ("name", "secret", "how"),
    [
        ("standard", "whsec_" + base64.b64decode(WHSEC.removeprefix("whsec_")).hex(), "hex"),
        ("standard", base64.b64encode(WHSEC.encode()).decode(), "decoded from base64"),
        ("token", "Bearer token-s3cret", "without the word before it"),
        ("hubspot", b"hubspot-s3cret".hex(), "decoded from hex"),
        ("pipedrive", "someone:correct horse", "without the user"),
        ("salesforce", "SALESFORCE-S3CRET", "in lower case"),
        ("hubspot", "pat-eu1-0123", "client secret"),
    ],
)
async def test_a_secret_that_is_written_down_differently_is_recognised(name: str, secret: str, how: str) -> None:
    verdict = await judge(made(name), secret=secret)

    assert verdict.cause == "wrong_secret"
    assert how in verdict.text
    assert secret not in verdict.text


async def test_a_secret_that_cannot_serve_is_told() -> None:
    short = "whsec_" + base64.b64encode(b"short").decode()
    sent = Delivery(Headers(sign_standard(short, "msg_1", NOW, b"{}")), b"{}", NOW, f"{PUBLIC}/webhooks/standard")
    fits, junk = await judge(sent, secret=short), await judge(sent, secret="no base64")

    assert (fits.cause, junk.cause) == ("unsupported_type", "wrong_secret")
    assert "a secret here cannot serve: it holds 5 bytes" in fits.text
    assert "a secret here cannot serve: it must be whsec_" in junk.text


async def test_a_secret_with_a_comma_is_recognised() -> None:
    sent = sample("token", "one,two", f"{PUBLIC}/webhooks/token", NOW)
    verdict = await explain(Captured("token", sent, dated=True), ["one", "two"], edge=Edge(), max_body_bytes=LIMIT)

    assert "comma" in verdict.text


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"host": "hooks.msp.example"}, "/webhooks/hubspot"),
        ({"forwarded": "for=192.0.2.7;host=hooks.msp.example"}, "http://10.0.0.5:8080/webhooks/hubspot"),
        ({"host": "hooks.msp.example:8443"}, "http://10.0.0.5/webhooks/hubspot"),
        ({}, "https://HOOKS.msp.example:443/in/webhooks/hubspot/?y=1"),
        ({"x-original-url": "/webhooks/hubspot", "host": "hooks.msp.example"}, "https://[x/hubspot"),
    ],
)
async def test_the_address_that_was_signed_is_found(headers: dict[str, str], address: str) -> None:
    sent = made("hubspot", **headers)
    captured = Captured("hubspot", replace(sent, url=address), dated=True)
    verdict = await explain(captured, [SECRETS["hubspot"]], edge=Edge(), max_body_bytes=LIMIT)

    assert verdict.cause == "wrong_url"
    assert f"it was signed for {PUBLIC}/webhooks/hubspot," in verdict.text


async def test_an_address_that_nothing_shows_is_suspected_but_not_proven() -> None:
    sent = replace(made("hubspot"), url="https://elsewhere.example/webhooks/hubspot")
    alone = {name: value for name, value in sent.headers.items() if not name.startswith("x-hubspot-signature")}
    alone["x-hubspot-signature-v3"] = sent.headers["x-hubspot-signature-v3"]

    beside, without = await judge(sent), await judge(replace(sent, headers=Headers(alone)))

    assert beside.cause == "wrong_url"
    assert "nothing in the request tells" in beside.text
    assert without.cause == "wrong_secret"
    assert "or address, method or timestamp are not what was signed" in without.text


async def test_a_time_far_from_its_receipt_is_suspected_before_the_address() -> None:
    plain = Delivery(Headers(), b"[]", NOW, f"{PUBLIC}/webhooks/hubspot")
    signature = {"x-hubspot-signature": hashlib.sha256(SECRETS["hubspot"].encode() + plain.body).hexdigest()}
    signature |= {"x-hubspot-signature-v3": hubspot.sign_v3(SECRETS["hubspot"], plain, plain.url, "1712345678901")}
    signature |= {"x-hubspot-signature-version": "v1", "x-hubspot-request-timestamp": "1750000000000"}
    verdict = await judge(replace(plain, headers=Headers(signature)))

    assert verdict.cause == "changed_header"
    assert "can hardly be the one that was signed" in verdict.text


async def test_a_secret_in_the_address_is_not_repeated() -> None:
    verdict = await judge(replace(made("hubspot"), url=f"{PUBLIC}/webhooks/hubspot?key={SECRETS['hubspot']}"))

    assert "?key=(secret)" in verdict.text


async def test_what_the_file_cannot_show_is_said() -> None:
    allowed = Edge(public_url=PUBLIC, allowed={"hubspot": read_networks(["192.0.2.0/24"])})
    elsewhere = Captured("", replace(made("hubspot"), url=f"{PUBLIC}/hubspot"), dated=True)

    assert "ALLOWED_ADDRESSES" in (await judge(made("hubspot"), edge=allowed)).text
    assert "PUBLIC_URL is not set" in (await judge(made("hubspot"))).text
    assert "PUBLIC_URL is not set" not in (await judge(made("standard"))).text
    verdict = await explain(elsewhere, [SECRETS["hubspot"]], edge=allowed, max_body_bytes=LIMIT, source="hubspot")
    assert verdict.cause == "good"
    assert "the door itself is at /webhooks/hubspot" in verdict.text


async def test_a_body_that_was_written_down_unpacked_is_not_unpacked_again() -> None:
    told = json.loads(dump_captured(made("standard", **{"content-encoding": "gzip"})))
    told["body"] = base64.b64decode(told.pop("body_base64")).decode()
    captured = read_captured(json.dumps(told).encode(), NOW)
    verdict = await explain(captured, [WHSEC], edge=Edge(), max_body_bytes=LIMIT)

    assert verdict.cause == "good"
