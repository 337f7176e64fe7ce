"""`parhelion policy`: look at the business policy, and check it."""

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import typer

from worker.assemble import halo_connection
from worker.budget import WaitingGuard
from worker.cli.output import Format, Output, show_json, show_list
from worker.cli.store import settings
from worker.errors import RetryLater
from worker.settings import PREFIX, BadSettings, Settings
from workflows.policy import Policy
from workflows.policy.file import DEFAULT_FILE, BadPolicy, Problem, key_path, load_policy
from workflows.policy.parts import Section
from workflows.resolve import resolve

COLUMNS: Final = ("key", "value", "from")
NOT_LOOKED_UP: Final = f"valid; HaloPSA is not configured ({PREFIX}HALO_URL …), so names were not looked up"
KeyPath = tuple[int | str, ...]

app = typer.Typer(no_args_is_help=True, help="Look at the business policy (parhelion.toml), and check it.")


@app.command()
def show(output: Output = Format.TABLE) -> None:
    """Show the policy that is in force, and which of it the file says."""
    try:
        policy = load_policy(_named_file())
    except BadPolicy as error:
        raise BadSettings([f"{_named_file() or DEFAULT_FILE}: {problem}" for problem in error.problems]) from None
    rows = [{"key": key_path(path), "value": value, "from": source} for path, value, source in _keys(policy)]
    if output is Format.JSON:
        from_file = [row["key"] for row in rows if row["from"] == "file"]
        show_json({"file": _file(), "policy": policy.model_dump(mode="json"), "from_file": from_file})
        return
    show_list([{**row, "value": json.dumps(row["value"], ensure_ascii=False)} for row in rows], COLUMNS, output)


@app.command()
def check(output: Output = Format.TABLE) -> None:
    """Check the file, and the names in it against HaloPSA where that is configured.

    Exit code 1 if HaloPSA does not have a name, 2 if the file is not valid.
    """
    found = settings(default_level="WARNING")
    problems: Sequence[Problem]
    try:
        policy = load_policy(_named_file())
    except BadPolicy as error:
        problems, looked_up, code = error.problems, False, 2
    else:
        looked_up = not found.missing_for_work()
        problems = asyncio.run(_look_up(found, policy)) if looked_up else []
        code = 1 if problems else 0
    rows = [{"key": problem.key, "problem": problem.text} for problem in problems]
    if output is Format.JSON:
        show_json({"file": _file(), "looked_up": looked_up, "problems": rows})
    elif rows:
        show_list(rows, ("key", "problem"), output)
    else:
        typer.echo(f"{_file() or 'The defaults'}: {'all names are in HaloPSA' if looked_up else NOT_LOOKED_UP}")
    raise typer.Exit(code)


def _named_file() -> Path | None:
    named = os.environ.get(f"{PREFIX}CONFIG")
    return Path(named) if named else None


def _file() -> str | None:
    """Name the file that is read; None where there is none."""
    named = _named_file() or DEFAULT_FILE
    return str(named) if named.exists() else None


async def _look_up(found: Settings, policy: Policy) -> list[Problem]:
    connection = halo_connection(found, policy)
    try:
        return await resolve(connection.for_run(WaitingGuard(None, bulk=False)), policy)
    except RetryLater as error:
        return [Problem("", f"HaloPSA cannot be asked now: {error.reason}")]
    finally:
        await connection.aclose()


def _keys(section: Section, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any, str]]:
    """Go through all keys, with their values and where they come from."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _keys(value, (*path, name))
        elif isinstance(value, dict) and value and all(isinstance(one, Section) for one in value.values()):
            for key, one in value.items():
                yield from _keys(one, (*path, name, key))
        else:
            plain = section.model_dump(mode="json", include={name})[name]
            yield (*path, name), plain, "file" if name in section.model_fields_set else "default"
