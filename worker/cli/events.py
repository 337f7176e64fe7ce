"""`parhelion events`: look at what came in."""

import json
from typing import Annotated

import typer

from worker.assemble.store import Store
from worker.cli.acting import Reason, Yes, ask, attempt, by, report
from worker.cli.output import Format, Output, show_fields, show_json, show_list, stop
from worker.cli.store import with_store
from worker.journal.records import event_details
from worker.journal.verbs import Operator

TABLE_LIMIT = 50
COLUMNS = ("id", "type", "state", "received_at", "note")
REFUSED_COLUMNS = ("received_at", "source", "status", "reason", "request_id")


def list_events(
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many; 50 for tables, all for JSON.")] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="Deliveries of the last day that were not let in, and why.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only events that could not be completed.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List the newest events and what became of them."""
    if limit is None and output is Format.TABLE:
        limit = TABLE_LIMIT
    if refused:
        rows = with_store(lambda store: store.refused.newest())
        show_list(rows[:limit], REFUSED_COLUMNS, output)
        return
    found = with_store(lambda store: store.reader.events(limit, failed=failed))
    rows = [event_details(event_id, fields) for event_id, fields in found]
    if output is Format.TABLE:
        rows = [{**row, "note": row["reason"] or ", ".join(row["runs"])} for row in rows]
    show_list(rows, COLUMNS, output)


EventId = Annotated[str, typer.Argument(help="The event's id, as `events list` shows it.")]


def replay(
    event_ids: Annotated[list[str] | None, typer.Argument(metavar="[EVENT_ID]...", help="Events, by id.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that could not be completed.")] = False,
    source: Annotated[str | None, typer.Option(help="With --failed: those of this source.")] = None,
    reason: Reason = "",
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Send events on once more: ones that failed, or that were ignored before the policy knew them."""
    if bool(event_ids) == failed or (source and not failed):
        stop("name events, or choose those that failed with --failed, perhaps of one --source", 2)
    chosen = event_ids or _failed(source)
    if failed and not yes:
        ask(f"Send {len(chosen)} events on once more?")
    results = with_store(lambda store: _replay_all(store, chosen, by(reason)))
    report(results, "is sent on once more", output)


def _failed(source: str | None) -> list[str]:
    found = with_store(lambda store: store.reader.events(failed=True))
    chosen = [event_id for event_id, fields in found if source in (None, fields["source"])]
    if not chosen:
        stop("no event has failed", 4)
    return chosen


async def _replay_all(store: Store, event_ids: list[str], by: Operator) -> list[dict[str, str]]:
    for event_id in event_ids:
        if await store.reader.event(event_id) is None:
            stop(f"there is no event {event_id}: `parhelion events list` shows those there are", 4)
    return [await attempt(event_id, store.verbs.replay(event_id, by)) for event_id in event_ids]


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
