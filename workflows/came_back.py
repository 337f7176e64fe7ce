"""Whether a client that is said to have left has come back since, by what earlier runs noted on it."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from worker.events import Event
from worker.run import Run
from workflows.crm.hydrator import as_told
from workflows.crm.wound_down import NOTICE, OWN_MARK
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.halopsa.models import Note
from workflows.restore import MARK
from workflows.routes import is_undated

REPORT: Final = re.compile(
    r"\(\S{1,100} from [^)]{1,300}, (\d{4}-\d\d-\d\d \d\d:\d\d) UTC\).{1,300}?Run \S{1,100} \((\w{1,100})\)", re.DOTALL
)
"""When a report's event happened, and of which workflow it is. Bounded, since people write long notes too."""
FIRST_LINE: Final = re.compile(r"\r?\n|<")
"""What ends a note's first line: HaloPSA may give it back as HTML."""
MADE_ACTIVE: Final = re.compile(r"- client \d+[^\n<]*inactive: True → False")
"""What a report says of a client that was inactive and is active now."""
END: Final = "churn_client"
RETURN: Final = "reactivate_client"
WIN: Final = "onboard_client"


@dataclass(frozen=True, slots=True)
class Noted:
    """What a run noted on the client.

    Attributes:
        title: the report's first line; empty where it is no report.
        at: when what the report is about happened (UTC), by the minute.
        is_end: whether the client was wound down; otherwise a deal of it was won, or it was brought back.
        is_return: whether the client was away before.
    """

    title: str
    at: datetime | None
    is_end: bool
    is_return: bool = False

    def __str__(self) -> str:
        return f"{self.title} ({_time(self.at)})" if self.at else "what was to be changed by it"


async def doubt_about_return(
    run: Run, halo: Halo, client_id: int, event: Event, leaves_at: datetime | None
) -> list[str]:
    """Say why a person should decide about a churn that may be older than the client's return.

    Args:
        run: the churn.
        halo: HaloPSA.
        client_id: who leaves.
        event: what says so.
        leaves_at: when the client leaves (UTC); None: now, unless the event says that nobody knows.

    Returns:
        The doubt; an empty list where there is none.
    """
    undated = is_undated(event)
    if not undated and (leaves_at is None or leaves_at > run.now):
        return []
    by_record = as_told(event) is not event
    doubt = await run.step("came-back", find_return, halo, client_id, None if undated else leaves_at, by_record)
    return [doubt] if doubt else []


async def find_return(halo: Halo, client_id: int, left_at: datetime | None, by_record: bool) -> str:
    """Look whether the client has come back since it left.

    Args:
        halo: HaloPSA.
        client_id: the client.
        left_at: when it is said to have left (UTC); None: nobody knows.
        by_record: that was read off a record of the CRM, so that the event may be a late edit of it: then every deal
            that was won afterwards counts.

    Returns:
        What speaks for it; empty where nothing does, or where the client is inactive anyway.
    """
    if (await halo.clients.get(client_id)).inactive:
        return ""
    try:
        notes = sorted(await halo.notes.find(client_id=client_id), key=lambda note: note.id)
    except (HaloForbidden, HaloNotFound):
        unread = "nobody knows since when it has left, and its notes, which tell whether it came back, cannot be read"
        return "" if left_at else unread
    noted = _read(notes)
    later = _since_the_day(noted, left_at, by_record=by_record) if left_at else _since_its_end(noted)
    if not later:
        return ""
    found = next((one for one in later if one.is_return), later[-1])
    left = f"it is said to be gone since {_time(left_at)}" if left_at else "nobody knows since when it has left"
    ended = "it is active though its end was noted"
    how = ended if found.is_end else "it came back" if found.is_return else "it was won after that"
    return f"{left}, and {how}: {found}. If it stays, reject this and correct what says that it left"


async def has_ended(halo: Halo, client_id: int) -> bool:
    """Whether a client's end was reported, and neither its return nor a new notice of its leaving was noted since.

    Args:
        halo: HaloPSA.
        client_id: the client.
    """
    try:
        notes = await halo.notes.find(client_id=client_id)
    except (HaloForbidden, HaloNotFound):
        return False
    notice = max((note.id for note in notes if NOTICE.search(html.unescape(note.text))), default=0)
    return bool(noted_end([note for note in notes if note.id > notice]))


def noted_end(notes: Sequence[Note]) -> str:
    """Give the title of the report on a client's end; empty if what was noted since tells of a return."""
    telling = [one for one in _read(sorted(notes, key=lambda note: note.id)) if one.is_end or one.is_return]
    return telling[-1].title if telling and telling[-1].is_end else ""


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _since_its_end(noted: Sequence[Noted]) -> list[Noted]:
    """Pick the client's last end and its returns after that; without an end its returns."""
    telling = [one for one in noted if one.is_end or one.is_return]
    last = max((number for number, one in enumerate(telling) if one.is_end), default=0)
    return telling[last:]


def _since_the_day(noted: Sequence[Noted], left_at: datetime, *, by_record: bool) -> list[Noted]:
    """Pick what came after the day on which the client is said to have left."""
    minute = left_at.replace(second=0, microsecond=0)
    after = [one for one in noted if one.at and (one.at >= minute if one.is_end else one.at > left_at)]
    return [one for one in after if one.is_end or one.is_return or by_record]


def _read(notes: Sequence[Note]) -> list[Noted]:
    """Read what runs noted, in order; what people noted is left out."""
    noted: list[Noted] = []
    for note in notes:
        text = html.unescape(note.text)
        if MARK.search(text):
            noted.append(Noted("", None, is_end=True))
        elif (report := _report(text)) and report[2] in (END, RETURN, WIN):
            at = datetime.strptime(report[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
            back = report[2] == RETURN or (report[2] == WIN and MADE_ACTIVE.search(text) is not None)
            noted.append(Noted(FIRST_LINE.split(text, 1)[0], at, is_end=report[2] == END, is_return=back))
    return noted


def _report(text: str) -> re.Match[str] | None:
    return REPORT.search(text) if OWN_MARK in text else None
