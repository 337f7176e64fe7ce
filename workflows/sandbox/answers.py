"""What the look-alikes send back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, ready to send.

    Attributes:
        status: the HTTP status.
        body: the bytes of the body.
        content_type: of a body that is not empty.
        headers: further ones.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The look-alike does not do what was asked.

    Args:
        body: what it says, encoded as JSON: a bare string, a model state (``{"[0].id": ["…"]}``) or an error object;
            None for an empty body.
        status: the HTTP status.
    """

    def __init__(self, body: Any = None, status: int = 400) -> None:
        super().__init__(body)
        self.body = body
        self.status = status

    def answer(self) -> Answer:
        """The refusal as it goes out."""
        return Answer(self.status) if self.body is None else json_answer(self.status, self.body)


def json_answer(status: int, value: Any) -> Answer:
    """Encode `value` as an answer's body."""
    return Answer(status, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def require(condition: object, text: str) -> None:
    """Refuse with 400 and a bare JSON string unless `condition` holds.

    Raises:
        Refused: it does not hold.
    """
    if not condition:
        raise Refused(text)
