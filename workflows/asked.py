"""Questions whose answer a run needs: asked again until the answer says what it must."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from worker.errors import NeedsOperator
from worker.run import Run

A = TypeVar("A")


async def ask(run: Run, step: str, question: str, read: Callable[[Any], A | None], *, hours: int) -> A:
    """Ask a person.

    Args:
        run: what waits.
        step: the decision's step id; the second time ``:2`` is put behind it.
        question: what is asked, and how it is answered.
        read: reads the answer beside the yes, which is None for a plain one; None where it does not say enough.
        hours: when the decision is overdue.

    Raises:
        NeedsOperator: nobody has answered, as in a plan, and a plain yes would not do.
    """
    number = 1
    while True:
        given = await run.approval(step if number == 1 else f"{step}:{number}", question, within=timedelta(hours=hours))
        if (answer := read(given.answer)) is not None:
            return answer
        if not given.by:
            raise NeedsOperator(f"What is done depends on the answer: {question}")
        number += 1
