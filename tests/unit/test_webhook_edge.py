"""The edge: who may call, how often, how long, and in what wrapping."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256

import httpx
import pytest
from defusedxml.ElementTree import fromstring
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from structlog.testing import capture_logs

from tests.unit.webhook_door import LIMIT, NOW, PUBLIC, SECRETS, Shelf, Web
from webhooks.delivery import Delivery
from webhooks.edge import Edge, RateLimit, client_address, read_networks
from webhooks.samples import sample
from webhooks.sources import find_source
from worker.errors import StoreUnavailable
from worker.events import Event


def made(name: str) -> Delivery:
    return sample(name, SECRETS[name], f"{PUBLIC}/webhooks/{name}", NOW)


def packed(sent: Delivery, body: bytes | None = None) -> Delivery:
    headers = Headers({**sent.headers, "content-encoding": "gzip"})
    return replace(sent, headers=headers, body=gzip.compress(sent.body) if body is None else body)


@pytest.mark.parametrize("name", ["token", "hubspot", "standard"])
async def test_a_packed_body_is_unpacked_before_its_proof_is_checked(name: str) -> None:
    assert (await Web().send(packed(made(name)))).status_code == 202


async def test_a_packed_body_is_unpacked_no_further_than_the_limit() -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    assert len(bomb) < LIMIT + 1000

    tracemalloc.start()
    answer = await Web().send(packed(made("token"), bomb[:LIMIT]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert answer.status_code == 413
    assert peak < 5_000_000


async def test_what_is_not_one_gzip_stream_cannot_be_read() -> None:
    whole = gzip.compress(made("token").body)
    for body in (b"", b"not gzip", whole[:-4], whole + b"more", whole * 2):
        assert (await Web().send(packed(made("token"), body))).status_code == 400

    assert (await Web().send(packed(made("token"), whole))).status_code == 202


async def drip() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


async def test_a_body_that_does_not_come_is_given_up() -> None:
    web = Web(edge=Edge(body_within_s=0.01))
    headers = {"content-type": "application/json", "authorization": "Bearer token-s3cret"}
    answer = await web.request("POST", "/webhooks/token", content=drip(), headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (408, "too_slow")
    assert answer.headers["connection"] == "close"
    assert web.outcomes == [("token", "too_slow")]


@pytest.mark.parametrize("name", SECRETS)
async def test_a_proof_that_comes_twice_proves_nothing(name: str) -> None:
    sent = made(name)
    proofs = {"authorization", "webhook-id", "webhook-signature", "x-hubspot-signature-v3", "x-webhook-secret"}
    for header in proofs & set(sent.headers):
        answer = await Web().send(sent, **{header: sent.headers[header]})
        assert answer.status_code == 401


async def test_a_content_type_that_comes_twice_is_refused() -> None:
    assert (await Web().send(made("token"), **{"content-type": "application/json"})).status_code == 415


async def test_the_signed_address_is_the_public_one_whatever_the_request_says() -> None:
    sent = made("hubspot")
    behind = Web(edge=Edge(public_url=PUBLIC + "/"))
    elsewhere = Web(edge=Edge(public_url="https://other.example"))
    forwarded = {"x-forwarded-host": "hooks.msp.example", "x-forwarded-proto": "https", "host": "hooks.msp.example"}

    assert (await behind.send(sent)).status_code == 202
    assert (await elsewhere.send(sent, **forwarded)).status_code == 401


async def test_escapes_and_query_of_the_address_count_as_they_came() -> None:
    url = f"{PUBLIC}/webhooks/hubspot?a=%20b%2Fc&%c3%3a"
    # HubSpot decodes %2F and %3a before it signs, and nothing else of this.
    signed = sample("hubspot", SECRETS["hubspot"], url.replace("%2F", "/").replace("%3a", ":"), NOW)

    undecoded = sample("hubspot", SECRETS["hubspot"], url, NOW)

    assert (await Web().send(replace(signed, url=url))).status_code == 202
    assert (await Web().send(undecoded)).status_code == 202


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "192.0.2.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::9", "2001:db8::9"),
        ("10.0.0.1", "203.0.113.9:5678", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::9]:5678", "2001:db8::9"),
        ("10.0.0.1", "[2001:db8::9]", "2001:db8::9"),
    ],
)
def test_only_a_trusted_proxy_is_believed_about_who_called(peer: str, forwarded: str, address: str) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    request = HTTPConnection({"type": "http", "client": (peer, 1), "headers": headers})

    assert str(client_address(request, read_networks(["10.0.0.0/8"]))) == address


def test_a_caller_without_an_address_has_none() -> None:
    request = HTTPConnection({"type": "http", "client": None, "headers": [(b"x-forwarded-for", b"203.0.113.9")]})

    assert client_address(request, read_networks(["10.0.0.0/8"])) is None


async def test_a_source_answers_only_where_it_may_be_called_from() -> None:
    edge = Edge(allowed={"token": read_networks(["203.0.113.0/24"])}, trusted_proxies=read_networks(["10.0.0.1"]))
    stranger, friend = Web(edge=edge), Web(edge=edge, client="203.0.113.9")
    proxied = Web(edge=edge, client="10.0.0.1")

    assert (await stranger.send(made("token"), **{"x-forwarded-for": "203.0.113.9"})).status_code == 404
    assert (await friend.send(made("token"))).status_code == 202
    assert (await proxied.send(made("token"), **{"x-forwarded-for": "203.0.113.9"})).status_code == 202
    assert (await stranger.send(made("zoho"))).status_code == 202
    assert [refused.reason for refused in stranger.refused] == ["token may not call from 198.51.100.7"]


async def test_a_source_that_hides_says_to_the_operator_why() -> None:
    web = Web()
    answers = [await web.request("POST", f"/webhooks/{path}/guess", content=b"{}") for path in ("halopsa", "token")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert {answer.json()["detail"] for answer in answers} == {"there is no such source, or no secret is set for it"}
    assert [refused.reason for refused in web.refused] == [
        "the secret in the address is wrong",
        "token takes no secret in its address",
    ]
    assert "guess" not in repr(web.refused)


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="example"):
        read_networks(["10.0.0.0/8", "example"])


async def test_events_of_other_accounts_are_ignored_or_refused() -> None:
    ours = Edge(PUBLIC, accounts={"hubspot": ["62515"], "salesforce": ["00D7F00000107Xs"]})
    theirs = Edge(PUBLIC, accounts={"hubspot": ["1"], "salesforce": ["00D7F00000107XX"]})

    assert (await Web(edge=ours).send(made("hubspot"))).json()["ignored"] == 0
    assert (await Web(edge=theirs).send(made("hubspot"))).json()["ignored"] == 1
    assert (await Web(edge=ours).send(made("salesforce"))).status_code == 200
    assert (await Web(edge=theirs).send(made("salesforce"))).status_code == 401


async def test_a_message_that_names_no_organisation_is_none_of_ours() -> None:
    sent = made("salesforce")
    body = sent.body.replace(b"<OrganizationId>00D7F00000107XsUAI</OrganizationId>", b"")
    ours = Edge(PUBLIC, accounts={"salesforce": ["00D7F00000107Xs"]})

    assert (await Web(edge=ours).send(replace(sent, body=body))).status_code == 401


async def test_a_guid_is_the_same_account_however_it_is_written() -> None:
    sent = made("dynamics")
    (event,) = find_source("dynamics").events(sent)
    assert isinstance(event, Event)
    for written in (event.account, event.account.upper(), f"{{{event.account}}}"):
        answer = await Web(edge=Edge(PUBLIC, accounts={"dynamics": [written]})).send(sent)
        assert answer.json()["ignored"] == 0, written


@pytest.mark.parametrize("name", ["zoho", "halopsa"])
async def test_records_whose_sender_does_not_say_whose_they_are_count(name: str) -> None:
    answer = await Web(edge=Edge(PUBLIC, accounts={name: ["1"]})).send(made(name))

    assert (answer.status_code, answer.json()["ignored"]) == (202, 0)


async def test_a_batch_of_several_portals_is_sorted_by_portal() -> None:
    body = (
        b'[{"portalId": %d, "subscriptionType": "deal.propertyChange", "objectId": 1, "propertyName": "dealstage"},'
        b' {"portalId": %d, "subscriptionType": "deal.propertyChange", "objectId": 1, "propertyName": "dealstage"}]'
    ) % (1, 2)
    signature = {"x-hubspot-signature-version": "v1", "x-hubspot-signature": v1(body)}
    sent = Delivery(Headers({"content-type": "application/json"} | signature), body, NOW, f"{PUBLIC}/webhooks/hubspot")
    web = Web()
    answer = await web.send(sent)

    assert len(answer.json()["accepted"]) == 2
    assert [event.origin for event in web.shelf.events.values()] == ["hubspot/1", "hubspot/2"]


def v1(body: bytes) -> str:
    return sha256(SECRETS["hubspot"].encode() + body).hexdigest()


@pytest.mark.parametrize(("name", "status"), [("hubspot", 429), ("dynamics", 503), ("salesforce", 503)])
async def test_too_many_deliveries_are_sent_away_in_words_the_sender_knows(name: str, status: int) -> None:
    web = Web(edge=Edge(public_url=PUBLIC, per_second=0.1))
    transport = httpx.ASGITransport(web.app())
    sent = made(name)
    async with httpx.AsyncClient(transport=transport) as client:
        answers = [await client.post(sent.url, content=sent.body, headers=sent.headers.raw) for _ in range(2)]

    assert answers[0].is_success
    assert answers[1].status_code == status
    assert 0 < int(answers[1].headers["retry-after"]) <= 10


@pytest.mark.parametrize("name", ["pipedrive", "zoho", "halopsa"])
async def test_senders_that_would_stop_or_forget_are_never_sent_away(name: str) -> None:
    web = Web(edge=Edge(public_url=PUBLIC, per_second=0.1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web.app())) as client:
        sent = made(name)
        answers = [await client.post(sent.url, content=sent.body, headers=sent.headers.raw) for _ in range(5)]

    assert all(answer.is_success for answer in answers)


def test_a_rate_lets_a_burst_through_and_then_its_share() -> None:
    clock = [0.0]
    rate = RateLimit(2, lambda: clock[0])

    assert [rate.wait_s("a") for _ in range(21)] == [0] * 20 + [0.5]
    clock[0] += 0.5
    assert [rate.wait_s("a"), rate.wait_s("a"), rate.wait_s("b")] == [0, 0.5, 0]
    clock[0] += 1000
    assert [rate.wait_s("a") for _ in range(21)] == [0] * 20 + [0.5]
    assert not any(RateLimit(None, lambda: 0).wait_s("a") for _ in range(1000))


async def test_strangers_do_not_use_up_a_sender_s_share() -> None:
    web = Web(edge=Edge(per_second=0.1))
    sent = made("token")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web.app())) as client:
        for _ in range(5):
            assert (await client.post(sent.url, json={}, headers={"authorization": "Bearer x"})).status_code == 401
        assert (await client.post(sent.url, content=sent.body, headers=sent.headers.raw)).status_code == 202


async def test_salesforce_is_acknowledged_in_its_own_words() -> None:
    web = Web()
    first, again = await web.send(made("salesforce")), await web.send(made("salesforce"))
    away = Web(Shelf(trouble=StoreUnavailable("Valkey is away")))

    for answer in (first, again):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
        assert fromstring(answer.content).findtext(".//{*}Ack") == "true"
    assert (await away.send(made("salesforce"))).status_code == 503


async def test_a_session_id_of_salesforce_is_kept_nowhere() -> None:
    web, sent = Web(), made("salesforce")
    body = sent.body.replace(b'<SessionId xsi:nil="true"/>', b"<SessionId>00D!live</SessionId>")
    with capture_logs() as lines:
        assert (await web.send(replace(sent, body=body))).status_code == 200

    assert "00D!live" not in repr(web.shelf.events) + repr(lines)


async def test_what_is_of_no_interest_is_counted_and_its_reason_logged() -> None:
    web = Web()
    sent = made("halopsa")
    with capture_logs() as lines:
        answer = await web.send(replace(sent, body=b'{"event": "something", "payload": {"note": "private"}}'))

    assert answer.json() == {"accepted": [], "duplicates": [], "ignored": 1}
    assert lines[0]["reasons"] == ["a message that names no record; its fields: event, payload"]
    assert web.outcomes == [("halopsa", "ignored")]
    assert "private" not in repr(lines)


async def test_a_log_line_has_an_end() -> None:
    web, sent = Web(), made("halopsa")
    batch = ", ".join(f'{{"x{number}{"y" * 300}": 1}}' for number in range(20))
    with capture_logs() as lines:
        answer = await web.send(replace(sent, body=f"[{batch}]".encode()))

    assert answer.json()["ignored"] == 20
    assert len(repr(lines)) < 3000


async def test_no_log_line_tells_an_address_s_secret() -> None:
    with capture_logs() as lines:
        await Web().send(made("salesforce"))
        await Web().request("POST", "/webhooks/salesforce/wrong-guess", content=b"x")

    assert len(lines) == 2
    assert "salesforce-s3cret" not in repr(lines)
    assert "wrong-guess" not in repr(lines)


async def test_a_refused_delivery_leaves_its_reason_and_its_headers_without_a_proof() -> None:
    web, sent = Web(), made("hubspot")
    answer = await web.send(replace(sent, body=b"changed"))
    await web.request("POST", "/webhooks/slack", content=b"x")
    (kept,) = web.refused

    assert (kept.source, kept.status, kept.received_at) == ("hubspot", 401, NOW)
    assert (kept.reason, kept.request_id) == (answer.json()["detail"], answer.headers["x-request-id"])
    assert kept.headers["x-hubspot-request-timestamp"] == sent.headers["x-hubspot-request-timestamp"]
    assert sent.headers["x-hubspot-signature-v3"] not in repr(kept)
    assert "x-hubspot-signature-v3" in kept.headers


async def test_of_a_flood_of_refused_deliveries_a_few_are_kept() -> None:
    web, stranger = Web(), replace(made("token"), headers=Headers({"content-type": "application/json"}))
    transport = httpx.ASGITransport(web.app())
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
        for name in ("token", "hubspot"):
            for _ in range(30):
                await client.post(f"/webhooks/{name}", content=stranger.body, headers=stranger.headers)

    assert {name: sum(kept.source == name for kept in web.refused) for name in ("token", "hubspot")} == {
        "token": 10,
        "hubspot": 10,
    }
    assert len(web.outcomes) == 60


async def test_of_a_refused_delivery_s_headers_no_more_than_some_are_kept() -> None:
    web = Web()
    await web.send(
        replace(made("token"), headers=Headers({"content-type": "application/json"})),
        **{f"x-{number}": "x" for number in range(90)},
    )

    assert len(web.refused[0].headers) == 50


async def test_a_refused_delivery_that_cannot_be_kept_is_answered_all_the_same() -> None:
    web = Web(refused_trouble=StoreUnavailable("Valkey is away"))

    assert (
        await web.send(replace(made("token"), headers=Headers({"content-type": "application/json"})))
    ).status_code == 401
