"""`parhelion data-quality` and `parhelion link`: order in HaloPSA's data."""

import asyncio
import csv
import getpass
import io
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.assemble.checks import check_worker, policy_of
from worker.assemble.crms import won_lately
from worker.assemble.halo import halo_connection
from worker.assemble.store import budget_of
from worker.budget import WaitingGuard
from worker.cli.output import Format, Output, show_json, show_list, stop
from worker.cli.store import settings, store_if_any
from worker.errors import NeedsOperator, RetryLater
from worker.settings import Settings
from workflows.data_quality import Finding, Named, TapeInUse, examine
from workflows.halopsa import HaloConnection
from workflows.link import BadCompanies, Company, Link, link_companies, read_companies
from workflows.policy import Policy

LINK_COLUMNS: Final = ("company", "state", "client", "candidates")
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets take text that begins so for a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""


class Form(StrEnum):
    """What `data-quality` prints."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def data_quality(
    output: Annotated[Form, typer.Option("-o", "--output", help="Print a table, JSON or CSV.")] = Form.TABLE,
) -> None:
    """Look for faults in HaloPSA's data; each finding says how to mend it. Interrupted, it goes on when started again.

    Exit code 0 if there are none, 1 if there are, 2 if settings or policy are not valid, 3 if HaloPSA cannot be asked.
    """
    found = settings(default_level="ERROR")
    check_worker(found)
    findings = asyncio.run(_examine(found, policy_of(found)))
    {Form.TABLE: _show, Form.JSON: _show_json, Form.CSV: _show_csv}[output](findings)
    raise typer.Exit(1 if findings else 0)


def link(
    file: Annotated[Path, typer.Argument(help="The CRM's companies, CSV or JSON: id, name, domain; - for stdin.")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Only show what would be linked; so it is without --apply.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Write the keys of what is certain.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask back.")] = False,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the data directory's links.jsonl.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Find the clients in HaloPSA that are companies of the CRM, and write the companies' keys to them.

    Exit code 0 if nothing is left for a person, 1 if something is uncertain or could not be written.
    """
    if plan and apply:
        stop("--plan and --apply: say which", 2)
    found = settings(default_level="ERROR")
    check_worker(found)
    companies = _companies(file)
    if apply:
        _confirm(found, yes=yes)
    links = asyncio.run(_link(found, policy_of(found), companies, write=apply))
    if apply:
        _record(found, links, reason)
    if output is Format.JSON:
        show_json([one.model_dump(mode="json") for one in links])
    else:
        show_list([_row(one) for one in links], LINK_COLUMNS, output)
    raise typer.Exit(1 if any(one.state in ("uncertain", "not written") for one in links) else 0)


@asynccontextmanager
async def _connected(found: Settings, policy: Policy) -> AsyncIterator[tuple[HaloConnection, WaitingGuard]]:
    """Open HaloPSA, within the bulk share of the request budget where there is a store that keeps one."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(store_if_any(found))
        connection = halo_connection(found, policy)
        stack.push_async_callback(connection.aclose)
        try:
            yield connection, WaitingGuard(budget_of(found, store) if store else None, bulk=True)
        except RetryLater as error:
            stop(f"HaloPSA cannot be asked now: {error.reason}; start it again later, and it goes on from here", 3)
        except NeedsOperator as error:
            stop(str(error), 3)


async def _examine(found: Settings, policy: Policy) -> list[Finding]:
    tape = found.data_dir / "data-quality" / "reading.jsonl"
    try:
        async with _connected(found, policy) as (connection, guard):
            won = await won_lately(found, policy, connection.for_run(guard), tell=_tell)
            return await examine(connection, guard, policy, tape=tape, now=datetime.now(UTC), won_deals=won, tell=_tell)
    except (TapeInUse, OSError) as error:
        stop(f"{tape}: {error}", 3)


async def _link(found: Settings, policy: Policy, companies: Sequence[Company], *, write: bool) -> list[Link]:
    async with _connected(found, policy) as (connection, guard):
        return await link_companies(connection.for_run(guard), companies, policy.names, write=write, tell=_tell)


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _show(findings: Sequence[Finding]) -> None:
    console = Console(highlight=False)
    for kind, same in groupby(findings, key=lambda finding: finding.kind):
        group = list(same)
        console.print(Text(f"\n{kind} ({len(group)})", style="bold"))
        console.print(_table(group))
        for mend in dict.fromkeys(finding.mend for finding in group):
            console.print(Text(f"  To mend it: {mend}"))
    console.print(f"\n{len(findings)} findings.")


def _table(group: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    for finding in group:
        certainty = "" if finding.certainty == "certain" else finding.certainty
        cells = (_names(finding.clients), _names(finding.records), finding.what, certainty)
        table.add_row("", *(Text(cell) for cell in cells))
    return table


def _names(records: Sequence[Named]) -> str:
    return ", ".join(f"{record.id} {record.name}" for record in records)


def _show_json(findings: Sequence[Finding]) -> None:
    show_json([finding.model_dump(mode="json") for finding in findings])


def _show_csv(findings: Sequence[Finding]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["kind", "certainty", "client_ids", "clients", "record_ids", "records", "what", "mend"])
    for finding in findings:
        listed = [part for records in (finding.clients, finding.records) for part in _columns(records)]
        rows.writerow([finding.kind, finding.certainty, *map(_harmless, [*listed, finding.what, finding.mend])])
    typer.echo(text.getvalue(), nl=False)


def _columns(records: Sequence[Named]) -> tuple[str, str]:
    return "; ".join(str(record.id) for record in records), "; ".join(record.name for record in records)


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _companies(file: Path) -> list[Company]:
    try:
        text = sys.stdin.read() if file == Path("-") else file.read_text(encoding="utf-8-sig")
        return read_companies(text)
    except (OSError, UnicodeDecodeError, BadCompanies) as error:
        stop(f"{file} cannot be read: {error}", 2)


def _confirm(found: Settings, *, yes: bool) -> None:
    question = f"Write the CRM's keys to the clients in {found.halo_url} that are certain?"
    if not yes and not sys.stdin.isatty():
        stop(f"{question} Say so with --yes", 2)
    if not yes:
        typer.confirm(question, abort=True, err=True)


def _record(found: Settings, links: Sequence[Link], reason: str) -> None:
    """Keep who has linked what, and why."""
    found.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = {
        "at": datetime.now(UTC).isoformat(),
        "actor": getpass.getuser(),
        "reason": reason,
        "links": {one.client.id: one.company.id for one in links if one.state == "written" and one.client},
    }
    with (found.data_dir / "links.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _row(one: Link) -> dict[str, str]:
    return {
        "company": f"{one.company.id} {one.company.name}",
        "state": one.state,
        "client": f"{one.client.id} {one.client.name}" if one.client else "",
        "candidates": one.trouble or ", ".join(map(str, one.candidates)),
    }
