"""Signing and checking, against public vectors and the scheme's own library."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from starlette.datastructures import Headers

from webhooks.credentials import check_basic, check_shared_secret
from webhooks.delivery import Delivery, NotProven
from webhooks.signatures import any_same, sign_standard, standard_key
from webhooks.sources import find_source

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "data" / "signature-vectors.json"
NOW = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


SCHEMES = {
    "standard-webhooks-v1": "standard",
    "standard-webhooks-v1a": "standard",
    "hubspot-v1": "hubspot",
    "hubspot-v2": "hubspot",
    "hubspot-v3": "hubspot",
}


def vectors() -> list[Any]:
    if not VECTORS.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{VECTORS} is not here"))]
    found = json.loads(VECTORS.read_text())["vectors"]
    known = [one for one in found if one["scheme"] in SCHEMES or one["provider"] in {"pipedrive", "halopsa"}]
    return [pytest.param(one, id=one["id"]) for one in known]


@pytest.mark.parametrize("vector", vectors())
def test_public_vectors_are_judged_as_they_say(vector: dict[str, Any]) -> None:
    unix = vector.get("verify_at_unix") or vector.get("verify_at_unix_ms", 0) / 1000
    delivery = Delivery(
        Headers(vector["headers"]),
        vector["body"].encode(),
        datetime.fromtimestamp(unix, UTC),
        vector.get("url", ""),
        vector.get("method", "POST"),
    )
    secret = vector.get("secret", vector.get("public_key", ""))
    secrets = [secret] if secret.strip() else []
    try:
        find_source(SCHEMES.get(vector["scheme"], vector["provider"])).verify(delivery, secrets)
        verdict = "accept"
    except NotProven:
        verdict = "reject"

    assert verdict in vector["expect"].split("-or-")


def test_a_shared_secret_counts_under_whatever_name_the_administrator_chose() -> None:
    for headers in ({"x-webhook-secret": "s3cret"}, {"authorization": "Bearer s3cret"}, {"x-anything": "s3cret"}):
        check_shared_secret(Delivery(Headers(headers), b"", NOW), ["other", "s3cret"])
    for url in ("https://x/webhooks/dynamics?code=s3cret", "https://x/webhooks/halopsa/s3cret/?x=1"):
        check_shared_secret(Delivery(Headers(), b"", NOW, url), ["other", "s3cret"])


@pytest.mark.parametrize(
    "raw",
    [
        [],
        [(b"x-key", b"s3cre")],
        [(b"x-key", b"")],
        [(b"x-key", b"s3cret"), (b"x-key", b"other")],
        [(b"authorization", b"Basic !")],
        [(b"authorization", b"Basic \xff")],
        [(b"authorization", b"Bearer")],
    ],
)
def test_a_shared_secret_that_is_wrong_or_doubled_proves_nothing(raw: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(NotProven):
        check_shared_secret(Delivery(Headers(raw=raw), b"", NOW, "https://x/webhooks/dynamics?code=s3cr"), ["s3cret"])


def test_a_password_alone_goes_with_any_user() -> None:
    for pair in ("anyone:s3cret:x", ":s3cret:x"):
        header = "Basic " + base64.b64encode(pair.encode()).decode()
        check_basic(Delivery(Headers({"authorization": header}), b"", NOW), ["s3cret:x"])


def test_a_vector_with_a_wrong_v3_is_not_rescued_by_its_older_signature() -> None:
    sent = find_source("hubspot").sample("s3cret", "https://x/webhooks/hubspot", NOW)
    older_only = Headers({name: value for name, value in sent.headers.items() if name != "x-hubspot-signature-v3"})
    broken = Headers({**sent.headers, "x-hubspot-signature-v3": "AAAA"})

    find_source("hubspot").verify(replace(sent, headers=older_only), ["s3cret"])
    with pytest.raises(NotProven):
        find_source("hubspot").verify(replace(sent, headers=broken), ["s3cret"])


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
