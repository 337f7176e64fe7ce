"""A 202 means that the delivery is on the disk: Valkey has synced it before the sender is told."""

import re
import shutil
from pathlib import Path
from signal import SIGTERM

import httpx
import pytest

from tests.chaos.supervised import Supervised
from tests.integration.processes import PARHELION, Parhelion, until

DELIVERIES = 10
NOWHERE = "http://127.0.0.1:9"
SYNCED = re.compile(r"fdatasync\(\d+<[^>]*\.incr\.aof>\) += 0|<\.\.\. fdatasync resumed>\) += 0")


@pytest.fixture
def strace() -> str:
    path = shutil.which("strace")
    if path is None:
        pytest.skip("strace is not installed: whether Valkey syncs before a 202 cannot be seen")
    return path


async def test_what_was_acknowledged_had_been_synced_to_the_disk(strace: str, tmp_path: Path) -> None:
    product = Parhelion(tmp_path / "data", NOWHERE)
    trace = tmp_path / "trace"
    watched = "trace=write,sendto,fdatasync"
    # -D: the process itself stays our child, and gets our signals.
    command = (strace, "-D", "-f", "-y", "-s", "10000", "-e", watched, "-o", str(trace), *PARHELION, "up")
    up = Supervised("up", command, tmp_path, [], product.env)
    await up.start()
    try:
        await until(lambda: is_ready(product.web))
        for number in range(DELIVERIES):
            answer = await product.send({"type": "deal.won", "data": {}}, f"delivery-{number}-of-{DELIVERIES}")
            assert answer.status_code == 202
    finally:
        await up.end(SIGTERM)

    lines = trace.read_text(errors="replace").splitlines()
    acknowledged = [number for number, line in enumerate(lines) if '"HTTP/1.1 202' in line]
    assert len(acknowledged) == DELIVERIES
    for number, told in enumerate(acknowledged):
        name = f"delivery-{number}-of-{DELIVERIES}"
        written = next(at for at, line in enumerate(lines) if ".incr.aof>" in line and name in line)
        assert written < told
        assert any(SYNCED.search(line) for line in lines[written:told]), f"{name} got its 202 unsynced"


async def is_ready(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{url}/readyz")).status_code == 200
