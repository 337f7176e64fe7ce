"""Senders of the scheme Standard Webhooks that sign with a private key: only the public one is a secret here."""

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.datastructures import Headers

from webhooks.delivery import Delivery, NotProven, WrongScheme
from webhooks.samples import sample
from webhooks.signatures import sign_standard
from webhooks.sources import secret_problem
from webhooks.sources.standard import source

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
SHARED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)
BODY = b'{"type": "deal.won", "timestamp": "2026-11-23T08:59:00Z", "data": {}}'


def public(key: Ed25519PrivateKey) -> str:
    return "whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode()


def entry(body: bytes = BODY, *, key: Ed25519PrivateKey = PRIVATE, delivery_id: str = "msg_1") -> str:
    signed = f"{delivery_id}.{int(NOW.timestamp())}.".encode() + body
    return "v1a," + base64.b64encode(key.sign(signed)).decode()


def delivery(signature: str) -> Delivery:
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(NOW.timestamp())), "webhook-signature": signature}
    return Delivery(Headers(headers), BODY, NOW)


@pytest.mark.parametrize("secrets", [[public(PRIVATE)], [public(OTHER), public(PRIVATE)], [SHARED, public(PRIVATE)]])
def test_a_signature_of_a_known_key_is_a_proof(secrets: list[str]) -> None:
    source.verify(delivery(entry()), secrets)
    source.verify(delivery(f"v1,AAAA v1a,AAAA {entry()}"), secrets)


def test_a_shared_secret_still_counts_beside_a_public_key() -> None:
    signed = Delivery(Headers(sign_standard(SHARED, "msg_1", NOW, BODY)), BODY, NOW)

    source.verify(signed, [public(PRIVATE), SHARED])


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(entry(key=OTHER), id="another key's"),
        pytest.param(entry(b"{}"), id="of another body"),
        pytest.param(entry(delivery_id="msg_2"), id="of another id"),
        pytest.param("v1a,", id="empty"),
        pytest.param("v1a,AAA", id="no base64"),
        pytest.param("v1a,\xe9", id="not ASCII"),
        pytest.param(entry()[:-8], id="cut short"),
        pytest.param(f"v1a,{entry()}", id="two commas"),
    ],
)
def test_any_other_signature_is_none(signature: str) -> None:
    with pytest.raises(NotProven) as refused:
        source.verify(delivery(signature), [public(PRIVATE)])

    assert not isinstance(refused.value, WrongScheme)


@pytest.mark.parametrize("signature", [entry().removeprefix("v1a,"), entry().replace("v1a", "v1"), "v2,AAAA"])
def test_a_signature_of_another_version_is_called_so(signature: str) -> None:
    with pytest.raises(WrongScheme, match="v1a,"):
        source.verify(delivery(signature), [public(PRIVATE)])


def test_a_public_key_is_no_key_that_both_sides_have() -> None:
    """The scheme's libraries take any base64 for one: then everybody who knows the public key could sign."""
    forged = Delivery(Headers(sign_standard(public(PRIVATE).removeprefix("whpk_"), "msg_1", NOW, BODY)), BODY, NOW)

    with pytest.raises(NotProven):
        source.verify(forged, [public(PRIVATE)])


@pytest.mark.parametrize("secret", ["whpk_", "whpk_AAAA", "whpk_!", public(PRIVATE)[:-4]])
def test_what_is_no_public_key_stops_the_start(secret: str) -> None:
    assert secret_problem("standard", public(PRIVATE)) is None
    assert secret_problem("standard", secret) == "it must be whpk_ followed by the base64 of 32 bytes"


def test_nothing_is_signed_with_a_public_key() -> None:
    with pytest.raises(ValueError, match="signs nothing"):
        sample("standard", public(PRIVATE), "https://x/webhooks/standard", NOW)
