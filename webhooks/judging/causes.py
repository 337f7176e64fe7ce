"""What can be said of a captured request."""

from dataclasses import dataclass
from typing import Literal

Cause = Literal[
    "good",
    "missing",
    "malformed",
    "wrong_scheme",
    "too_old",
    "wrong_url",
    "wrong_method",
    "changed_body",
    "changed_header",
    "wrong_secret",
    "wrong_account",
    "unsupported_type",
    "too_large",
    "not_readable",
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a captured request.

    Attributes:
        cause: one word.
        text: a sentence for the operator; holds no secret.
        status: what the door answers.
    """

    cause: Cause
    text: str
    status: int = 401
