"""What the demo tells in the terminal, line by line as it happens."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from worker.errors import StoreUnavailable
from worker.journal.reading import Reader
from worker.journal.records import ENDED, RunRecord

LOOK_EVERY_S: Final = 0.1
LOOK_AT: Final = 20
MARKS: Final = {"succeeded": "[green]✔[/]", "failed": "[bold red]✘[/]", "waiting": "[yellow]…[/]"}


class Story:
    """Prints what happens to events, runs and steps."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._told: set[tuple[str, str]] = set()

    def say(self, text: str) -> None:
        """Print a plain line."""
        self._console.print(escape(text))

    def headline(self, text: str) -> None:
        """Open a scene."""
        self._console.print(f"\n[bold]{escape(text)}[/]")

    def introduce(self, web: str, halo: str, data_dir: Path) -> None:
        """Say what is where."""
        self._console.print(
            f"\n[bold]Parhelion is up.[/]\n"
            f"  web endpoint  {web}/webhooks/hubspot, …/standard and …/token\n"
            f"  HaloPSA       {halo} (the look-alike; {halo}/sandbox/state shows what stands in it)\n"
            f"  HubSpot       {halo}/hubspot (a look-alike too)\n"
            f"  data          {escape(str(data_dir))}/ (kept between starts)"
        )

    def received(self, told: Any, receipt: dict[str, Any], status: int, took_s: float) -> None:
        """Tell how a delivery was answered: a canonical event, or a batch of HubSpot's."""
        what = "accepted" if receipt["accepted"] else "known already: a repeated delivery starts nothing"
        kind, record = _named(told)
        self._line(f"⇢ [cyan]{kind}[/] {escape(record)}: {status}, {what} ({took_s * 1000:.0f} ms)")

    async def pass_over(self, reader: Reader) -> None:
        """Leave out what has ended before."""
        for run in await reader.runs(LOOK_AT):
            if run.state in ENDED:
                self._told |= {(run.id, step["id"]) for step in run.steps()} | {(run.id, "ended")}

    async def follow(self, reader: Reader) -> None:
        """Tell what happens to runs, until cancelled."""
        while True:
            try:
                await self.catch_up(reader)
            except StoreUnavailable:
                self.say("Valkey is away …")
            await asyncio.sleep(LOOK_EVERY_S)

    async def catch_up(self, reader: Reader) -> None:
        """Tell what is new since the last look."""
        for run in reversed(await reader.runs(LOOK_AT)):
            for step in run.steps():
                if step["state"] == "succeeded" and self._is_new(run.id, step["id"]):
                    self._line(f"    {step['id']:<34} {_took(step['started_at'], step['finished_at'])}")
            self._tell_state(run)

    def conclude(self, runs: Sequence[RunRecord]) -> None:
        """Sum up the two runs of the demo."""
        self._console.print()
        for run in runs:
            shown = run.summary()
            self._console.print(
                f"{MARKS.get(run.state, '·')} {shown['workflow']} {escape(shown['client'])}: {run.state}"
                f"   [dim]parhelion runs show {run.id}[/]"
            )

    def invite(self, web: str, token: str) -> None:
        """Show how to send a deal of one's own."""
        deal = (
            '{"type": "deal.won", "data": {"deal": {"id": "D-2"}, "client": {"id": "C-2", "name": "My Client"}, '
            '"contacts": [{"name": "Ann Lee", "email": "ann@client.example", "primary": true}]}}'
        )
        self._console.print("\n[bold]Send a deal of your own:[/]\n")
        print(  # noqa: T201 - one unwrapped, unstyled line to copy
            f"  curl -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' "
            f"-d '{deal}' {web}/webhooks/token",
            flush=True,
        )
        self._console.print("\nCtrl-C stops everything.\n")

    def _tell_state(self, run: RunRecord) -> None:
        shown = run.summary()
        name = f"[cyan]{shown['workflow']}[/] {escape(shown['client'])}"
        if run.state in ENDED:
            if self._is_new(run.id, "ended"):
                took = _took(shown["created_at"], shown["updated_at"])
                error = f": {escape(str(shown['error']))}" if shown["error"] else ""
                self._line(f"{MARKS.get(run.state, '·')} {name} {run.state} after {took}{error}")
        elif run.state == "waiting" and self._is_new(run.id, f"waiting:{shown['waiting_for']}"):
            self._line(f"{MARKS['waiting']} {name} waits for {escape(str(shown['waiting_for']))}")

    def _is_new(self, run_id: str, what: str) -> bool:
        new = (run_id, what) not in self._told
        self._told.add((run_id, what))
        return new

    def _line(self, text: str) -> None:
        now = datetime.now(UTC).astimezone().strftime("%H:%M:%S")
        self._console.print(f"  [dim]{now}[/] {text}")


def _took(started: str | None, finished: str | None) -> str:
    if started is None or finished is None:
        return ""
    span = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
    return f"{span.total_seconds() * 1000:.0f} ms"


def _named(told: Any) -> tuple[str, str]:
    if isinstance(told, list):
        return told[0]["subscriptionType"], str(told[0]["objectId"])
    return told["type"], told["data"]["client"]["name"]
