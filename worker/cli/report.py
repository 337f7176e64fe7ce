"""`parhelion runs report`: what a run did, and whether HaloPSA still bears the same report."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from worker.assemble.checks import policy_of
from worker.assemble.halo import halo_connection
from worker.assemble.store import Store, budget_of
from worker.cli.output import show_json, stop
from worker.cli.runs import RunId, find
from worker.cli.store import settings, store_of
from worker.errors import NeedsOperator, RetryLater
from worker.journal.records import RunRecord
from worker.settings import Settings
from workflows.report import DRAFT, Report, digest_in, mark_of


class ReportFormat(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


def report(
    run_id: RunId,
    verify: Annotated[bool, typer.Option("--verify", help="Hold it against the note in HaloPSA.")] = False,
    output: Annotated[ReportFormat, typer.Option("-o", "--output", help="Text, JSON, or a page of its own.")] = (
        ReportFormat.TEXT
    ),
) -> None:
    """Show what a run did; with --verify exit code 1 unless HaloPSA's note bears the same report."""
    asyncio.run(_report(run_id, output, verify=verify))


async def _report(run_id: str, output: ReportFormat, *, verify: bool) -> None:
    found = settings(default_level="WARNING")
    async with store_of(found) as store:
        drawn = _drawn(await find(store.reader, run_id))
        _show(drawn, output)
        if verify:
            await _verify(found, store, drawn)


def _drawn(record: RunRecord) -> Report:
    kept = next((step["result"] for step in record.steps() if step["id"] == DRAFT), None)
    if kept is None:
        stop(f"run {record.id} is {record.state} and has drawn up no report: `parhelion runs show` has its steps", 1)
    return Report.model_validate(kept)


def _show(drawn: Report, output: ReportFormat) -> None:
    match output:
        case ReportFormat.JSON:
            show_json({**drawn.model_dump(mode="json"), "sha256": drawn.digest})
        case ReportFormat.HTML:
            typer.echo(drawn.html(), nl=False)
        case ReportFormat.TEXT:
            typer.echo(f"{drawn.text()}\nSHA-256 {drawn.digest}")


async def _verify(found: Settings, store: Store, drawn: Report) -> None:
    connection = halo_connection(found, policy_of(found))
    try:
        halo = connection.for_run(budget_of(found, store).guard(bulk=False))
        notes = [note.text for note in await halo.notes.find(client_id=drawn.client_id)]
    except RetryLater as trouble:
        stop(f"HaloPSA cannot be asked now: {trouble.reason}", 1)
    except NeedsOperator as trouble:
        stop(str(trouble), 1)
    finally:
        await connection.aclose()
    noted = [digest_in(text) for text in notes if mark_of(drawn.run) in text]
    if not noted:
        stop(f"client {drawn.client_id} bears no note of this report in HaloPSA", 1)
    if set(noted) != {drawn.digest}:
        stop(f"the note on client {drawn.client_id} in HaloPSA bears another report: SHA-256 {noted[0]}", 1)
    typer.echo(f"verified: the note on client {drawn.client_id} in HaloPSA bears this report", err=True)
