"""Whatever comes to a door, it is answered, and never with an error of ours.

PARHELION_FUZZ_EXAMPLES raises the number of examples for each source (200).
"""

import json
import os
import string
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from tests.unit.webhook_door import NOW, PUBLIC, SECRETS, Web
from webhooks.delivery import Delivery
from webhooks.samples import sample
from webhooks.sending import basic
from webhooks.signatures import sign_standard
from webhooks.sources import hubspot

EVERY = pytest.mark.parametrize("name", SECRETS)
LONG = settings(
    max_examples=int(os.environ.get("PARHELION_FUZZ_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
NAMES = [
    *(b"authorization", b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"svix-id", b"content-type"),
    *(b"content-encoding", b"content-length", b"x-hubspot-signature-v3", b"x-hubspot-request-timestamp"),
    *(b"x-hubspot-signature", b"x-hubspot-signature-version", b"x-webhook-secret", b"x-forwarded-for"),
]
JUNK = st.binary(max_size=40) | st.text(string.printable, max_size=40).map(str.encode)
VALUES = JUNK | st.sampled_from(
    [
        *(
            b"",
            b",",
            b"v1,",
            b"v1,\xe9",
            b"v1",
            b"v1a,",
            b"v1a,AAAA",
            b"v2",
            b"gzip",
            b"text/xml",
            b"9" * 15,
            b"9" * 5000,
        ),
        *(b"Bearer \xff", b"Basic \xff", b"Basic Og==", b"application/json;;charset", b"application/json; charset=x"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([10**400, -(10**30), 1e308, "deal", "Deals", "\u0000", "𝄞", "006", "/Date(9)/", "won"])
)
VALUE = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))
BODIES = [b"", b"[]", b"{}", b"null", b"\xff\xfe", b"[" * 9000, b'{"a":' * 900 + b"1" + b"}" * 900, b'"\\ud800"']
XML = [b"<", b"<a>" * 3000, b'<?xml version="1.0" encoding="x"?><a/>', b'<?xml version="1.0" encoding="utf-16"?><a/>']
BOMB = b'<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><a>&c;</a>'
ENDINGS = ["", "/", "?", "?code=%ff&=&&", "/x", "?code=dynamics-s3cret", "/%ff", "?" + "a=&" * 2000]


def proven(name: str, body: bytes) -> Delivery:
    """Prove any body as the source's sender does."""
    plain = Delivery(Headers(), body, NOW, f"{PUBLIC}/webhooks/{name}")
    address = f"{plain.url}/{SECRETS[name]}" if name in {"zoho", "salesforce"} else plain.url
    headers = {"content-type": "application/json", **proof(name, plain)}
    return replace(plain, url=address, headers=Headers(headers))


def proof(name: str, plain: Delivery) -> dict[str, str]:
    secret, stamp = SECRETS[name], str(int(NOW.timestamp() * 1000))
    match name:
        case "standard":
            return sign_standard(secret, "msg_1", NOW, plain.body)
        case "hubspot":
            signature = hubspot.sign_v3(secret, plain, plain.url, stamp)
            return {"x-hubspot-request-timestamp": stamp, "x-hubspot-signature-v3": signature}
        case "pipedrive" | "halopsa":
            return basic(secret, "")
        case _:
            return {"authorization": f"Bearer {secret}"}


def mutated(name: str) -> st.SearchStrategy[Any]:
    """Give a sample in which some values at some depth are others."""
    told: Any = {"organizationId": "00D", "opportunity": {"Id": "0067F000003pmdQQAQ", "LastModifiedDate": "2026"}}
    if name != "salesforce":
        told = json.loads(sample(name, SECRETS[name], f"{PUBLIC}/webhooks/{name}", NOW).body)
        if name == "zoho":
            del told["token"]
    places = st.sampled_from(list(places_of(told)))
    return st.lists(st.tuples(places, VALUE), max_size=3).map(lambda changes: changed(told, changes))


def places_of(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_of(inner, (*place, key))


def changed(value: Any, changes: list[tuple[tuple[Any, ...], Any]]) -> Any:
    told = [json.loads(json.dumps(value))]
    for place, new in changes:
        around: Any = told
        try:
            for key in (0, *place)[:-1]:
                around = around[key]
            around[(0, *place)[-1]] = new
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return told[0]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", ["x-hubspot-signature-v3", "webhook-signature", "x-hubspot-signature"])
@pytest.mark.parametrize("value", ["-" * 60_000 + "!", "v1," + "-_" * 30_000 + "!", "=" * 60_000, "A" * 60_000])
async def test_a_header_of_any_length_is_judged_at_once(name: str, value: str) -> None:
    """Whoever is not proven must cost nothing: an expression that tries all ways would take seconds."""
    for source in ("hubspot", "standard"):
        times = {"x-hubspot-request-timestamp": str(int(NOW.timestamp() * 1000)), "webhook-id": "1"}
        times |= {"webhook-timestamp": str(int(NOW.timestamp())), "x-hubspot-signature-version": "v1"}
        headers = {"content-type": "application/json", name: value, **times}
        answer = await Web().request("POST", f"/webhooks/{source}", content=b"[]", headers=headers)

        assert answer.status_code == 401


@EVERY
@LONG
@given(
    headers=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=3),
    body=st.none() | JUNK | st.sampled_from([*BODIES, *XML, BOMB]),
    doubled=st.booleans(),
    ending=st.sampled_from(ENDINGS),
)
async def test_no_header_no_address_and_no_body_breaks_a_door(
    *, name: str, headers: list[tuple[bytes, bytes]], body: bytes | None, doubled: bool, ending: str
) -> None:
    web, sent = Web(), sample(name, SECRETS[name], f"{PUBLIC}/webhooks/{name}", NOW)
    kept = [one for one in sent.headers.raw if doubled or one[0] not in dict(headers)]
    content = sent.body if body is None else body
    answer = await web.request("POST", sent.url.removeprefix(PUBLIC) + ending, content=content, headers=kept + headers)

    assert answer.status_code in {200, 202, 400, 401, 404, 413, 415}
    assert answer.is_success or not web.shelf.events


@EVERY
@LONG
@given(data=st.data())
async def test_no_proven_body_breaks_a_source(*, name: str, data: st.DataObject) -> None:
    told = data.draw(mutated(name) | VALUE)
    body = data.draw(st.just(json.dumps(told).encode()) | JUNK | st.sampled_from(BODIES))
    answer = await Web().send(proven(name, body))

    assert answer.status_code in {200, 202, 400, 413}


@LONG
@given(
    part=st.sampled_from(["0067F000003pmdQQAQ", "04l7F000008aePZQAY", "sf:Opportunity", "<Notification>", "UTF-8"]),
    other=st.text(max_size=20) | st.sampled_from([BOMB.decode(), "<", "</Notification>", "&b;", "<b/>" * 50, "UTF-16"]),
)
async def test_no_message_of_salesforce_breaks_its_source(*, part: str, other: str) -> None:
    sent = sample("salesforce", SECRETS["salesforce"], f"{PUBLIC}/webhooks/salesforce", NOW)
    answer = await Web().send(replace(sent, body=sent.body.replace(part.encode(), other.encode())))

    assert answer.status_code in {200, 400}


@pytest.mark.parametrize("body", [*XML, BOMB, b"<a>" * 900 + b"</a>" * 900])
async def test_xml_that_is_no_message_is_refused(body: bytes) -> None:
    sent = sample("salesforce", SECRETS["salesforce"], f"{PUBLIC}/webhooks/salesforce", NOW)

    assert (await Web().send(replace(sent, body=body))).status_code == 400


@pytest.mark.parametrize("unsafe", [b"<!DOCTYPE a>", b"<!DOCTYPE a SYSTEM 'http://x/'>", BOMB.partition(b"<a>")[0]])
async def test_a_message_with_a_dtd_is_refused(unsafe: bytes) -> None:
    sent = sample("salesforce", SECRETS["salesforce"], f"{PUBLIC}/webhooks/salesforce", NOW)
    declaration, end, message = sent.body.partition(b"?>")

    assert (await Web().send(replace(sent, body=declaration + end + unsafe + message))).status_code == 400
