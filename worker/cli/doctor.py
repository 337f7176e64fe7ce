"""`parhelion doctor`: what works with this HaloPSA, what would fail at which step, and how to mend it."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import httpx
import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from worker.assemble import check_worker, durability_of, halo_connection, policy_of
from worker.budget import WaitingGuard
from worker.cli.output import Format, Output, show_json, stop
from worker.cli.store import settings, store_of
from worker.durability import Durability
from worker.embedded import EmbeddedValkeyError
from worker.errors import StoreUnavailable
from worker.settings import Settings
from workflows.doctor import (
    WRITE_CHECKS,
    Check,
    Examination,
    Finding,
    Patient,
    Trial,
    Verdict,
    examine_tenant,
    try_writes,
)
from workflows.halopsa import HaloConnection
from workflows.halopsa.connections import Connections

GROUPS: Final = {
    "ok": ("Works", "green"),
    "warning": ("Works with limits", "yellow"),
    "fails": ("Would fail", "bold red"),
    "skipped": ("Not looked at", "dim"),
}
EVERY_WORKFLOW: Final = ("every workflow",)


def doctor(
    write_test: Annotated[
        bool, typer.Option("--write-test", help="Try every write too, on a client made for it and set inactive again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask back.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Look at HaloPSA and Valkey before a deal is lost on them. Exit code 1 if something would fail."""
    found = settings(default_level="WARNING")
    check_worker(found)
    if write_test:
        _confirm(found, yes=yes)
    examination = Examination(_tell)
    asyncio.run(_examine(found, examination, write_test=write_test))
    if output is Format.JSON:
        show_json([finding.model_dump(mode="json") for finding in examination.findings])
    else:
        _show(examination.findings)
    raise typer.Exit(0 if examination.sound else 1)


async def _examine(found: Settings, examination: Examination, *, write_test: bool) -> None:
    await _examine_store(found, examination)
    connections = Connections()
    policy = policy_of(found)

    def connect(scope: str, transport: httpx.AsyncBaseTransport) -> HaloConnection:
        return halo_connection(found.model_copy(update={"halo_scope": scope}), policy, transport)

    try:
        patient = Patient(connect, connections, WaitingGuard(None, bulk=False), found.halo_scope, policy)
        await examine_tenant(patient, examination)
        if write_test:
            await try_writes(Trial(patient, datetime.now(UTC)), examination)
        else:
            examination.skip(WRITE_CHECKS, "not tried; with --write-test it is")
    finally:
        await connections.aclose()


async def _examine_store(found: Settings, examination: Examination) -> None:
    if found.redis_url is None and not (found.data_dir / "valkey.json").exists():
        why = (
            f"nothing has run in {found.data_dir} yet; `parhelion up` brings a Valkey of its own that keeps everything"
        )
        examination.skip(STORE_CHECKS, why)
        return
    try:
        async with store_of(found) as store:
            strict = found.model_copy(update={"allow_data_loss": False})
            await examination.run(STORE_CHECKS, _Valkey(durability_of(strict, store), found.allow_data_loss))
    except EmbeddedValkeyError as error:
        examination.skip(STORE_CHECKS, str(error))


class _Valkey:
    """The configured Valkey; `may_lose` says whether the settings accept that it loses data."""

    def __init__(self, durability: Durability, may_lose: bool) -> None:
        self.durability = durability
        self.may_lose = may_lose


async def _reach_store(valkey: _Valkey) -> Verdict:
    """Ask Valkey something."""
    try:
        await valkey.durability.problems()
    except StoreUnavailable as error:
        return Verdict("fails", str(error), "Check PARHELION_REDIS_URL, and that Valkey runs and lets this user in.")
    memory = valkey.durability.memory
    used = f"; {memory.share:.0%} of its memory is used" if memory and memory.limit else ""
    return Verdict("ok", f"Valkey answers{used}")


async def _keep_data(valkey: _Valkey) -> Verdict:
    """Look whether Valkey's settings keep what was acknowledged."""
    problems = await valkey.durability.problems()
    if not problems:
        return Verdict("ok", "Valkey keeps what it has acknowledged")
    seen = "; ".join(problem.partition(": ")[2] for problem in problems)
    return Verdict("warning" if valkey.may_lose else "fails", seen, "Set what it says in valkey.conf.")


STORE_CHECKS: Final[Sequence[Check[_Valkey]]] = (
    Check("store", _reach_store, EVERY_WORKFLOW, needs=()),
    Check("durability", _keep_data, EVERY_WORKFLOW, needs=("store",)),
)


def _confirm(found: Settings, *, yes: bool) -> None:
    if yes:
        return
    question = f"Make a client for trying things out in {found.halo_url}, and set it inactive again?"
    if not sys.stdin.isatty():
        stop(f"{question} Say so with --yes", 2)
    typer.confirm(question, abort=True)


def _tell(finding: Finding) -> None:
    typer.echo(f"{finding.state:<8} {finding.check}", err=True)


def _show(findings: Sequence[Finding]) -> None:
    console = Console(highlight=False)
    for state, (title, style) in GROUPS.items():
        group = [finding for finding in findings if finding.state == state]
        if group:
            console.print(Text(f"\n{title}", style=style))
        for finding in group:
            _show_one(console, finding)
    failing = sum(finding.state == "fails" for finding in findings)
    console.print(f"\n{failing} of {len(findings)} checks say that something would fail.")


def _show_one(console: Console, finding: Finding) -> None:
    console.print(Padding(Text(f"{finding.check}: {finding.seen}"), (0, 0, 0, 2)))
    if finding.remedy:
        console.print(Padding(Text(f"at       {'; '.join(finding.concerns)}"), (0, 0, 0, 6)))
        console.print(Padding(Text(f"to mend  {finding.remedy}"), (0, 0, 0, 6)))
