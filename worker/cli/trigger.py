"""`parhelion trigger`: hand in a canonical event by hand."""

import asyncio
import contextlib
import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from worker.assemble.inbox import inbox_of
from worker.assemble.store import Store
from worker.cli.output import Format, Output, show_json, stop
from worker.cli.plan import plan_event
from worker.cli.runs import exit_code, show_runs, wait_for
from worker.cli.store import with_store
from worker.events import Event, canonical_event, read_json
from worker.journal.records import RunRecord
from worker.watch import routed_runs

STANDARD_INPUT = Path("-")


def trigger(
    file: Annotated[
        Path, typer.Argument(help="A canonical event as JSON, for example a deal.won; - reads standard input.")
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the runs it starts have ended.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 300,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be written; nothing is.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Hand in a canonical event, as a webhook would."""
    event = _read(file)
    if plan:
        plan_event(event, output)
    if not wait:
        _report_receipt(*with_store(lambda store: _hand_in(store, event)), output)
        return
    runs = with_store(lambda store: _hand_in_and_wait(store, event, timeout))
    if output is Format.JSON:
        show_json([run.details() for run in runs])
    else:
        show_runs(runs, output)
    raise typer.Exit(exit_code(runs))


def _read(file: Path) -> Event:
    """Read the event; the hash of its bytes is its identity, so the same file twice is one event."""
    try:
        body = sys.stdin.buffer.read() if file == STANDARD_INPUT else file.read_bytes()
        digest = hashlib.sha256(body).hexdigest()[:32]
        return canonical_event("trigger", digest, read_json(body), received_at=datetime.now(UTC))
    except OSError as error:
        stop(f"{file} cannot be read: {error.strerror}", 2)
    except ValueError as error:
        stop(f"{file} is not a canonical event: {error}", 2)


async def _hand_in(store: Store, event: Event) -> tuple[str, bool, bool]:
    receipt = await inbox_of(store).accept([event])
    return (*receipt.accepted, *receipt.duplicates)[0], bool(receipt.accepted), bool(await store.reader.workers())


async def _hand_in_and_wait(store: Store, event: Event, timeout: float) -> list[RunRecord]:  # noqa: ASYNC109 - it is the user's own limit
    event_id, _, worked_on = await _hand_in(store, event)
    if not worked_on:
        stop(f"event {event_id} is stored, but no worker is up to wait for: start `parhelion up`", 3)
    runs: list[str] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            runs = await routed_runs(store.reader, event_id)
    if not runs:
        stored = await store.reader.event(event_id) or {}
        stop(f"event {event_id}: {stored.get('reason') or stored.get('error') or 'not routed in time'}", 1)
    return list(await asyncio.gather(*(wait_for(store.reader, run, timeout) for run in runs)))


def _report_receipt(event_id: str, new: bool, worked_on: bool, output: Format) -> None:
    if output is Format.JSON:
        show_json({"event": event_id, "accepted": new, "worker_up": worked_on})
        return
    typer.echo(f"{event_id}: {'accepted' if new else 'a duplicate, nothing new to do'}")
    if not worked_on:
        typer.echo("No worker is up: it is stored, and worked on as soon as `parhelion up` runs.", err=True)
