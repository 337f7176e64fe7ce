"""`parhelion events backfill`: ask the CRMs and HaloPSA for what did not arrive."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from worker.assemble.checks import check_worker, policy_of
from worker.assemble.chores import backfill_of
from worker.assemble.crms import connected_systems
from worker.assemble.halo import halo_connection
from worker.assemble.store import Store
from worker.backfill import Backfill, Outcome
from worker.cli.output import Format, Output, show_json, show_list, stop
from worker.cli.store import settings, store_of
from worker.errors import NeedsOperator, RetryLater
from worker.journal.backfills import Backfills
from worker.settings import Settings
from workflows.policy import Policy

COLUMNS: Final = ("source", "type", "client", "occurred_at", "id", "trouble")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What came of asking one source: what it told, or why it told nothing."""

    source: str
    outcome: Outcome | None = None
    problem: str | None = None


def backfill(
    since: Annotated[str, typer.Option(help="From when on: an ISO date or time; without a zone it is local time.")],
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Whom to ask; else all that are connected.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what was missed; nothing is handed in.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Ask CRMs and HaloPSA what has changed, and hand in what did not arrive.

    Exit code 0 if all could be asked, 1 if not, 2 if sources or settings are not valid.
    """
    moment = _moment(since)
    found = settings(default_level="WARNING")
    check_worker(found)
    policy = policy_of(found)
    asked = asyncio.run(_ask_all(found, policy, _chosen(found, policy, sources or []), moment, plan=plan))
    if output is Format.JSON:
        show_json([_as_json(one) for one in asked])
    else:
        show_list([row for one in asked for row in _rows(one)], COLUMNS, output)
    raise typer.Exit(1 if any(one.problem for one in asked) else 0)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        stop(f"--since {text}: must be an ISO date or time, for example 2026-11-23T09:00", 2)


def _chosen(found: Settings, policy: Policy, sources: Sequence[str]) -> Sequence[str]:
    connected = connected_systems(found, policy)
    if not connected:
        stop("nobody can be asked: connect a CRM (PARHELION_HUBSPOT_TOKEN, …), or set HaloPSA up as a source", 2)
    if strange := [source for source in sources if source not in connected]:
        stop(f"{', '.join(strange)}: cannot be asked; connected are {', '.join(connected)}", 2)
    return list(dict.fromkeys(sources)) or connected


async def _ask_all(
    found: Settings, policy: Policy, sources: Sequence[str], since: datetime, *, plan: bool
) -> list[_Asked]:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(store_of(found))
        halo = halo_connection(found, policy)
        stack.push_async_callback(halo.aclose)
        asking, completion = backfill_of(found, policy, store, halo, Backfills(store.scripts))
        stack.push_async_callback(completion.aclose)
        asked = [await _ask(asking, source, since, plan=plan) for source in sources]
        await _say_if_nobody_works(store, asked, plan=plan)
    return asked


async def _ask(asking: Backfill, source: str, since: datetime, *, plan: bool) -> _Asked:
    _tell(f"{source}: asked what has changed since {since:%Y-%m-%d %H:%M} UTC")
    try:
        outcome = await asking.make(source, since, tell=_tell, plan=plan)
    except (RetryLater, NeedsOperator) as error:
        _tell(f"{source}: cannot be asked: {error}")
        return _Asked(source, problem=str(error))
    counts = f"{outcome.changed} changed records, {outcome.known} known, {outcome.meaningless} mean nothing"
    _tell(f"{source}: {counts}, {len(outcome.missed)} missed{'' if plan else ' and handed in'}")
    return _Asked(source, outcome)


async def _say_if_nobody_works(store: Store, asked: Sequence[_Asked], *, plan: bool) -> None:
    handed_in = not plan and any(one.outcome and one.outcome.missed for one in asked)
    if handed_in and not await store.reader.workers():
        _tell("No worker is up: it is stored, and worked on as soon as `parhelion up` runs.")


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _as_json(one: _Asked) -> dict[str, Any]:
    outcome = one.outcome
    return {
        "source": one.source,
        "changed": outcome.changed if outcome else None,
        "known": outcome.known if outcome else None,
        "meaningless": outcome.meaningless if outcome else None,
        "missed": _rows(one),
        "problem": one.problem,
    }


def _rows(one: _Asked) -> list[dict[str, Any]]:
    missed = one.outcome.missed if one.outcome else []
    return [{"source": one.source} | asdict(event) | {"occurred_at": event.occurred_at.isoformat()} for event in missed]
