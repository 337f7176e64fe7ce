"""The source "standard": what proves a delivery, and what becomes of it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from starlette.datastructures import Headers

from webhooks.delivery import Delivery, NotProven
from webhooks.signatures import sign_standard
from webhooks.sources import SOURCES, secret_problem
from webhooks.sources.standard import events, source

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "QUJD" * 8
NOW = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)
BODY = b'{"type": "deal.won", "timestamp": "2026-11-23T08:59:00Z", "data": {}}'


def signed(
    body: bytes = BODY, *, delivery_id: str = "msg_1", sent: datetime = NOW, secret: str = SECRET, **changed: str
) -> Delivery:
    headers = sign_standard(secret, delivery_id, sent, body)
    headers |= {f"webhook-{name}": value for name, value in changed.items()}
    return Delivery(Headers(headers), body, NOW)


def test_a_signed_delivery_becomes_its_event() -> None:
    source.verify(signed(), [SECRET])
    (event,) = events(signed())

    assert event.id == "standard:msg_1"
    assert event.type == "deal.won"
    assert event.occurred_at == NOW - timedelta(minutes=1)
    assert event.payload == json.loads(BODY)


def test_both_secrets_count_during_a_rotation() -> None:
    source.verify(signed(secret=OTHER), [SECRET, OTHER])


def test_svix_s_names_of_the_headers_count_too() -> None:
    headers = {name.replace("webhook", "svix"): value for name, value in signed().headers.items()}
    delivery = Delivery(Headers(headers), BODY, NOW)
    source.verify(delivery, [SECRET])
    (event,) = events(delivery)

    assert event.id == "standard:msg_1"
    with pytest.raises(NotProven):
        source.verify(Delivery(Headers(headers | {"webhook-id": "msg_1"}), BODY, NOW), [SECRET])


def test_one_fitting_signature_of_several_is_enough() -> None:
    delivery = signed()
    both = "v1a,abc v1,AAAA " + delivery.headers["webhook-signature"]

    source.verify(signed(signature=both), [SECRET])


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_clock_may_be_five_minutes_off(seconds: int) -> None:
    source.verify(signed(sent=NOW + timedelta(seconds=seconds)), [SECRET])


@pytest.mark.parametrize("seconds", [-301, 301, -(10**9)])
def test_an_old_or_early_delivery_is_refused(seconds: int) -> None:
    with pytest.raises(NotProven, match="300 seconds"):
        source.verify(signed(sent=NOW + timedelta(seconds=seconds)), [SECRET])


@pytest.mark.parametrize(
    "delivery",
    [
        pytest.param(signed(secret=OTHER), id="signed with another secret"),
        pytest.param(signed(id="msg_2"), id="id changed"),
        pytest.param(signed(timestamp="1763888401"), id="time changed"),
        pytest.param(Delivery(signed().headers, BODY + b" ", NOW), id="body changed"),
        pytest.param(signed(timestamp=""), id="empty time"),
        pytest.param(signed(timestamp="1763888400.5"), id="fraction of a second"),
        pytest.param(signed(timestamp="-1"), id="negative time"),
        pytest.param(signed(timestamp="²"), id="a digit that is none"),
        pytest.param(signed(timestamp="9" * 5000), id="endless time"),
        pytest.param(signed(delivery_id=""), id="empty id, though signed"),
        pytest.param(signed(signature=""), id="empty signature"),
        pytest.param(signed(signature=" "), id="blank signature"),
        pytest.param(signed(signature=","), id="only a comma"),
        pytest.param(signed(signature="v1"), id="only a version"),
        pytest.param(signed(signature="v1,\xff"), id="not ASCII"),
    ],
)
def test_what_is_changed_or_malformed_is_not_proven(delivery: Delivery) -> None:
    with pytest.raises(NotProven):
        source.verify(delivery, [SECRET])


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_must_come_exactly_once(name: str) -> None:
    raw = signed().headers.raw
    once = [(key, value) for key, value in raw if key.decode() != name]
    twice = [*raw, *((key, value) for key, value in raw if key.decode() == name)]

    with pytest.raises(NotProven, match=f"{name} is missing"):
        source.verify(Delivery(Headers(raw=once), BODY, NOW), [SECRET])
    with pytest.raises(NotProven, match=f"{name} came more than once"):
        source.verify(Delivery(Headers(raw=twice), BODY, NOW), [SECRET])


@pytest.mark.parametrize("delivery_id", ["a b", "é", "a\tb", "x" * 201])
def test_what_cannot_be_an_id_cannot_be_read(delivery_id: str) -> None:
    delivery = signed(delivery_id=delivery_id)
    source.verify(delivery, [SECRET])

    with pytest.raises(ValueError, match="webhook-id"):
        events(delivery)


@pytest.mark.parametrize("body", [b"", b"deal won", b"\xff\xfe", b'{"type": NaN}', b"[]", b"{}", b"[" * 100_000])
def test_a_body_that_is_no_event_cannot_be_read(body: bytes) -> None:
    source.verify(signed(body), [SECRET])

    with pytest.raises(ValueError, match=r".+"):
        events(signed(body))


def test_a_secret_is_judged_before_the_start() -> None:
    assert secret_problem("standard", SECRET) is None
    assert secret_problem("standard", SECRET.removeprefix("whsec_")) is None
    assert "holds 18 bytes" in str(secret_problem("standard", "whsec_" + "QUJD" * 6))
    for junk in ("", "hunter2!", "whpk_" + "QUJD" * 8):
        assert "base64" in str(secret_problem("standard", junk))
    assert "no source 'slack'" in str(secret_problem("slack", SECRET))


def test_every_source_has_a_name_of_its_own() -> None:
    names = [one.name for one in SOURCES]

    assert len(set(names)) == len(names)
