"""`parhelion runs`: look at runs and wait for them."""

import asyncio
import contextlib
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from worker.cli.output import Format, Output, show_fields, show_json, show_list, stop
from worker.cli.store import with_store
from worker.journal.reading import Reader
from worker.journal.records import RUN_STATES, RunRecord
from worker.watch import ended_run

STANDARD_OUTPUT = Path("-")
TABLE_LIMIT = 50
COLUMNS = ("id", "workflow", "client", "state", "updated_at", "note")
STEP_COLUMNS = ("id", "state", "attempts", "started_at", "took", "error")

RunId = Annotated[str, typer.Argument(help="The run's id, as `runs list` shows it.")]


def list_runs(
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many; 50 for tables, all for JSON.")] = None,
    state: Annotated[str | None, typer.Option(help=f"Only runs of this state: {', '.join(RUN_STATES)}.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """List the newest runs."""
    if state is not None and state not in RUN_STATES:
        stop(f"there is no state {state!r}: choose one of {', '.join(RUN_STATES)}", 2)
    if limit is None and output is Format.TABLE:
        limit = TABLE_LIMIT
    found = with_store(lambda store: store.reader.runs(limit, state=state))
    show_runs(found, output)


def show(run_id: RunId, output: Output = Format.TABLE) -> None:
    """Show a run with its steps, input, result and history."""
    show_run(with_store(lambda store: find(store.reader, run_id)), output)


def wait(
    run_id: RunId,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 300,
    output: Output = Format.TABLE,
) -> None:
    """Wait until a run has ended, and show it."""
    run = with_store(lambda store: wait_for(store.reader, run_id, timeout))
    show_run(run, output)
    raise typer.Exit(exit_code([run]))


def export(
    file: Annotated[Path, typer.Argument(help="Where to; - writes to standard output.")] = STANDARD_OUTPUT,
) -> None:
    """Write every run with its steps, input, result and history as a line of JSON."""
    try:
        target = sys.stdout if file == STANDARD_OUTPUT else file.open("w", encoding="utf-8")
    except OSError as error:
        stop(f"{file} cannot be written: {error.strerror}", 2)
    with target:
        number = with_store(lambda store: _export(store.reader, target))
    typer.echo(f"{number} runs exported", err=True)


async def _export(reader: Reader, target: TextIO) -> int:
    number = 0
    async for run in reader.export():
        target.write(json.dumps(run, ensure_ascii=False) + "\n")
        number += 1
    return number


async def find(reader: Reader, run_id: str) -> RunRecord:
    """Read a run, or end the command with exit code 4."""
    run = await reader.run(run_id)
    if run is None:
        stop(f"there is no run {run_id}: `parhelion runs list` shows those there are", 4)
    return run


async def wait_for(reader: Reader, run_id: str, timeout: float) -> RunRecord:  # noqa: ASYNC109 - it is the user's own limit
    """Wait for a run's end; after `timeout` seconds the run as it is then."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await ended_run(reader, run_id)
    return await find(reader, run_id)


def exit_code(waited_for: list[RunRecord]) -> int:
    """Say how a wait ended: 0 all succeeded, 1 some ended otherwise, 5 some still go on."""
    states = {run.state for run in waited_for}
    if states <= {"succeeded", "succeeded_with_skips"}:
        return 0
    return 1 if states & {"failed", "cancelled"} else 5


def show_runs(runs: list[RunRecord], output: Format) -> None:
    """Print several runs; the table says in one column where each stands and why."""
    rows = [run.summary() for run in runs]
    if output is Format.TABLE:
        rows = [{**row, "note": _note(row)} for row in rows]
    show_list(rows, COLUMNS, output)


def show_run(run: RunRecord, output: Format) -> None:
    """Print one run."""
    details = run.details()
    if output is Format.JSON:
        show_json(details)
        return
    tables: dict[str, Any] = {name: details.pop(name) for name in ("steps", "history", "input")}
    show_fields(details)
    typer.echo("\nsteps")
    show_list([{**step, "took": _took(step)} for step in tables["steps"]], STEP_COLUMNS, output)
    if tables["history"]:
        typer.echo("\nhistory")
        show_list(tables["history"], ("at", "actor", "action", "reason"), output)


def _note(row: dict[str, Any]) -> str:
    why = row["waiting_for"] or row["error"]
    return f"{row['step']}: {why}" if row["step"] and why else why or ""


def _took(step: dict[str, Any]) -> str:
    if step["started_at"] is None or step["finished_at"] is None:
        return ""
    span = datetime.fromisoformat(step["finished_at"]) - datetime.fromisoformat(step["started_at"])
    return f"{span.total_seconds():.3f} s"
