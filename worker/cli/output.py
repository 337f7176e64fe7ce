"""How commands show things: tables for people, JSON for scripts."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

STATE_STYLES = {
    "succeeded": "green",
    "succeeded_with_skips": "yellow",
    "failed": "bold red",
    "waiting": "yellow",
    "running": "cyan",
}


UNBROKEN = {"id", "workflow", "type", "state", "updated_at", "received_at", "started_at", "took"}
"""Columns that a narrow terminal must not break."""
CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Format(StrEnum):
    """What a command prints."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("-o", "--output", help="Print a table, or JSON for scripts.")]


def show_list(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], output: Format) -> None:
    """Print rows: as JSON with all their fields, as a table with the named columns."""
    if output is Format.JSON:
        show_json(rows)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.removesuffix("_at").upper(), overflow="fold", no_wrap=column in UNBROKEN)
    for row in rows:
        table.add_row(*(_cell(column, row.get(column)) for column in columns))
    _console().print(table)


def show_json(value: Any) -> None:
    """Print JSON, unbroken by the terminal's width."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_fields(fields: Mapping[str, Any]) -> None:
    """Print a record's simple fields, one a line."""
    console = _console()
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        if value not in (None, [], {}):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            console.print(Text(f"{name:<{width}}  ", style="bold") + _cell(name, text))


def stop(text: str, code: int) -> NoReturn:
    """End the command with one line on standard error."""
    typer.echo(f"parhelion: {plain(text)}", err=True)
    raise typer.Exit(code)


def plain(text: str) -> str:
    """Take out what would steer the terminal: senders may have written it."""
    return CONTROL.sub("�", text)


def _cell(column: str, value: Any) -> Text:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if column == "at" or column.endswith("_at"):
        text = _local_time(text)
    return Text(plain(text), style=STATE_STYLES.get(text, "") if column == "state" else "")


def _local_time(text: str) -> str:
    """Write a time as people here read it: today's without the day."""
    if not text:
        return ""
    moment, now = datetime.fromisoformat(text).astimezone(), datetime.now(UTC).astimezone()
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M}"


def _console() -> Console:
    return Console(soft_wrap=False, highlight=False)
