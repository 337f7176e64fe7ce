"""What commands that act have in common: who acts and why, asking back, and saying what came of it."""

import getpass
import sys
from collections.abc import Awaitable
from typing import Annotated, Any

import typer

from worker.cli.output import Format, show_json, stop
from worker.journal.verbs import NoSuchEvent, NoSuchRun, NotPossible, Operator

Reason = Annotated[str, typer.Option(help="Why; it stays in the history.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask back.")]


def by(reason: str) -> Operator:
    """Say who acts, and why."""
    return Operator(getpass.getuser(), reason)


def confirm(yes: bool, question: str) -> None:
    """Ask back a person at a terminal; a script says what it means."""
    if not yes and sys.stdin.isatty():
        ask(question)


def ask(question: str) -> None:
    """Ask back; a script must say `--yes`."""
    if not sys.stdin.isatty():
        stop(f"{question} Say so with --yes", 2)
    typer.confirm(question, abort=True)


async def attempt(subject: str, act: Awaitable[Any]) -> dict[str, str]:
    """Do one act of many; returns what to `report` of it."""
    try:
        await act
    except (NotPossible, NoSuchRun, NoSuchEvent) as error:
        return {"id": subject, "problem": str(error)}
    return {"id": subject, "problem": ""}


def report(results: list[dict[str, str]], done: str, output: Format) -> None:
    """Say what came of acts; ends the command with exit code 1 if one was not possible."""
    if output is Format.JSON:
        show_json(results)
    else:
        for result in results:
            typer.echo(result["problem"] or f"{result['id']}: {done}")
    if any(result["problem"] for result in results):
        raise typer.Exit(1)
