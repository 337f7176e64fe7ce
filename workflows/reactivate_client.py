"""A client that comes back: what its end changed is as before, and its closed tickets stay closed."""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import BaseModel, Field

from worker.errors import NeedsOperator
from worker.events import Event
from worker.run import Run
from workflows.attempts import Attempts
from workflows.bring_back import (
    BROUGHT_BACK,
    COLLECTIONS,
    LeftBehind,
    activate,
    bring_back,
    find_left_behind,
    still_missing,
)
from workflows.canonical import changed_client
from workflows.churn_client import churn_client
from workflows.ensure import Ensured, Skippable
from workflows.halopsa import Halo
from workflows.known_client import find_known
from workflows.msp import Msp
from workflows.report import Line, file_report
from workflows.restore import Change
from workflows.routes import churns_before


class Reactivated(BaseModel):
    """What a reactivation brought back, by ids in HaloPSA.

    Attributes:
        client_id: the client.
        was_inactive: whether it was.
        brought_back: what has its former values again: field → the value after the client's end and the one now.
        stays: what a person has changed since the client's end.
        remarks: what else should be known.
    """

    client_id: int
    was_inactive: bool
    brought_back: list[Change] = Field(default_factory=list)
    stays: list[Change] = Field(default_factory=list)
    remarks: list[str] = Field(default_factory=list)


async def reactivate_client(run: Run, msp: Msp, event: Event) -> Reactivated:
    """Make a client active again, with what its end changed.

    Raises:
        InvalidEvent: the event lacks what is needed.
        NeedsOperator: a person must decide or mend something in HaloPSA; all that could be done is done.
        NotYet: HaloPSA does not have the client.
        RetryLater: HaloPSA cannot be asked now.
    """
    halo = msp.halo
    client = await run.step("client", find_known, halo, changed_client(event).client)
    await run.known_as(f"halo:{client.id}")
    if run.newer:
        question = f"{client.name} is to be brought back, but run {run.newer} of a later event changed it. Go on?"
        await run.approval("late", question, within=timedelta(hours=msp.policy.approval_hours))
    left = await run.step("left-behind", find_left_behind, halo, client.id)
    stays = f"{client.name} stays, by a later event"
    ended = await run.supersede("churn", stays, churn_client.__name__)
    for step, fact in churns_before(event).items():
        await run.halt(step, churn_client.__name__, fact, stays)
    if left.inactive:
        await run.step("active", activate, halo, client.id)
    skipped = await _bring_back(run, halo, left.back)
    brought_back = [change for change in left.back if f"back:{change.what}" not in skipped]
    await run.step("verify", verify_return, halo, client.id, brought_back)
    remarks = [*left.remarks, *(f"run {one}, which was to wind it down, is ended" for one in ended)]
    await file_report(
        run,
        halo,
        event,
        workflow=reactivate_client.__name__,
        title=BROUGHT_BACK,
        client=(client.id, client.name),
        lines=_lines(client.id, left, brought_back),
        remarks=[*remarks, "closed tickets stay closed"],
    )
    return Reactivated(
        client_id=client.id,
        was_inactive=left.inactive,
        brought_back=brought_back,
        stays=left.stays,
        remarks=remarks,
    )


async def verify_return(halo: Halo, client_id: int, brought_back: list[Change]) -> Skippable:
    """Read back that the client is active and has what was brought back.

    Raises:
        NeedsOperator: names what it has not.
    """
    missing = [f"client {client_id}"] if (await halo.clients.get(client_id)).inactive else []
    missing += await still_missing(halo, client_id, brought_back)
    if missing:
        raise NeedsOperator(
            f"HaloPSA still shows as after the client's end: {', '.join(missing)}.",
            mend="give these their former values in HaloPSA, then retry the run.",
        )
    return Ensured(id=client_id)


async def _bring_back(run: Run, halo: Halo, changes: Sequence[Change]) -> list[str]:
    """Bring back one kind of record after the other; a refusal holds up none of the others.

    Returns:
        The steps that an operator left out.

    Raises:
        NeedsOperator: names what HaloPSA refused.
    """
    attempts = Attempts(run)
    for what in COLLECTIONS:
        if of_kind := [change for change in changes if change.what == what]:
            await attempts.step(f"back:{what}", bring_back, halo, of_kind)
    attempts.name_refusals()
    return attempts.skipped


def _lines(client_id: int, left: LeftBehind, brought_back: Sequence[Change]) -> list[Line]:
    changes = {"inactive": (True, False)} if left.inactive else {}
    lines = [Line(what="client", done="changed" if changes else "found", ids=[client_id], changes=changes)]
    lines += [Line(what=one.what, done="changed", ids=one.ids, changes=one.fields) for one in brought_back]
    why = "somebody has changed it since the client's end"
    lines += [Line(what=one.what, done="left", ids=one.ids, why=why, changes=one.fields) for one in left.stays]
    return lines + [Line(what=one.what, done="left", ids=one.ids, why="not there any more") for one in left.gone]
