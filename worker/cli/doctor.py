"""`parhelion doctor`: what works with this HaloPSA, what would fail at which step, and how to mend it."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Annotated, Final

import httpx
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.assemble.checks import check_worker, policy_of
from worker.assemble.halo import halo_connection
from worker.assemble.store import budget_of
from worker.budget import WaitingGuard
from worker.cli.output import Format, Output, show_json, stop
from worker.cli.store import settings, store_of
from worker.cli.store_checks import BUDGET_CHECKS, SETTINGS_CHECKS, STORE_CHECKS, Setup
from worker.embedded import EmbeddedValkeyError
from worker.settings import Settings
from workflows.doctor import WRITE_CHECKS, Examination, Finding, Patient, Trial, examine_tenant, try_writes
from workflows.halopsa import HaloConnection
from workflows.halopsa.connections import Connections
from workflows.policy import Policy

GROUPS: Final = {
    "ok": ("Works", "green"),
    "skipped": ("Not looked at", "dim"),
    "warning": ("Works with limits", "yellow"),
    "fails": ("Would fail", "bold red"),
}


def doctor(
    write_test: Annotated[
        bool, typer.Option("--write-test", help="Try every write too, on a client made for it and set inactive again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask back.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Look whether HaloPSA and Valkey let the workflows do their work.

    Exit code 1 if something would fail, 2 if settings or policy are not valid.
    """
    found = settings(default_level="ERROR")  # the findings say it better than warnings
    check_worker(found)
    policy = policy_of(found)
    if write_test:
        _confirm(found, yes=yes)
    examination = Examination(_tell)
    asyncio.run(_examine(found, policy, examination, write_test=write_test))
    if output is Format.JSON:
        show_json([finding.model_dump(mode="json") for finding in examination.findings])
    else:
        _show(examination.findings)
    raise typer.Exit(0 if examination.sound else 1)


async def _examine(found: Settings, policy: Policy, examination: Examination, *, write_test: bool) -> None:
    await examination.run(SETTINGS_CHECKS, found)
    async with AsyncExitStack() as stack:
        setup = await _open_store(found, examination, stack)
        budget = budget_of(found, setup.store) if setup and examination.state("store") == "ok" else None
        await _examine_halo(found, policy, examination, WaitingGuard(budget, bulk=False), write_test=write_test)
        if setup:
            await examination.run(BUDGET_CHECKS, setup)


async def _open_store(found: Settings, examination: Examination, stack: AsyncExitStack) -> Setup | None:
    why = ""
    if found.redis_url is None and not (found.data_dir / "valkey.json").exists():
        why = f"nothing has run in {found.data_dir} yet; `parhelion up` brings a Valkey of its own that keeps all"
    else:
        try:
            setup = Setup(found, await stack.enter_async_context(store_of(found)))
        except EmbeddedValkeyError as error:
            why = str(error)
        else:
            await examination.run(STORE_CHECKS, setup)
            return setup
    examination.skip([*STORE_CHECKS, *BUDGET_CHECKS], why)
    return None


async def _examine_halo(
    found: Settings, policy: Policy, examination: Examination, guard: WaitingGuard, *, write_test: bool
) -> None:
    def connect(scope: str, transport: httpx.AsyncBaseTransport) -> HaloConnection:
        return halo_connection(found.model_copy(update={"halo_scope": scope}), policy, transport)

    webhooks = "/webhooks/halopsa" if "halopsa" in found.webhook_secrets else None
    connections = Connections()
    try:
        patient = Patient(connect, connections, guard, found.halo_scope, policy, webhooks)
        await examine_tenant(patient, examination)
        if write_test:
            await try_writes(Trial(patient, datetime.now(UTC)), examination)
        else:
            examination.skip(WRITE_CHECKS, "not tried; with --write-test it is")
    finally:
        await connections.aclose()


def _confirm(found: Settings, *, yes: bool) -> None:
    question = f"Make a client for trying things out in {found.halo_url}, and set it inactive again?"
    if not yes and not sys.stdin.isatty():
        stop(f"{question} Say so with --yes", 2)
    if not yes:
        typer.confirm(question, abort=True, err=True)


def _tell(finding: Finding) -> None:
    typer.echo(f"{finding.state:<8} {finding.check}", err=True)


def _show(findings: Sequence[Finding]) -> None:
    console = Console(highlight=False)
    for state, (title, style) in GROUPS.items():
        group = [finding for finding in findings if finding.state == state]
        if group:
            console.print(Text(f"\n{title}", style=style))
            console.print(_table(group))
    failing = sum(finding.state == "fails" for finding in findings)
    console.print(f"\n{failing} of {len(findings)} checks say that something would fail.")


def _table(group: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for style in ("", "bold", ""):
        table.add_column(style=style, overflow="fold")
    for finding in group:
        table.add_row("", finding.check, Text(finding.seen))
        if finding.remedy:
            table.add_row("", "", Text(f"At: {'; '.join(finding.concerns)}"))
            table.add_row("", "", Text(f"To mend it: {finding.remedy}"))
    return table
