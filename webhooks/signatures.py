"""Signing and checking: what the schemes of several senders have in common.

Standard Webhooks, scheme ``v1``: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Final

MIN_KEY_BYTES: Final = 24
"""Standard Webhooks asks for 24 to 64 random bytes."""


def any_same(given: Iterable[str], expected: Iterable[str]) -> bool:
    """Say whether a value from the headers equals an expected one, each pair compared in constant time.

    Args:
        given: header text (latin-1).
        expected: what this side computed or keeps; UTF-8 on the wire.
    """
    return same_bytes([value.encode("latin-1") for value in given], expected)


def same_bytes(given: Iterable[bytes], expected: Iterable[str]) -> bool:
    """Say whether one of the given values equals the UTF-8 of an expected one, each pair compared in constant time."""
    candidates = [value.encode() for value in expected]
    return any(hmac.compare_digest(value, other) for value in given for other in candidates)


def standard_key(secret: str) -> bytes:
    """Decode a Standard Webhooks secret: base64, with or without the prefix ``whsec_`` and the padding.

    Raises:
        ValueError: it is not base64, or empty.
    """
    encoded = secret.removeprefix("whsec_").rstrip("=")
    key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    if not key:
        raise ValueError("the secret is empty")
    return key


def standard_key_problem(secret: str) -> str | None:
    """Say why a secret cannot be a key that both sides have, or None."""
    try:
        length = len(standard_key(secret))
    except ValueError:
        return "it must be whsec_ followed by base64"
    return (
        None if length >= MIN_KEY_BYTES else f"it holds {length} bytes; at least {MIN_KEY_BYTES} random ones are needed"
    )


def standard_content(delivery_id: str, timestamp: str, body: bytes) -> bytes:
    """Join what is signed.

    Args:
        delivery_id: the text of ``webhook-id`` (latin-1).
        timestamp: the text of ``webhook-timestamp``.
        body: the raw body.
    """
    return f"{delivery_id}.{timestamp}.".encode("latin-1") + body


def standard_signature(secret: str, content: bytes) -> str:
    """Compute one entry of ``webhook-signature``.

    Args:
        secret: as `standard_key` takes it.
        content: what `standard_content` joined.

    Returns:
        ``v1,`` and the signature in base64.
    """
    digest = hmac.digest(standard_key(secret), content, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


def sign_standard(secret: str, delivery_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """Sign a delivery as a Standard Webhooks sender does.

    Args:
        secret: as `standard_key` takes it.
        delivery_id: stays the same when the delivery is sent again.
        timestamp: when this attempt is sent; whole seconds count.
        body: the raw body.

    Returns:
        The three headers to send with the body.
    """
    stamp = str(int(timestamp.timestamp()))
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": stamp,
        "webhook-signature": standard_signature(secret, standard_content(delivery_id, stamp, body)),
    }
