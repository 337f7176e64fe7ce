"""The embedded Valkey: one server for a data directory, whatever dies."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from worker.embedded import EmbeddedValkey, EmbeddedValkeyError, only_one


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True, socket_timeout=2)


def pid_of(url: str) -> int:
    with client(url) as store:
        return int(store.info("server")["process_id"])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)


def test_it_is_durable_and_keeps_its_data_between_starts(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    with client(server.start()) as store:
        store.set("kept", "yes")
        asked = {name: store.config_get(name)[name] for name in ("appendonly", "appendfsync", "maxmemory-policy")}
    server.stop()
    with client(server.start()) as store:
        assert store.get("kept") == "yes"
    server.stop()

    assert asked == {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


def test_the_second_user_takes_the_server_over_and_the_last_one_stops_it(tmp_path: Path) -> None:
    first, second = EmbeddedValkey(tmp_path), EmbeddedValkey(tmp_path)
    url = first.start()
    pid = pid_of(url)

    assert second.start() == url
    first.stop()
    assert pid_of(url) == pid
    second.stop()

    assert not is_alive(pid)


def test_a_killed_user_leaves_a_server_that_the_next_start_takes_over(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from worker.embedded import EmbeddedValkey;"
        "print(EmbeddedValkey(Path(sys.argv[1])).start(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        pid = pid_of(url)
        process.kill()

    server = EmbeddedValkey(tmp_path)
    assert server.start() == url
    assert pid_of(url) == pid
    server.stop()

    assert not is_alive(pid)


async def test_a_killed_server_is_started_again_at_the_same_address_with_its_data(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    url = server.start()
    with client(url) as store:
        store.set("kept", "yes")
    watching = asyncio.create_task(server.watch())
    killed = pid_of(url)
    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        try:
            return pid_of(url) != killed
        except redis.RedisError:
            return False

    await until(is_back)
    with client(url) as store:
        assert store.get("kept") == "yes"
    watching.cancel()
    server.stop()


def test_many_starts_at_once_share_one_server(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from worker.embedded import EmbeddedValkey; import redis;"
        "server = EmbeddedValkey(Path(sys.argv[1])); url = server.start();"
        "print(redis.Redis.from_url(url).info('server')['process_id'], flush=True);"
        "sys.stdin.read(); server.stop()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    pids = set()
    for process in processes:
        assert process.stdout
        pids.add(int(process.stdout.readline()))
    for process in processes:
        process.communicate()

    assert len(pids) == 1
    assert not is_alive(pids.pop())


def test_its_address_file_is_private_since_it_holds_the_password(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    url = server.start()
    server.stop()

    assert json.loads((tmp_path / "valkey.json").read_text()) == {"url": url}
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "valkey.json", tmp_path / "valkey/valkey.conf")} == {0}


def test_two_ups_in_one_data_directory_are_refused(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(EmbeddedValkeyError, match="another parhelion is up"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def test_a_data_directory_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedValkeyError, match="file/data"):
        EmbeddedValkey(tmp_path / "file" / "data").start()
