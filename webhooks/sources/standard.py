"""Standard Webhooks: canonical events with an id and a time, signed by the sender."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from starlette.datastructures import Headers

from webhooks.changes import from_milliseconds
from webhooks.delivery import Delivery, Malformed, NotProven, Source, TooOld, WrongScheme
from webhooks.forms import check_base64, check_timestamp
from webhooks.public_keys import PUBLIC, VERSION, any_signed, public_key
from webhooks.sending import json_body, sample_deal
from webhooks.signatures import any_same, sign_standard, standard_content, standard_key_problem, standard_signature
from worker.events import MAX_ID_LENGTH, Event, canonical_event, read_json

TOLERANCE_S: Final = 300
"""How far a sender's clock may be off, either way; the libraries of the scheme use the same."""
LENGTHS: Final = {"v1,": 32, VERSION: 64}
"""How many bytes the signatures of each version have."""
DELIVERY_ID: Final = re.compile(rf"[!-~]{{1,{MAX_ID_LENGTH}}}")


def verify(delivery: Delivery, secrets: Sequence[str]) -> None:
    """Prove id, time and body by one of the signatures in the header and one of the secrets.

    A secret is a key that both sides have (``whsec_``, for ``v1``) or the sender's public one (``whpk_``, for ``v1a``).
    """
    family = _family(delivery)
    delivery_id = delivery.proof(f"{family}-id")
    timestamp = delivery.proof(f"{family}-timestamp")
    given = delivery.proof(f"{family}-signature").split()
    check_timestamp(f"{family}-timestamp", timestamp, delivery.received_at, per_second=1)
    _check_entries(f"{family}-signature", given, sorted({_version(secret) for secret in secrets}))
    _check_age(timestamp, delivery.received_at)
    content = standard_content(delivery_id, timestamp, delivery.body)
    if not any(_fits(given, secret, content) for secret in secrets):
        raise NotProven(f"no signature in {family}-signature fits this id, timestamp and body")


def events(delivery: Delivery) -> Sequence[Event]:
    """Read the one canonical event; ``webhook-id`` stays the same over the sender's repeats, so it names the event."""
    delivery_id = delivery.headers[f"{_family(delivery)}-id"]
    if not DELIVERY_ID.fullmatch(delivery_id):
        raise ValueError(f"webhook-id must be 1 to {MAX_ID_LENGTH} visible ASCII characters without spaces")
    return [canonical_event("standard", delivery_id, read_json(delivery.body), received_at=delivery.received_at)]


def secret_problem(secret: str) -> str | None:
    """Say why a secret cannot be a Standard Webhooks key, or None."""
    return _public_problem(secret) if secret.startswith(PUBLIC) else standard_key_problem(secret)


def _public_problem(key: str) -> str | None:
    try:
        public_key(key)
    except ValueError:
        return "it must be whpk_ followed by the base64 of 32 bytes"
    return None


def _version(secret: str) -> str:
    return VERSION if secret.startswith(PUBLIC) else "v1,"


def _fits(given: Sequence[str], secret: str, content: bytes) -> bool:
    if secret.startswith(PUBLIC):
        return any_signed(given, secret, content)
    return any_same(given, [standard_signature(secret, content)])


def _family(delivery: Delivery) -> str:
    """Tell how the headers are called: Svix, where the scheme comes from, has names of its own."""
    return "svix" if "svix-id" in delivery.headers and "webhook-id" not in delivery.headers else "webhook"


def _check_entries(header: str, given: Sequence[str], versions: Sequence[str]) -> None:
    """Demand one entry, of a version that a secret is for, that can be a signature; others may stand beside it."""
    entries = [(version, entry) for entry in given for version in versions if entry.startswith(version)]
    if not entries:
        wanted = " or ".join(versions)
        raise WrongScheme(f"{header} must hold an entry that begins with {wanted} and goes on in base64")
    problems: list[Malformed] = []
    for version, entry in entries:
        try:
            check_base64(f"{header} after {version}", entry.removeprefix(version), LENGTHS[version])
        except Malformed as problem:
            problems.append(problem)
    if len(problems) == len(entries):
        raise problems[0]


def _check_age(timestamp: str, now: datetime) -> None:
    if abs(int(timestamp) - now.timestamp()) > TOLERANCE_S:
        text = f"webhook-timestamp is more than {TOLERANCE_S} seconds away from the clock here"
        raise TooOld(text, from_milliseconds(int(timestamp) * 1000))


def sample(secret: str, url: str, now: datetime) -> Delivery:
    """Make a signed delivery of a won deal.

    Raises:
        ValueError: the secret is a public key.
    """
    if secret.startswith(PUBLIC):
        raise ValueError("a public key (whpk_) signs nothing: give a secret that both sides have (whsec_)")
    body = json_body(sample_deal(now))
    signature = sign_standard(secret, f"msg_{int(now.timestamp() * 1000)}", now, body)
    return Delivery(Headers({"content-type": "application/json"} | signature), body, now, url)


source = Source("standard", verify, events, secret_problem, sample, signs_body=True)
