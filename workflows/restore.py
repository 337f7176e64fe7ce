"""What a churn changes, kept on the client in HaloPSA: what brings it back when the client comes back.

It stands in notes as JSON, since HaloPSA outlives the journal.
"""

import html
import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.errors import NeedsOperator
from worker.run import Run
from workflows.ensure import ensure_note, remark_all
from workflows.halopsa import Halo
from workflows.halopsa.models import Note

MARK: Final = re.compile(r"Parhelion run \S+: changes \d+ of \d+")
KEPT: Final = re.compile(r"\{.*\}", re.DOTALL)
HEAD: Final = "What the client's end changes, before and after, for the day on which it comes back:"
MAX_LENGTH: Final = 8000
"""Characters in one note."""
MAX_IDS: Final = 500
"""Records in one change, so that each fits into a note."""

What = Literal["client", "contact", "contract", "recurring invoice", "asset"]
Value = bool | int | date | None
"""What a field holds; None: nothing, or, before a change, that it is not known."""


class Change(BaseModel):
    """Records that are changed alike.

    Attributes:
        what: what they are.
        ids: HaloPSA's.
        fields: our names of fields → the value before and the value after.
    """

    model_config = ConfigDict(frozen=True)

    what: What
    ids: list[int]
    fields: dict[str, tuple[Value, Value]]

    @property
    def after(self) -> dict[str, Value]:
        """The fields with the values after the change."""
        return {name: after for name, (_, after) in self.fields.items()}


class Changes(BaseModel):
    """What one note holds."""

    changes: list[Change]


async def keep_changes(run: Run, halo: Halo, client_id: int, changes: Sequence[Change]) -> None:
    """Put on the client what is about to be changed, once."""
    pages = list(_pages(changes))
    for number, page in enumerate(pages, 1):
        mark = f"Parhelion run {run.id}: changes {number} of {len(pages)}"
        noted = await run.step(f"changes:{number}", ensure_note, halo, client_id, mark, f"{HEAD}\n{page}")
        await remark_all(run, f"changes:{number}", noted)


async def kept_changes(halo: Halo, client_id: int) -> list[Change]:
    """Read what the client's ends have changed, each record by itself.

    Where one went on from what another had left, as after a moved day, the value before is the first one's.

    Raises:
        NeedsOperator: a note cannot be read any more.
    """
    kept: dict[tuple[What, int], dict[str, tuple[Value, Value]]] = {}
    notes = await halo.notes.find(client_id=client_id)
    for note in sorted((one for one in notes if MARK.search(one.text)), key=lambda one: one.id):
        for change in _read(note):
            for record_id in change.ids:
                fields = kept.setdefault((change.what, record_id), {})
                for name, (before, after) in change.fields.items():
                    first, last = fields.get(name, (before, before))
                    fields[name] = (first if last == before else before, after)
    return [Change(what=what, ids=[one], fields=fields) for (what, one), fields in kept.items()]


def _read(note: Note) -> list[Change]:
    found = KEPT.search(html.unescape(note.text))
    try:
        return Changes.model_validate_json(found[0] if found else "").changes
    except ValidationError:
        raise NeedsOperator(
            f"Note {note.id} on client {note.client_id} does not hold any more what the client's end has changed.",
            mend="bring back by hand what the note names, and delete it; then retry the run.",
        ) from None


def _pages(changes: Sequence[Change]) -> Iterator[str]:
    """Write changes as JSON, in texts that fit into notes."""
    page: list[Change] = []
    for change in _small(changes):
        if page and len(_text([*page, change])) > MAX_LENGTH:
            yield _text(page)
            page = []
        page.append(change)
    if page:
        yield _text(page)


def _small(changes: Sequence[Change]) -> Iterator[Change]:
    for change in changes:
        for start in range(0, len(change.ids), MAX_IDS):
            yield change.model_copy(update={"ids": change.ids[start : start + MAX_IDS]})


def _text(changes: list[Change]) -> str:
    return Changes(changes=changes).model_dump_json()
