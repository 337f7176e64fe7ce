"""Which client a won deal is about: found or made, and where that is not clear, chosen by a person."""

from functools import partial
from typing import Any

from worker.run import Run
from workflows.asked import ask
from workflows.ensure import Choice, ClientRef, Undecided, Wanted, ensure_client
from workflows.msp import Msp


async def settle_client(run: Run, msp: Msp, wanted: Wanted) -> ClientRef:
    """Find or make the client; ask a person as often as it takes.

    Raises:
        NeedsOperator: its place among other clients is not clear.
        NotYet: HaloPSA does not have its parent or payer.
    """
    placed = await run.step("client", ensure_client, msp.halo, wanted)
    number = 1
    while isinstance(placed, Undecided):
        suffix, asked = "" if number == 1 else f"-{number}", placed
        choice = await ask(
            run,
            f"which-client{suffix}",
            asked.question,
            partial(read_choice, asked=asked),
            hours=msp.policy.approval_hours,
        )
        placed = await run.step(f"chosen-client{suffix}", ensure_client, msp.halo, wanted, choice)
        if isinstance(placed, Undecided):
            placed = Undecided(what=placed.what, candidates=asked.candidates)
        number += 1
    return placed


def read_choice(answer: Any, asked: Undecided) -> Choice | None:
    """Read a person's answer; None where it does not say which client.

    Args:
        answer: ``{"use": 123}`` or ``{"create_new": true}``; a plain yes means the only candidate.
        asked: what was asked.
    """
    besides = [one.id for one in asked.candidates]
    if isinstance(answer, dict):
        used = answer.get("use")
        if isinstance(used, int) and not isinstance(used, bool):
            return Choice(use=used)
        return Choice(besides=besides) if answer.get("create_new") is True else None
    return Choice(use=besides[0]) if answer in (None, True) and len(besides) == 1 else None
