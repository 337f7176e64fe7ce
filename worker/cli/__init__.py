"""The `parhelion` command.

Exit codes: 0 done (and what was waited for succeeded), 1 what was waited for did not succeed, 2 bad usage, input or
settings, 3 Valkey, a port or the data directory cannot be had, 4 no such run or event, 5 waited long enough.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import typer

from worker.embedded import EmbeddedValkeyError
from worker.errors import StoreUnavailable
from worker.ports import PortInUse
from worker.settings import BadSettings

COMMANDS: Final = {
    "up": "serving.up",
    "web": "serving.web",
    "worker": "serving.worker",
    "sandbox": "sandbox.sandbox",
    "demo": "serving.demo",
    "trigger": "trigger.trigger",
    "doctor": "doctor.doctor",
    "data-quality": "quality.data_quality",
    "link": "quality.link",
    "runs list": "runs.list_runs",
    "runs show": "runs.show",
    "runs wait": "runs.wait",
    "runs export": "runs.export",
    "runs plan": "plan.plan",
    "runs report": "report.report",
    "runs retry": "verbs.retry",
    "runs skip": "verbs.skip",
    "runs mark-done": "verbs.mark_done",
    "runs cancel": "verbs.cancel",
    "runs approve": "verbs.approve",
    "runs reject": "verbs.reject",
    "runs pause": "verbs.pause",
    "runs resume": "verbs.resume",
    "events list": "events.list_events",
    "events show": "events.show",
    "events replay": "events.replay",
    "events backfill": "backfill.backfill",
    "events send": "deliveries.send",
    "events verify": "deliveries.verify",
    "policy show": "policy.show",
    "policy check": "policy.check",
}
"""Each command's words, and the file and function in this folder that do it."""
GROUPS: Final = {
    "runs": "Look at runs, wait for them, act on them.",
    "events": "Look at the events that came in.",
    "policy": "Look at the business policy (parhelion.toml), and check it.",
}


def command_line(arguments: Sequence[str] = ()) -> typer.Typer:
    """Put the command together.

    Args:
        arguments: where they name a command, its file alone is loaded: all of them together take half a second.
    """
    app = typer.Typer(
        name="parhelion",
        help="Won deals become clients in HaloPSA, churned clients are wound down.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    groups = {name: typer.Typer(no_args_is_help=True, help=text) for name, text in GROUPS.items()}
    for name, group in groups.items():
        app.add_typer(group, name=name)
    given = [*arguments, "", ""]
    asked = [words for words in (given[0], f"{given[0]} {given[1]}") if words in COMMANDS]
    for words in asked or COMMANDS:
        above, _, name = words.rpartition(" ")
        file, _, function = COMMANDS[words].partition(".")
        groups.get(above, app).command(name)(getattr(import_module(f"{__name__}.{file}"), function))
    return app


def main() -> None:
    """Run the command; troubles that the user can mend are one clear line each, not a traceback."""
    try:
        command_line(sys.argv[1:])()
    except BadSettings as error:
        for problem in error.problems:
            _complain(problem)
        sys.exit(2)
    except (EmbeddedValkeyError, PortInUse, StoreUnavailable) as error:
        _complain(str(error))
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)


def _complain(text: str) -> None:
    typer.echo(f"parhelion: {text}", err=True)
