"""Signing and checking, against public vectors and the scheme's own library."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from starlette.datastructures import Headers

from webhooks.delivery import Delivery, NotProven
from webhooks.signatures import any_same, sign_standard, standard_key
from webhooks.sources import standard

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "data" / "signature-vectors.json"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def vectors() -> list[Any]:
    if not VECTORS.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{VECTORS} is not here"))]
    found = json.loads(VECTORS.read_text())["vectors"]
    of_scheme = [one for one in found if one["provider"] == "standard-webhooks" and one["scheme"].endswith("-v1")]
    return [pytest.param(one, id=one["id"]) for one in of_scheme]


@pytest.mark.parametrize("vector", vectors())
def test_public_vectors_are_judged_as_they_say(vector: dict[str, Any]) -> None:
    at = datetime.fromtimestamp(vector["verify_at_unix"], UTC)
    delivery = Delivery(Headers(vector["headers"]), vector["body"].encode(), at)
    try:
        standard.source.verify(delivery, [vector["secret"]])
        verdict = "accept"
    except NotProven:
        verdict = "reject"

    assert verdict in vector["expect"].split("-or-")


def test_the_scheme_s_library_accepts_what_is_signed_here() -> None:
    body = '{"type": "deal.won", "data": {"client": {"name": "Möbel Groß"}}}'.encode()
    headers = sign_standard(SECRET, "msg_1", datetime.now(UTC), body)

    assert Webhook(SECRET).verify(body, headers) == json.loads(body)


def test_what_the_scheme_s_library_signs_is_accepted_here() -> None:
    at = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)
    body = '{"type": "deal.won"}'
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", at, body),
    }

    assert headers == sign_standard(SECRET, "msg_1", at, body.encode())


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_a", "whsec_Zm9v!", "whsec_Zm9vé", "whpk_Zm9v"])
def test_a_secret_that_is_not_base64_is_no_key(secret: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        standard_key(secret)


@pytest.mark.parametrize("secret", ["whsec_Zm8=", "whsec_Zm8", "Zm8=", "Zm8"])
def test_prefix_and_padding_of_a_secret_are_optional(secret: str) -> None:
    assert standard_key(secret) == b"fo"


def test_values_are_compared_as_bytes_whatever_letters_they_hold() -> None:
    assert any_same(["é".encode().decode("latin-1")], ["x", "é"])
    assert not any_same(["é"], ["x", "é"])
    assert not any_same([], ["x"])
    assert not any_same(["x"], [])
