"""The demo: a deal that HubSpot tells of and a churn, through the front door into a HaloPSA look-alike."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import httpx

from webhooks.delivery import Delivery
from worker.assemble.store import open_store
from worker.assemble.web import public_url
from worker.demo.props import COMPANY, Props, churn, equip, hubspot_records, kept_props, won_deal
from worker.demo.story import Story
from worker.errors import ParhelionError
from worker.journal.reading import Reader
from worker.journal.records import RunRecord
from worker.ports import bind
from worker.serve import stop_on_signals, valkey, web, worker
from worker.settings import Settings
from worker.watch import ended_run, routed_runs

OPEN_TICKETS: Final = ("Printer on the second floor", "VPN drops every hour")
_RUN_COMMAND: Final = "from worker.cli import main; main()"


@dataclass(frozen=True, slots=True)
class _Stage:
    """What the demo plays on."""

    web: str
    look_alike: str
    props: Props
    reader: Reader
    story: Story


async def run_demo(found: Settings, *, once: bool) -> int:
    """Play the demo, and stay up for more deals until Ctrl-C unless `once`.

    Returns:
        The exit code: 0 if both runs succeeded, 1 if not, 130 if it was stopped before.
    """
    stopping = stop_on_signals()
    story = Story()
    async with contextlib.AsyncExitStack() as stack:
        listener = bind(found.web_bind, "PARHELION_WEB_BIND")
        story.say("Starting Valkey, the HaloPSA look-alike, the web endpoint and a worker …")
        url = await stack.enter_async_context(valkey(found))
        look_alike = await stack.enter_async_context(_look_alike(found.data_dir))
        props = kept_props(found.data_dir)
        equipped = equip(found, look_alike, props, listener.getsockname()[:2])
        await stack.enter_async_context(worker(equipped, url))
        await stack.enter_async_context(web(equipped, url, listener))
        reader = (await stack.enter_async_context(open_store(url))).reader
        stage = _Stage(public_url(equipped), look_alike, props, reader, story)
        await story.pass_over(reader)
        story.introduce(stage.web, look_alike, found.data_dir)
        telling = asyncio.create_task(story.follow(reader))
        stack.callback(telling.cancel)
        return await _until(stopping, _play_and_stay(stage, once=once))


async def _until(stopping: asyncio.Event, play: Any) -> int:
    """Let the play go on until it ends or somebody stops it."""
    playing, stopped = asyncio.ensure_future(play), asyncio.ensure_future(stopping.wait())
    await asyncio.wait({playing, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if playing.done():
        return int(playing.result())
    playing.cancel()
    outcome = (await asyncio.gather(playing, return_exceptions=True))[0]
    return outcome if isinstance(outcome, int) else 130


async def _play_and_stay(stage: _Stage, *, once: bool) -> int:
    runs = await _play(stage)
    code = 0 if all(run.state == "succeeded" for run in runs) else 1
    stage.story.conclude(runs)
    if once:
        return code
    stage.story.invite(stage.web, stage.props.secrets["token"])
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        stage.story.say("Stopping …")
    return 0


async def _play(stage: _Stage) -> list[RunRecord]:
    async with httpx.AsyncClient(timeout=30) as client:
        await _seed(stage, client, hubspot_records(stage.props))
        stage.story.headline("A deal is won in HubSpot, which tells ids only; the rest is read from it")
        won = await _deliver(stage, client, won_deal(stage.props, f"{stage.web}/webhooks/hubspot"))
        if won.state == "succeeded":
            await _have_open_tickets(stage, client)
        stage.story.headline("The client churns")
        churned = await _deliver(stage, client, churn(stage.props, f"{stage.web}/webhooks/standard"))
    return [won, churned]


async def _deliver(stage: _Stage, client: httpx.AsyncClient, delivery: Delivery) -> RunRecord:
    """Send a delivery as its sender would, and wait for the run that stands for it."""
    started = perf_counter()
    answer = await client.post(delivery.url, content=delivery.body, headers=dict(delivery.headers))
    answer.raise_for_status()
    receipt = answer.json()
    stage.story.received(json.loads(delivery.body), receipt, answer.status_code, perf_counter() - started)
    (run_id, *_) = await routed_runs(stage.reader, (receipt["accepted"] + receipt["duplicates"])[0])
    run = await ended_run(stage.reader, run_id)
    assert run is not None
    await stage.story.catch_up(stage.reader)
    return run


async def _have_open_tickets(stage: _Stage, client: httpx.AsyncClient) -> None:
    """Let the customer report something, once, so that the churn has tickets to close."""
    state = (await client.get(f"{stage.look_alike}/sandbox/state")).json()
    known = {ticket["summary"] for ticket in state["Tickets"]}
    owner = next((one["id"] for one in state["Client"] if one.get("ref") == COMPANY), None)
    tickets = [{"summary": text, "client_id": owner, "tickettype_id": 1} for text in OPEN_TICKETS if text not in known]
    if owner is None or not tickets:
        return
    await _seed(stage, client, {"Tickets": tickets})
    stage.story.headline(f"The client reports {len(tickets)} problems; the tickets are open in HaloPSA")


async def _seed(stage: _Stage, client: httpx.AsyncClient, records: Mapping[str, Any]) -> None:
    (await client.post(f"{stage.look_alike}/sandbox/seed", json=records)).raise_for_status()


@contextlib.asynccontextmanager
async def _look_alike(data_dir: Path) -> AsyncIterator[str]:
    """Run `parhelion sandbox` as a process of its own; it ends with us, however we end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _RUN_COMMAND, "sandbox", "--bind", "127.0.0.1:0", "--until-eof"),
        *("--state", str(data_dir / "sandbox.json")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        line = await process.stdout.readline()
        if not line:
            raise ParhelionError("the HaloPSA look-alike does not start: `parhelion sandbox` says why")
        yield str(json.loads(line)["url"])
    finally:
        process.stdin.close()
        await process.wait()
