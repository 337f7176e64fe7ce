"""The `parhelion` command.

Exit codes: 0 done (and what was waited for succeeded), 1 what was waited for did not succeed, 2 bad usage, input or
settings, 3 Valkey, a port or the data directory cannot be had, 4 no such run or event, 5 waited long enough.
"""

import sys

import typer

from worker.cli import (
    backfill,
    deliveries,
    doctor,
    events,
    plan,
    policy,
    quality,
    report,
    runs,
    sandbox,
    serving,
    trigger,
    verbs,
)
from worker.embedded import EmbeddedValkeyError
from worker.errors import StoreUnavailable
from worker.serve import PortInUse
from worker.settings import BadSettings

app = typer.Typer(
    name="parhelion",
    help="Won deals become clients in HaloPSA, churned clients are wound down.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("up")(serving.up)
app.command("web")(serving.web)
app.command("worker")(serving.worker)
app.command("sandbox")(sandbox.sandbox)
app.command("demo")(serving.demo)
app.command("trigger")(trigger.trigger)
app.command("doctor")(doctor.doctor)
app.command("data-quality")(quality.data_quality)
app.command("link")(quality.link)
runs.app.command("plan")(plan.plan)
runs.app.command("report")(report.report)
runs.app.command("retry")(verbs.retry)
runs.app.command("skip")(verbs.skip)
runs.app.command("mark-done")(verbs.mark_done)
runs.app.command("cancel")(verbs.cancel)
runs.app.command("approve")(verbs.approve)
runs.app.command("reject")(verbs.reject)
runs.app.command("pause")(verbs.pause)
runs.app.command("resume")(verbs.resume)
app.add_typer(runs.app, name="runs")
events.app.command("backfill")(backfill.backfill)
events.app.command("send")(deliveries.send)
events.app.command("verify")(deliveries.verify)
app.add_typer(events.app, name="events")
app.add_typer(policy.app, name="policy")


def main() -> None:
    """Run the command; troubles that the user can mend are one clear line each, not a traceback."""
    try:
        app()
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
