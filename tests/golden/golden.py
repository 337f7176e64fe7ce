"""Golden runs: the journal and the tenant as a released version left them in the middle of its runs.

`python -m tests.golden.golden VERSION` records them; once released, a recording is never made again, only added to.
"""

import asyncio
import json
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from worker.assemble import DOORBELL, hydrate
from worker.embedded import EmbeddedValkey
from worker.engine import Engine
from worker.events import canonical_event, read_time
from worker.inbox import Inbox
from worker.journal import Journal
from worker.journal.reading import Reader
from worker.journal.scripts import Scripts
from worker.store import BRISK_TRIES, store_client
from workflows.halopsa import HaloConnection
from workflows.msp import Msp, msp_for_run
from workflows.policy import Policy
from workflows.registry import WORKFLOWS
from workflows.sandbox import Sandbox, sandbox_app

FOLDER = Path(__file__).parent
STEPS_BEFORE = 3
"""How many steps of each run are done when it is recorded."""
READ = {"hash": "HGETALL", "string": "GET", "zset": "ZRANGE", "list": "LRANGE", "set": "SMEMBERS"}


class Bench:
    """An engine over a journal and a sandbox."""

    def __init__(self, redis: Redis, sandbox: Sandbox, *, suspend_always: bool = False) -> None:
        scripts = Scripts(redis, DOORBELL)
        self.reader = Reader(scripts)
        self.inbox = Inbox(Journal(scripts), self.reader, WORKFLOWS, hydrate)
        self.connection = HaloConnection(
            "http://halo.test",
            client_id="parhelion",
            client_secret="sandbox-secret",
            transport=httpx.ASGITransport(sandbox_app(sandbox)),
        )
        self.engine: Engine[Msp] = Engine(
            Journal(scripts),
            WORKFLOWS,
            msp_for_run(self.connection),
            worker="golden",
            hydrate=hydrate,
            rules=Policy().model_dump_json(),
            suspend_always=suspend_always,
        )


async def dump(redis: Redis) -> dict[str, Any]:
    """Read all of the journal's keys, by type."""
    dumped: dict[str, Any] = {}
    async for key in redis.scan_iter("ph:*"):
        kind = str(await redis.type(key))
        bounds = (0, -1, "WITHSCORES") if kind == "zset" else (0, -1) if kind == "list" else ()
        dumped[key] = [kind, await redis.execute_command(READ[kind], key, *bounds)]  # type: ignore[no-untyped-call]  # redis 5 leaves it untyped
    return dict(sorted(dumped.items()))


async def load(redis: Redis, dumped: dict[str, Any]) -> None:
    """Write dumped keys back."""
    async with redis.pipeline() as pipe:
        for key, (kind, value) in dumped.items():
            match kind:
                case "hash":
                    pipe.hset(key, mapping=value)
                case "string":
                    pipe.set(key, value)
                case "zset":
                    pipe.zadd(key, dict(zip(value[::2], map(float, value[1::2]), strict=True)))
                case "list":
                    pipe.rpush(key, *value)
                case "set":
                    pipe.sadd(key, *value)
        await pipe.execute()


async def record(version: str) -> None:
    """Record each workflow's run in its middle."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder))
        redis = store_client(await asyncio.to_thread(server.start), tries=BRISK_TRIES)
        sandbox = Sandbox()
        whole, halting = Bench(redis, sandbox), Bench(redis, sandbox, suspend_always=True)
        for name in ("deal-won", "client-churned"):
            run_id = await _receive(whole, name)
            for _ in range(STEPS_BEFORE):
                await halting.engine.advance(run_id)
            path = FOLDER / version / f"{name}.json"
            path.parent.mkdir(exist_ok=True)
            recording = {"run": run_id, "journal": await dump(redis), "halopsa": sandbox.state()}
            path.write_text(json.dumps(recording, indent=1, ensure_ascii=False))
            await whole.engine.advance(run_id)
            await redis.flushall()
            sandbox.plant("Tickets", {"summary": "Printer", "client_id": 21, "tickettype_id": 1})
        await redis.aclose(close_connection_pool=True)
        await asyncio.to_thread(server.stop)


async def _receive(bench: Bench, name: str) -> str:
    payload = json.loads(files("worker.demo").joinpath(f"{name}.json").read_text())
    at = read_time(payload["timestamp"])
    assert at
    await bench.inbox.accept([canonical_event("standard", name, payload, received_at=at)])
    (run_id,) = await bench.inbox.route(f"standard:{name}")
    return run_id


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
