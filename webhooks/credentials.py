"""Proof by a fixed secret: a bearer token, a Basic password, a header, a query parameter, the address itself."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, NoReturn

from webhooks.delivery import Delivery, Malformed, Missing, NotProven, WrongScheme
from webhooks.signatures import any_same, same_bytes

TELLING: Final = re.compile(r"auth|secret|token|key|code|pass")
"""What the name of whatever holds a secret says, as a rule: such a one was wrong, without any it is missing."""


def check_bearer(delivery: Delivery, secrets: Sequence[str]) -> None:
    """Demand ``Authorization: Bearer <secret>``.

    Raises:
        NotProven: it is missing, doubled, of another scheme, or wrong.
    """
    scheme, _, token = delivery.proof("authorization").partition(" ")
    if scheme.lower() != "bearer":
        raise WrongScheme("the header authorization must be 'Bearer' and the token")
    if not token.strip():
        raise Malformed("the header authorization must be 'Bearer' and the token; no token came")
    if not any_same([token.strip()], secrets):
        raise NotProven("the bearer token is wrong")


def check_basic(delivery: Delivery, secrets: Sequence[str]) -> None:
    """Demand HTTP Basic; a secret is ``user:password``, or a password alone, which then goes with any user.

    Raises:
        NotProven: it is missing, doubled, of another scheme, or wrong.
    """
    header = delivery.proof("authorization")
    if header.partition(" ")[0].lower() != "basic":
        raise WrongScheme("the header authorization must be 'Basic' and user:password in base64")
    readings = _basic_readings(header)
    if not same_bytes(readings, secrets):
        _check_pair(readings)
        raise NotProven("user and password are wrong")


def check_shared_secret(delivery: Delivery, secrets: Sequence[str]) -> None:
    """Demand the secret in any place where a sender can be told to put it.

    The address, a bearer token, Basic, or the value of any header or query parameter: such senders let the
    administrator choose the name, so whoever knows the secret is let in under whatever name.

    Raises:
        Missing: no secret came at all.
        NotProven: the secret is in none of them, or in a header that came more than once.
    """
    if proven_by_address(delivery, secrets):
        return
    names = [name for name, value in delivery.headers.items() if _header_holds(value, secrets)]
    for name in names:
        delivery.proof(name)
    in_query = [same_bytes([value.encode()], secrets) for _, value in delivery.query]
    if not names and not any(in_query):
        _refuse_shared(delivery)


def _refuse_shared(delivery: Delivery) -> NoReturn:
    """Say why a delivery whose secret is nowhere is refused."""
    header = delivery.headers.get("authorization", "")
    if header.lower().startswith("basic "):
        _check_pair(_basic_readings(header))
    places = [*delivery.headers, *(name.lower() for name, _ in delivery.query)]
    if not delivery.address_secret and not any(map(TELLING.search, places)):
        raise Missing("no header, query parameter or address holds the secret")
    raise NotProven("no header, query parameter or address holds the secret")


def _check_pair(readings: Sequence[bytes]) -> None:
    if not readings or b":" not in readings[0]:
        raise Malformed("the header authorization must be 'Basic' and user:password in base64")


def proven_by_address(delivery: Delivery, secrets: Sequence[str]) -> bool:
    """Say whether the address ends with one of the secrets."""
    return bool(delivery.address_secret) and same_bytes([delivery.address_secret.encode()], secrets)


def any_text(_secret: str) -> None:
    """Any text can be such a secret."""


def _header_holds(value: str, secrets: Sequence[str]) -> bool:
    token = value.partition(" ")[2].strip() if value.lower().startswith("bearer ") else value
    basic = _basic_readings(value) if value.lower().startswith("basic ") else ()
    return any_same([token], secrets) | same_bytes(basic, secrets)


def _basic_readings(header: str) -> Sequence[bytes]:
    """Give ``user:password`` and the password of a Basic header; nothing where it is not base64."""
    try:
        pair = base64.b64decode(header.partition(" ")[2].strip().encode("latin-1"), validate=True)
    except binascii.Error:
        return ()
    return pair, pair.partition(b":")[2]
