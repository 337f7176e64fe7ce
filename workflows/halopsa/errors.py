"""What HaloPSA's answers mean for a run.

RetryLater
└── HaloUnavailable   no answer to a read, 429, 5xx
    └── HaloInDoubt     a write may have been done: no answer came, or one that does not tell
NeedsOperator
└── HaloRefused       HaloPSA understood and said no; its own words are kept
    ├── HaloForbidden   the API application may not do this (401, 403)
    ├── HaloNotFound    there is no such record, or the API agent may not see it (404)
    └── HaloConflict    other records stand in the way (409, or an e-mail address that is in use)
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, ClassVar, Final

import httpx

from worker.errors import NeedsOperator, RetryLater
from workflows.halopsa.refusals import Meaning, known_refusal

MAX_TEXT: Final = 500
PASSING: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""Answers below 500 that pass by themselves."""
TEXT_NAMES: Final = ("error_description", "errorMessage", "message", "Message", "error")
"""Where HaloPSA's error bodies keep their text; the most telling name first."""


class Kind(StrEnum):
    """What sort of trouble an error is."""

    RETRY = "retry"
    IN_DOUBT = "in doubt"
    VALIDATION = "validation"
    PERMISSION = "permission"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"


class HaloUnavailable(RetryLater):
    """HaloPSA cannot be reached, is busy, or gave an answer that is of no use."""

    kind: ClassVar[Kind] = Kind.RETRY


class HaloInDoubt(HaloUnavailable):
    """HaloPSA left open whether it did what it was asked: look before asking again."""

    kind = Kind.IN_DOUBT


class HaloRefused(NeedsOperator):
    """HaloPSA refused a request.

    Args:
        call: the request ("POST /Client").
        status: HTTP status of the answer.
        text: HaloPSA's own words; empty where it gave none.
        mend: what to do about it.
    """

    kind: ClassVar[Kind] = Kind.VALIDATION
    remedy: ClassVar[str] = "Correct the record in HaloPSA or the event's data, then retry the run."

    def __init__(self, call: str, status: int, text: str, *, mend: str = "") -> None:
        super().__init__(f"HaloPSA refused {call} ({status}): {text or 'it gave no reason'}", mend=mend or self.remedy)
        self.call = call
        self.status = status
        self.text = text


class HaloForbidden(HaloRefused):
    """The API application's scopes or its agent's role do not allow a request."""

    kind = Kind.PERMISSION
    remedy = (
        "Give the API application the scope, and the role of the agent that it logs in as the permission, "
        "for this request; then retry the run."
    )


class HaloNotFound(HaloRefused):
    """The record does not exist, or the API agent may not see it."""

    kind = Kind.NOT_FOUND
    remedy = "Check in HaloPSA that the record exists and that the API agent may see it; then retry the run."


class HaloConflict(HaloRefused):
    """Other records stand in the way."""

    kind = Kind.CONFLICT
    remedy = "Look in HaloPSA for the record that stands in the way, then retry the run."


REFUSALS: Final[dict[Meaning, type[HaloRefused]]] = {
    "invalid": HaloRefused,
    "forbidden": HaloForbidden,
    "not found": HaloNotFound,
    "conflict": HaloConflict,
}
BY_STATUS: Final[dict[int, type[HaloRefused]]] = {
    HTTPStatus.UNAUTHORIZED: HaloForbidden,
    HTTPStatus.FORBIDDEN: HaloForbidden,
    HTTPStatus.NOT_FOUND: HaloNotFound,
    HTTPStatus.CONFLICT: HaloConflict,
}


def error_for(call: str, response: httpx.Response) -> HaloUnavailable | HaloRefused:
    """Turn an answer that is no success into the error that says what happens next.

    Args:
        call: the request, for the error's text.
        response: the answer, its body read.
    """
    status, text = response.status_code, refusal_text(response)
    if status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return HaloUnavailable(
            f"HaloPSA answered {call} with {status}{f': {text}' if text else ''}", after=retry_after(response)
        )
    known = known_refusal(text)
    if known is None:
        return BY_STATUS.get(status, HaloRefused)(call, status, text)
    return REFUSALS[known.meaning](call, status, text, mend=known.mend)


def refusal_text(response: httpx.Response) -> str:
    """HaloPSA's own words in an error body.

    Seen: a bare JSON string, an object with one of `TEXT_NAMES`, ASP.NET's model state (``{"[0].id": ["…"]}``), plain
    text, HTML of a proxy, nothing.
    """
    body = response.text.strip()
    if "html" in response.headers.get("content-type", "") or body.startswith("<"):
        return "an HTML page"
    try:
        texts = _texts(json.loads(body))
    except ValueError:
        texts = iter([body])
    return "; ".join(dict.fromkeys(texts))[:MAX_TEXT]


def retry_after(response: httpx.Response) -> float | None:
    """Read the seconds to wait from a ``Retry-After`` header, which may hold seconds or a date.

    Returns:
        None where there is no header, or one that cannot be read.
    """
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _texts(body: Any) -> Iterator[str]:
    match body:
        case str():
            yield body
        case dict():
            named = [body[name] for name in TEXT_NAMES if isinstance(body.get(name), str) and body[name]]
            yield from named[:1] if named else (text for value in body.values() for text in _texts(value))
        case list():
            for item in body:
                yield from _texts(item)
