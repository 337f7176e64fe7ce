"""Answers to senders: one word for each status, one form for every error."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from webhooks.delivery import NotProven
from worker.errors import StoreUnavailable

T = TypeVar("T")

CODES: Final = {
    400: "not_readable",
    401: "not_proven",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unsupported_type",
    429: "too_many",
    500: "internal",
    503: "unavailable",
}
"""The word for each status in an error's body and in the log."""
UNREAD: Final = frozenset({404, 405, 408, 413, 415})
"""Answers given before the body was read: the connection cannot be used again."""
UNEXPECTED: Final = 500
RETRY_AFTER_S: Final = 5


class Hidden(HTTPException):
    """A source that looks to the caller as if it did not exist.

    Args:
        reason: the true one, for the operator.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(404, "there is no such source, or no secret is set for it")
        self.reason = reason


def true_reason(error: Exception, told: HTTPException) -> str:
    """Say to the operator why a delivery was refused, given what its sender is told."""
    if isinstance(error, Hidden):
        return error.reason
    return str(error) if isinstance(error, StoreUnavailable) else told.detail


def as_http(error: Exception) -> HTTPException:
    """Say which status an exception means; whatever is not known is a bug, and its text stays here."""
    match error:
        case HTTPException():
            return error
        case NotProven():
            return HTTPException(401, str(error))
        case StoreUnavailable():
            # What has a cause comes from the connection, and names inner addresses.
            told = "nothing can be stored now: send it again" if error.__cause__ else str(error)
            return HTTPException(503, told, {"Retry-After": str(RETRY_AFTER_S)})
        case ClientDisconnect():
            return HTTPException(400, "the connection ended before the body did")
        case _:
            return HTTPException(UNEXPECTED, "an unexpected error; the log has it under the request id")


async def within(seconds: float, storing: Awaitable[T]) -> T:
    """Wait for the store so many seconds.

    Raises:
        StoreUnavailable: it did not answer in time. What was to be stored may be stored later.
    """
    try:
        async with asyncio.timeout(seconds):
            return await storing
    except TimeoutError as error:
        raise StoreUnavailable(f"the store did not answer within {seconds:g} seconds") from error


def error_answer(error: HTTPException) -> JSONResponse:
    """Answer ``{"error": code, "detail": text}``."""
    headers = dict(error.headers or {})
    if error.status_code in UNREAD:
        headers["Connection"] = "close"
    return JSONResponse({"error": CODES[error.status_code], "detail": error.detail}, error.status_code, headers)


async def answer_error(_: Request, error: Exception) -> Response:
    """Answer an exception, as Starlette wants it."""
    return error_answer(as_http(error))
