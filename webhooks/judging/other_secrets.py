"""What a secret may have been before it was written down here a little differently."""

import base64
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from urllib.parse import quote, unquote

PREFIX: Final = "whsec_"


def _of_hex(secret: str) -> str:
    return PREFIX + base64.b64encode(bytes.fromhex(secret.removeprefix(PREFIX))).decode()


def _of_text(secret: str) -> str:
    return PREFIX + base64.b64encode(secret.encode()).decode()


def _decoded(secret: str) -> str:
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True).decode()


FORMS: Final[Sequence[tuple[str, Callable[[str], str]]]] = (
    ("without the blanks around it", str.strip),
    ("without the quotes around it", lambda secret: secret.strip().strip("'\"")),
    ("with a line end after it", lambda secret: secret + "\n"),
    ("with the quotes around it", lambda secret: f'"{secret}"'),
    (f"without {PREFIX}", lambda secret: secret.removeprefix(PREFIX)),
    (f"with {PREFIX} before it", lambda secret: PREFIX + secret),
    ("as the bytes that its text is, not as base64", _of_text),
    ("as those bytes, without the prefix", lambda secret: _of_text(secret.removeprefix(PREFIX))),
    ("as hex, not as base64", _of_hex),
    ("with + and / for - and _", lambda secret: secret.removeprefix(PREFIX).replace("-", "+").replace("_", "/")),
    ("decoded from base64", _decoded),
    ("decoded from hex", lambda secret: bytes.fromhex(secret).decode()),
    ("encoded in base64", lambda secret: base64.b64encode(secret.encode()).decode()),
    ("in lower case", str.lower),
    ("in upper case", str.upper),
    ("without the word before it", lambda secret: secret.partition(" ")[2]),
    ("without the user before the colon", lambda secret: secret.partition(":")[2]),
    ("without its escapes (%)", unquote),
    ("with escapes (%)", lambda secret: quote(secret, safe="")),
)
"""What could be done to a secret, each in words that follow "it fits"."""


def other_secrets(secrets: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give other forms of secrets, each with words that follow "it fits"; none of them repeats a secret."""
    if len(secrets) > 1:
        yield "with the comma in it, which separates secrets here", ",".join(secrets)
        yield "with the comma and a blank in it, which separate secrets here", ", ".join(secrets)
    for secret in secrets:
        for how, form in FORMS:
            try:
                other = form(secret)
            except ValueError:
                continue
            if other not in {"", secret}:
                yield how, other
