"""`parhelion policy`: look at the business policy, and check it."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import typer

from worker.assemble.checks import policy_of
from worker.assemble.halo import halo_connection
from worker.assemble.store import budget_of
from worker.budget import WaitingGuard
from worker.cli.output import Format, Output, show_json, show_list
from worker.cli.store import settings, store_of
from worker.errors import RetryLater
from worker.settings import PREFIX, Settings
from workflows.policy import Policy
from workflows.policy.file import DEFAULT_FILE, BadPolicy, Problem, key_path, load_policy
from workflows.policy.parts import Section
from workflows.resolve import resolve

COLUMNS: Final = ("key", "value", "from")
NOT_LOOKED_UP: Final = f"valid; HaloPSA is not configured ({PREFIX}HALO_URL …), so names were not looked up"
KeyPath = tuple[int | str, ...]


def show(output: Output = Format.TABLE) -> None:
    """Show the policy that is in force, and which of it the file says."""
    found = settings(default_level="WARNING")
    policy = policy_of(found)
    rows = [{"key": key_path(path), "value": value, "from": source} for path, value, source in _keys(policy)]
    if output is Format.JSON:
        from_file = [row["key"] for row in rows if row["from"] == "file"]
        show_json({"file": _file(found), "policy": policy.model_dump(mode="json"), "from_file": from_file})
    else:
        show_list([{**row, "value": json.dumps(row["value"], ensure_ascii=False)} for row in rows], COLUMNS, output)


def check(output: Output = Format.TABLE) -> None:
    """Check the file, and the names in it against HaloPSA where that is configured.

    Exit code 1 if HaloPSA does not have a name or cannot be asked, 2 if the file is not valid.
    """
    found = settings(default_level="WARNING")
    problems: Sequence[Problem]
    try:
        policy = load_policy(found.config)
    except BadPolicy as error:
        problems, looked_up, code = error.problems, False, 2
    else:
        looked_up = not found.missing_for_work()
        problems = asyncio.run(_look_up(found, policy)) if looked_up else []
        code = 1 if problems else 0
    _report(found, problems, output, looked_up=looked_up)
    raise typer.Exit(code)


def _report(found: Settings, problems: Sequence[Problem], output: Format, *, looked_up: bool) -> None:
    rows = [{"key": problem.key, "problem": problem.text} for problem in problems]
    if output is Format.JSON:
        show_json({"file": _file(found), "looked_up": looked_up, "problems": rows})
    elif rows:
        show_list(rows, ("key", "problem"), output)
    else:
        verdict = "valid, and HaloPSA has all its names" if looked_up else NOT_LOOKED_UP
        typer.echo(f"{_file(found) or 'The defaults'}: {verdict}")


async def _look_up(found: Settings, policy: Policy) -> list[Problem]:
    async with AsyncExitStack() as stack:
        budget = None
        if found.redis_url is not None or (found.data_dir / "valkey.json").exists():
            budget = budget_of(found, await stack.enter_async_context(store_of(found)))
        connection = halo_connection(found, policy)
        stack.push_async_callback(connection.aclose)
        try:
            return await resolve(connection.for_run(WaitingGuard(budget, bulk=False)), policy)
        except RetryLater as error:
            return [Problem("", f"HaloPSA cannot be asked now: {error.reason}")]


def _file(found: Settings) -> str | None:
    """Name the file that is read; None where there is none."""
    file = found.config or DEFAULT_FILE
    return str(file) if file.exists() else None


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
