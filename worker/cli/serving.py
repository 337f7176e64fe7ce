"""The commands that stay up: `up`, `web`, `worker`, `demo`."""

import asyncio
import contextlib
import gc
from typing import Annotated

import typer

from worker.assemble.checks import check_web, check_worker
from worker.cli.store import settings
from worker.demo import run_demo
from worker.ports import bind
from worker.serve import stop_on_signals, valkey
from worker.serve import web as web_process
from worker.serve import worker as worker_process
from worker.settings import BadSettings, Settings


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
        await _serve_until(stopping)


async def _web(found: Settings, url: str) -> None:
    stopping = stop_on_signals()
    async with web_process(found, url, bind(found.web_bind, "PARHELION_WEB_BIND")):
        await _serve_until(stopping)


async def _worker(found: Settings, url: str) -> None:
    stopping = stop_on_signals()
    async with worker_process(found, url):
        await _serve_until(stopping)


async def _serve_until(stopping: asyncio.Event) -> None:
    # What is loaded by now stays. Python would look through it for garbage twice a second under load, 50 ms each time.
    gc.collect()
    gc.freeze()
    await stopping.wait()
