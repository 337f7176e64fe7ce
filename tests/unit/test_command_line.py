"""The command line: every command is there, and those that people wait for load nothing that they do not need."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from worker.cli import COMMANDS, command_line

LOOKING = ["runs list", "runs show", "runs retry", "events list", "events replay"]
HEAVY = {"uvicorn", "starlette.applications", "workflows.registry", "webhooks.sources"}


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_is_the_same_alone_and_among_the_others(words: str) -> None:
    asked = [*words.split(), "--help"]
    alone, among = (CliRunner().invoke(app, asked) for app in (command_line(asked), command_line()))

    assert alone.exit_code == among.exit_code == 0
    assert alone.output == among.output


@pytest.mark.parametrize("asked", [[], ["--help"], ["runs"], ["runs", "nonsense"], ["nonsense"]])
def test_who_asks_for_none_of_them_is_shown_all(asked: list[str]) -> None:
    helped = CliRunner().invoke(command_line(asked), ["runs", "--help"])

    assert {"list", "approve", "report"} <= set(helped.output.split())


@pytest.mark.parametrize("words", LOOKING)
def test_who_looks_at_runs_and_events_waits_for_no_server(words: str) -> None:
    code = f"import sys; from worker.cli import command_line; command_line({words.split()}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not HEAVY & set(loaded)
