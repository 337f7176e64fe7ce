"""Standard Webhooks, scheme ``v1a``: the sender signs with a private key (Ed25519), and only its public one is here.

https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

import base64
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PUBLIC: Final = "whpk_"
VERSION: Final = "v1a,"


def public_key(text: str) -> Ed25519PublicKey:
    """Decode a sender's public key.

    Raises:
        ValueError: it is not ``whpk_`` followed by the base64 of 32 bytes.
    """
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix(PUBLIC), validate=True))


def any_signed(given: Iterable[str], key: str, signed: bytes) -> bool:
    """Say whether one of the entries of ``webhook-signature`` is the key's signature.

    Args:
        given: header text; entries of other versions and malformed ones fit nothing.
        key: as `public_key` takes it.
        signed: id, time and body, as the scheme joins them.
    """
    holder = public_key(key)
    return any(_is_signature(entry, holder, signed) for entry in given)


def _is_signature(entry: str, key: Ed25519PublicKey, signed: bytes) -> bool:
    try:
        key.verify(base64.b64decode(entry.removeprefix(VERSION), validate=True), signed)
    except (ValueError, InvalidSignature):
        return False
    return entry.startswith(VERSION)
