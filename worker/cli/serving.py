"""The commands that stay up: `up`, `web`, `worker`, `sandbox`, `demo`."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from worker.assemble import check_web, check_worker
from worker.cli.output import stop
from worker.cli.store import settings
from worker.demo import run_demo
from worker.serve import bind, serving, stop_on_signals, valkey
from worker.serve import web as web_process
from worker.serve import worker as worker_process
from worker.settings import BadSettings, Settings
from workflows.sandbox import Sandbox, sandbox_app

SANDBOX_BIND = "127.0.0.1:8090"


def up() -> None:
    """Run web and worker in one process, with an embedded Valkey unless PARHELION_REDIS_URL is set."""
    found = settings()
    _check(found, web=True, worker=True)
    asyncio.run(_up(found))


def web() -> None:
    """Run the web endpoint alone."""
    found = settings()
    _check(found, web=True, worker=False)
    asyncio.run(_web(found, _needed_url(found)))


def worker() -> None:
    """Run a worker alone."""
    found = settings()
    _check(found, web=False, worker=True)
    asyncio.run(_worker(found, _needed_url(found)))


def sandbox(
    bind_to: Annotated[str, typer.Option("--bind", help="Where to listen, host:port.")] = SANDBOX_BIND,
    state: Annotated[
        Path | None, typer.Option(help="A file that keeps the look-alike's records between starts.")
    ] = None,
    until_eof: Annotated[bool, typer.Option("--until-eof", help="Stop when standard input ends.", hidden=True)] = False,
) -> None:
    """Run a HaloPSA look-alike to try things out on."""
    settings()
    host, _, port = bind_to.rpartition(":")
    if not host or not port.isdigit():
        stop(f"--bind {bind_to}: must be host:port, for example {SANDBOX_BIND}", 2)
    asyncio.run(_sandbox((host, int(port)), state, until_eof=until_eof))


def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit when both runs have ended; 0 if both succeeded.")] = False,
) -> None:
    """Show the whole way: a signed won deal and a churn, through the front door into a HaloPSA look-alike."""
    found = settings(default_level="WARNING")  # the story tells what happens
    raise typer.Exit(asyncio.run(run_demo(found, once=once)))


def _check(found: Settings, *, web: bool, worker: bool) -> None:
    """Collect what is wrong for both roles before complaining."""
    problems: list[str] = []
    for wanted, check in ((web, check_web), (worker, check_worker)):
        try:
            if wanted:
                check(found)
        except BadSettings as error:
            problems += error.problems
    if problems:
        raise BadSettings(problems)


def _needed_url(found: Settings) -> str:
    if found.redis_url is None:
        raise BadSettings(["PARHELION_REDIS_URL: is not set; `parhelion up` brings a Valkey of its own"])
    return found.redis_url.get_secret_value()


async def _up(found: Settings) -> None:
    stopping = stop_on_signals()
    async with contextlib.AsyncExitStack() as stack:
        listener = bind(found.web_bind, "PARHELION_WEB_BIND")
        url = await stack.enter_async_context(valkey(found))
        await stack.enter_async_context(worker_process(found, url))
        await stack.enter_async_context(web_process(found, url, listener))
        await stopping.wait()


async def _web(found: Settings, url: str) -> None:
    stopping = stop_on_signals()
    async with web_process(found, url, bind(found.web_bind, "PARHELION_WEB_BIND")):
        await stopping.wait()


async def _worker(found: Settings, url: str) -> None:
    stopping = stop_on_signals()
    async with worker_process(found, url):
        await stopping.wait()


async def _sandbox(address: tuple[str, int], state: Path | None, *, until_eof: bool) -> None:
    stopping = stop_on_signals()
    listener = bind(address, "--bind")
    host, port = listener.getsockname()[:2]
    async with serving(sandbox_app(Sandbox(state_file=state)), listener):
        typer.echo(json.dumps({"url": f"http://{host}:{port}"}))
        sys.stdout.flush()
        if until_eof:
            asyncio.get_running_loop().add_reader(sys.stdin, stopping.set)
        await stopping.wait()
