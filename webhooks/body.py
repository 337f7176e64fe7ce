"""Reading a body: no further than allowed, no longer than allowed, and unpacked without being blown up."""

import asyncio
import re
import zlib
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request

GZIP: Final = 31
"""zlib's word for a gzip header and the largest window."""


def check_type(headers: Headers, media_type: re.Pattern[str]) -> None:
    """Refuse a body of another type, charset or encoding before it is read.

    Raises:
        HTTPException: 415.
    """
    given = headers.getlist("content-type")
    kind, *parameters = (given[0] if len(given) == 1 else "").lower().split(";")
    settings = [parameter.strip().partition("=") for parameter in parameters]
    charsets = {value.strip(" '\"") for name, _, value in settings if name.strip() == "charset"}
    if not media_type.fullmatch(kind.strip()) or charsets - {"utf-8", "utf8"}:
        raise HTTPException(415, "the body must be sent in UTF-8 with the Content-Type that this source takes")
    if encodings(headers) not in ([], ["gzip"]):
        raise HTTPException(415, "the body must be sent as it is, or with Content-Encoding: gzip")


async def read_body(request: Request, *, max_bytes: int, within_s: float) -> bytes:
    """Read and unpack a body.

    Args:
        request: whose body was not read yet.
        max_bytes: what it may have, packed and unpacked.
        within_s: seconds in which all of it must have come.

    Raises:
        HTTPException: 408, 413, or 400 where it is not the gzip that it says.
    """
    if _declared_length(request.headers) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(within_s):
            body = await _read(request, max_bytes)
    except TimeoutError as error:
        raise HTTPException(408, f"the body did not come within {within_s:g} seconds") from error
    return unpack(body, max_bytes) if encodings(request.headers) else body


async def _read(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def unpack(packed: bytes, max_bytes: int) -> bytes:
    """Unpack one gzip stream.

    Raises:
        HTTPException: 413 where it holds more than may be, 400 where it is none.
    """
    stream = zlib.decompressobj(GZIP)
    try:
        body = stream.decompress(packed, max_bytes + 1)
    except zlib.error as error:
        raise HTTPException(400, "the body is not gzip") from error
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    if not stream.eof or stream.unused_data:
        raise HTTPException(400, "the body is not one whole gzip stream")
    return body


def encodings(headers: Headers) -> list[str]:
    """Give the encodings that a body is in, those aside that change nothing."""
    words = ",".join(headers.getlist("content-encoding")).lower().split(",")
    return [word.strip() for word in words if word.strip() not in {"", "identity"}]


def _declared_length(headers: Headers) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0  # the body is counted while it comes


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"the body may have {max_bytes} bytes at most")
