"""The source "token": what proves a delivery, and what becomes of it."""

from datetime import UTC, datetime

import pytest
from starlette.datastructures import Headers

from webhooks.delivery import Delivery, NotProven
from webhooks.sources import secret_problem
from webhooks.sources.token import events, source

NOW = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)
BODY = b'{"type": "client.churned", "data": {"client": {"name": "Acme"}}}'


def sent(*authorization: bytes, body: bytes = BODY) -> Delivery:
    return Delivery(Headers(raw=[(b"authorization", value) for value in authorization]), body, NOW)


@pytest.mark.parametrize("header", [b"Bearer s3cret", b"bearer s3cret", b"Bearer  s3cret ", "Bearer pässwort".encode()])
def test_the_bearer_of_a_token_is_let_in(header: bytes) -> None:
    source.verify(sent(header), ["s3cret", "pässwort"])


@pytest.mark.parametrize(
    "header",
    [b"", b"Bearer", b"Bearer ", b"Bearer s3cre", b"Bearer s3cret x", b"s3cret", b"Basic s3cret", b"Bearer \xff\xfe"],
)
def test_anything_else_is_not_proven(header: bytes) -> None:
    with pytest.raises(NotProven):
        source.verify(sent(header), ["s3cret"])


def test_two_tokens_are_one_too_many() -> None:
    with pytest.raises(NotProven, match="more than once"):
        source.verify(sent(b"Bearer s3cret", b"Bearer s3cret"), ["s3cret"])


def test_no_refusal_repeats_the_token() -> None:
    with pytest.raises(NotProven) as refusal:
        source.verify(sent(b"Bearer hunter2"), ["s3cret"])

    assert "hunter2" not in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_an_identical_body_is_a_repeat_and_another_one_is_not() -> None:
    (first,) = events(sent())
    (again,) = events(sent())
    (other,) = events(sent(body=BODY + b" "))

    assert first.id == again.id != other.id
    assert first.id.startswith("token:")
    assert len(first.id) == len("token:") + 32
    assert first.occurred_at == NOW


def test_any_text_can_be_a_token() -> None:
    assert secret_problem("token", "s3cret") is None
