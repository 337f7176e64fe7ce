"""Changes of which one that HaloPSA refuses holds up none of the others."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from worker.errors import NeedsOperator
from worker.run import Run
from workflows.ensure import Ensured, Skippable
from workflows.halopsa.collection import Collection
from workflows.halopsa.models import Numbered
from workflows.restore import Change

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempts:
    """Steps that may be refused.

    Attributes:
        run: whose steps they are.
        refused: why, by step; such a step is done again whenever the run goes on.
        skipped: steps that an operator left out.
    """

    run: Run
    refused: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    async def step(self, id: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T | None:  # noqa: A002 - as `Run.step`
        """Do a step.

        Returns:
            What `fn` returned; None where it was refused or left out.
        """
        try:
            done = await self.run.step(id, fn, *args, **kwargs)
        except NeedsOperator as refusal:
            self.refused[id] = refusal.what
            return None
        if done is None:
            self.skipped.append(id)
        return done

    def name_refusals(self) -> None:
        """End here if anything was refused.

        Raises:
            NeedsOperator: names all of it.
        """
        if self.refused:
            words = " ".join(f"{step.replace(':', ' ').capitalize()}: {why}" for step, why in self.refused.items())
            raise NeedsOperator(
                f"{len(self.refused)} of the changes could not be made; all others are. {words}",
                mend="mend what it says, or make these changes by hand and skip their steps; then retry the run.",
            )


async def change_each(
    attempts: Attempts, prefix: str, collection: Collection[Numbered], changes: Sequence[Change]
) -> list[Ensured]:
    """Change records, each in a step of its own, whose id is `prefix` and the record's id.

    Returns:
        Those that are changed.
    """
    return [
        changed
        for change in changes
        for record_id in change.ids
        if (changed := await attempts.step(f"{prefix}{record_id}", change_record, collection, record_id, change))
    ]


async def change_record(collection: Collection[Numbered], record_id: int, change: Change) -> Skippable:
    """Give a record the values after a change."""
    row = await collection.update(record_id, **change.after)
    return Ensured(id=record_id, shown=all(getattr(row, name, None) == after for name, after in change.after.items()))
