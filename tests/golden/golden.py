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

from worker.assemble.inbox import as_it_came
from worker.assemble.store import DOORBELL
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
STORIES: dict[str, list[str]] = {
    "deal.won": [],
    "client.churned": ["deal.won"],
    "client.updated": ["deal.won"],
    "client.reactivated": ["deal.won", "client.churned"],
    "contact.created": ["deal.won"],
    "contact.departed": ["deal.won"],
    "deal.reopened": ["deal.won"],
}
"""The events that are recorded, each with those before it; before a reopening the won deal is left in its middle."""
ACME = {"id": "C-77", "name": "Acme Corporation"}
JOHN = {"name": "John Smith", "email": "john.smith@acme.example.com"}
ABOUT: dict[str, Any] = {
    "client.updated": {"client": ACME | {"website": "https://new.acme.example.com", "phone": "555-987-6543"}},
    "client.reactivated": {"client": ACME},
    "contact.created": {"client": ACME, "contact": {"name": "Ada Jones", "email": "ada@acme.example.com"}},
    "contact.departed": {"client": ACME, "contact": JOHN},
    "deal.reopened": {"deal": {"id": "D-1001"}, "client": ACME},
}
READ = {"hash": "HGETALL", "string": "GET", "zset": "ZRANGE", "list": "LRANGE", "set": "SMEMBERS"}


class Bench:
    """An engine over a journal and a sandbox."""

    def __init__(self, redis: Redis, sandbox: Sandbox, *, suspend_always: bool = False) -> None:
        scripts = Scripts(redis, DOORBELL)
        self.reader = Reader(scripts)
        self.inbox = Inbox(Journal(scripts), self.reader, WORKFLOWS, as_it_came)
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
            hydrate=as_it_came,
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
    """Record a run of each workflow in its middle, where this version has no recording of it yet."""
    (FOLDER / version).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder))
        redis = store_client(await asyncio.to_thread(server.start), tries=BRISK_TRIES)
        for kind in STORIES:
            path = FOLDER / version / f"{_file_name(kind)}.json"
            if not path.exists():
                await redis.flushall()
                recording = await _recorded(redis, kind)
                path.write_text(json.dumps(recording, indent=1, ensure_ascii=False))
        await redis.aclose(close_connection_pool=True)
        await asyncio.to_thread(server.stop)


async def _recorded(redis: Redis, kind: str) -> dict[str, Any]:
    sandbox = Sandbox()
    whole, halting = Bench(redis, sandbox), Bench(redis, sandbox, suspend_always=True)
    for earlier in STORIES[kind]:
        before = await _receive(whole, earlier)
        await (_do_some(halting, before) if kind == "deal.reopened" else whole.engine.advance(before))
    if kind == "client.churned":
        sandbox.plant("Tickets", {"summary": "Printer", "client_id": 21, "tickettype_id": 1})
    run_id = await _receive(whole, kind)
    await _do_some(halting, run_id)
    return {"run": run_id, "journal": await dump(redis), "halopsa": sandbox.state()}


async def _do_some(halting: Bench, run_id: str) -> None:
    for _ in range(STEPS_BEFORE):
        await halting.engine.advance(run_id)


async def _receive(bench: Bench, kind: str) -> str:
    payload = _payload(kind)
    at = read_time(payload["timestamp"])
    assert at
    name = _file_name(kind)
    await bench.inbox.accept([canonical_event("standard", name, payload, received_at=at)])
    (run_id,) = await bench.inbox.route(f"standard:{name}")
    return run_id


def _payload(kind: str) -> dict[str, Any]:
    """The demo's event of a kind, else one about the demo's client."""
    demo = files("worker.demo").joinpath(f"{_file_name(kind)}.json")
    if demo.is_file():
        payload: dict[str, Any] = json.loads(demo.read_text())
        return payload
    source = {"system": "demo", "account": "parhelion"}
    return {"type": kind, "timestamp": "2026-10-05T09:00:00Z", "source": source, "data": ABOUT[kind]}


def _file_name(kind: str) -> str:
    return kind.replace(".", "-")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
