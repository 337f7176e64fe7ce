"""`parhelion events`: look at what came in."""

import json
from typing import Annotated

import typer

from worker.cli.output import Format, Output, show_fields, show_json, show_list, stop
from worker.cli.store import with_store
from worker.journal.records import event_details

TABLE_LIMIT = 50
COLUMNS = ("id", "type", "state", "received_at", "note")
REFUSED_COLUMNS = ("received_at", "source", "status", "reason", "request_id")

app = typer.Typer(no_args_is_help=True, help="Look at the events that came in.")


@app.command("list")
def list_events(
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many; 50 for tables, all for JSON.")] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="Deliveries of the last day that were not let in, and why.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """List the newest events and what became of them."""
    if refused:
        rows = with_store(lambda store: store.refused.newest(limit or TABLE_LIMIT))
        show_list(rows, REFUSED_COLUMNS, output)
        return
    if limit is None and output is Format.TABLE:
        limit = TABLE_LIMIT
    found = with_store(lambda store: store.reader.events(limit))
    rows = [event_details(event_id, fields) for event_id, fields in found]
    if output is Format.TABLE:
        rows = [{**row, "note": row["reason"] or ", ".join(row["runs"])} for row in rows]
    show_list(rows, COLUMNS, output)


EventId = Annotated[str, typer.Argument(help="The event's id, as `events list` shows it.")]


@app.command()
def replay(event_id: EventId, output: Output = Format.TABLE) -> None:
    """Send an event on once more, for example one that was ignored before the policy knew it."""
    answer = with_store(lambda store: store.journal.replay(event_id))
    if answer == "unknown":
        stop(f"there is no event {event_id}: `parhelion events list` shows those there are", 4)
    if answer != "ok":
        stop(f"{event_id}: not possible: {answer}", 1)
    if output is Format.JSON:
        show_json({"event": event_id, "replayed": True})
    else:
        typer.echo(f"{event_id}: is sent on once more")


@app.command()
def show(event_id: EventId, output: Output = Format.TABLE) -> None:
    """Show an event with its payload."""
    fields = with_store(lambda store: store.reader.event(event_id))
    if fields is None:
        stop(f"there is no event {event_id}: `parhelion events list` shows those there are", 4)
    details = event_details(event_id, fields)
    if output is Format.JSON:
        show_json(details)
    else:
        show_fields({**details, "payload": json.dumps(details["payload"], indent=2, ensure_ascii=False)})
