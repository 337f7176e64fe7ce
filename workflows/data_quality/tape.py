"""Answers kept in a file, so that a long reading that was interrupted goes on where it stopped.

The order of the requests is all that is remembered: done anew, the reading asks the same again and gets the answers
that are kept, until it asks for something that the file does not hold.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx

from worker.errors import ParhelionError

MAX_AGE: Final = timedelta(hours=24)
"""Answers of a reading that began earlier are not used any more."""


class TapeInUse(ParhelionError):
    """Another process is at the same reading."""


class Tape(httpx.AsyncBaseTransport):
    """Keeps the answers to GET requests, or gives those that it has kept.

    Args:
        file: what is kept, open at the first answer.
        answered: is told of each answer.
    """

    def __init__(self, file: BinaryIO, answered: Callable[[], None]) -> None:
        self._file = file
        self._answered = answered
        self._inner: httpx.AsyncBaseTransport | None = None
        self.sound = False
        """Whether the last request got an answer that is kept."""

    def over(self, inner: httpx.AsyncBaseTransport) -> "Tape":
        """Ask this transport for what is not kept."""
        self._inner = inner
        return self

    @property
    def place(self) -> int:
        """How far the reading has come, to `go_back` to."""
        return self._file.tell()

    def go_back(self, place: int, *, forget: bool) -> None:
        """Read from an earlier place on.

        Args:
            place: where.
            forget: whether what is kept from there on is of no use.
        """
        self._file.seek(place)
        if forget:
            self._file.truncate()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        place = self.place
        kept = _read(self._file.readline())
        self.sound = kept is not None and kept["url"] == str(request.url)
        if kept is not None and self.sound:
            return httpx.Response(httpx.codes.OK, json=kept["answer"])
        self.go_back(place, forget=True)
        assert self._inner is not None
        response = await self._inner.handle_async_request(request)
        await response.aread()
        self._keep(request, response)
        return response

    def _keep(self, request: httpx.Request, response: httpx.Response) -> None:
        if not response.is_success:
            return
        try:
            answer = response.json()
        except ValueError:
            return
        _write(self._file, {"url": str(request.url), "answer": answer})
        self.sound = True
        self._answered()


@contextmanager
def open_tape(path: Path, now: datetime, answered: Callable[[], None]) -> Iterator[tuple[Tape, datetime | None]]:
    """Open a file of kept answers, and empty it when the work with it is done.

    Args:
        path: the file; it and its folder are made if they are missing, for this user alone.
        now: an aware time.
        answered: is told of each answer that is new.

    Returns:
        The tape, and when the reading began that it goes on with; None for a new one.

    Raises:
        TapeInUse: another process has it open.
        OSError: it cannot be had.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TapeInUse(f"another process is reading already, and keeps what it reads in {path}") from None
        tape = Tape(file, answered)
        begun = _begun(file.readline())
        if begun is None or now - begun > MAX_AGE:
            begun = None
            tape.go_back(0, forget=True)
            _write(file, {"begun": now.isoformat()})
        yield tape, begun
        tape.go_back(0, forget=True)


def _write(file: BinaryIO, line: dict[str, Any]) -> None:
    file.write(json.dumps(line).encode() + b"\n")
    file.flush()


def _read(line: bytes) -> dict[str, Any] | None:
    """Read a line; None where there is none, or a crash has torn it."""
    try:
        return dict(json.loads(line)) if line.endswith(b"\n") else None
    except ValueError:
        return None


def _begun(line: bytes) -> datetime | None:
    kept = _read(line) or {}
    try:
        return datetime.fromisoformat(kept["begun"])
    except (KeyError, TypeError, ValueError):
        return None
