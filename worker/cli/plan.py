"""Plans on the command line: `trigger --plan` and `runs plan`."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.assemble.checks import policy_of
from worker.assemble.halo import halo_connection
from worker.assemble.store import Store, budget_of
from worker.budget import WaitingGuard
from worker.cli.output import Format, Output, show_json, stop
from worker.cli.runs import RunId, find
from worker.cli.store import settings, store_if_any, store_of
from worker.errors import NeedsOperator, RetryLater
from worker.events import Event
from worker.planned_run import Plan
from worker.planning import Planner, as_json
from worker.settings import Settings

MAX_RECORDS = 3
"""A table shows so many records of one write; JSON has all."""
MAX_LINE = 300


def plan(run_id: RunId, output: Output = Format.TABLE) -> None:
    """Show what is left for a run to write, and write nothing."""
    show_plans(_drawn_up(_of_run(run_id)), output)


def plan_event(event: Event, output: Format) -> None:
    """Show what an event's runs would write, and write nothing; exit code 1 if they would stop before their end."""
    show_plans(_drawn_up(_of_event(event)), output)


def show_plans(plans: Sequence[Plan], output: Format) -> None:
    """Print plans."""
    if output is Format.JSON:
        show_json(as_json(plans))
    else:
        console = Console(highlight=False)
        for one in plans:
            _show(console, one)
    raise typer.Exit(1 if any(one.problem for one in plans) else 0)


def _drawn_up(work: Coroutine[Any, Any, Sequence[Plan]]) -> Sequence[Plan]:
    try:
        return asyncio.run(work)
    except RetryLater as trouble:
        stop(f"HaloPSA cannot be asked now: {trouble.reason}", 1)
    except NeedsOperator as trouble:
        stop(str(trouble), 2)


async def _of_event(event: Event) -> Sequence[Plan]:
    found = settings(default_level="WARNING")
    async with store_if_any(found) as store, open_planner(found) as planner:
        return await planner.of_event(event, _guard(found, store))


async def _of_run(run_id: str) -> Sequence[Plan]:
    found = settings(default_level="WARNING")
    async with store_of(found) as store, open_planner(found) as planner:
        return [await planner.of_run(await find(store.reader, run_id), _guard(found, store))]


@asynccontextmanager
async def open_planner(found: Settings) -> AsyncIterator[Planner]:
    """Put together what draws up plans.

    Raises:
        BadSettings: HaloPSA is not configured, or the policy file is not valid.
    """
    policy = policy_of(found)
    connection = halo_connection(found, policy)
    try:
        yield Planner(connection, policy)
    finally:
        await connection.aclose()


def _guard(found: Settings, store: Store | None) -> WaitingGuard:
    return WaitingGuard(budget_of(found, store) if store else None, bulk=False)


def _show(console: Console, plan: Plan) -> None:
    console.print(Text(f"{plan.workflow} for {plan.client or 'an unnamed client'}", style="bold"))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("STEP", "WRITE", "PAYLOAD"):
        table.add_column(column, overflow="fold", no_wrap=column == "WRITE")
    for step in plan.steps:
        for row in _rows(plan, step):
            table.add_row(*(Text(cell) for cell in row))
    unfinished = [write for write in plan.writes if write["step"] not in {step["step"] for step in plan.steps}]
    for write in unfinished:
        table.add_row(*(Text(cell) for cell in _row(write)))
    console.print(table)
    for wait in plan.waits:
        console.print(Text(f"waits for {wait}", style="yellow"))
    if plan.problem:
        console.print(Text(f"stops: {plan.problem}", style="bold red"))
    console.print(f"{len(plan.writes)} writes, about {plan.requests} requests.\n")


def _rows(plan: Plan, step: dict[str, Any]) -> list[tuple[str, str, str]]:
    writes = [write for write in plan.writes if write["step"] == step["step"]]
    if writes:
        return [_row(write) for write in writes]
    return [(step["step"], "done already" if step["done"] else _nothing(step["result"]), "")]


def _nothing(result: Any) -> str:
    there = isinstance(result, dict) and result.get("id")
    return f"exists already: {there}" if there else "only reads"


def _row(write: dict[str, Any]) -> tuple[str, str, str]:
    body = write["body"]
    records = body if isinstance(body, list) else [body]
    shown = "\n\n".join(_fields(record) for record in records[:MAX_RECORDS])
    more = f"\n\n… and {len(records) - MAX_RECORDS} more like these" if len(records) > MAX_RECORDS else ""
    return str(write["step"]), f"{write['method']} {write['path']}", shown + more


def _fields(record: Any) -> str:
    if not isinstance(record, dict):
        return json.dumps(record, ensure_ascii=False)
    lines = (f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in record.items())
    return "\n".join(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} …" for line in lines)
