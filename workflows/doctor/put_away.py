"""Putting away what the write test has made, whatever became of the test."""

from collections.abc import Awaitable
from typing import Final

from worker.errors import ParhelionError
from workflows.doctor.examination import Check, Verdict
from workflows.doctor.rights import EDIT_CUSTOMERS
from workflows.doctor.trial import Trial

BY_HAND: Final = "Set the client inactive in HaloPSA, and close there what it names."


async def put_away(trial: Trial) -> Verdict:
    """Close what is open, end what runs, and set the client inactive; name what could not be."""
    client_ids = await _clients_of(trial)
    if not client_ids:
        return Verdict("ok", "HaloPSA shows no client of the write test")
    if trial.tickets or trial.contracts:
        await _tried(trial.halo.clients.update(trial.client.id, inactive=False))
    left = [f"ticket {one}" for one in list(trial.tickets) if not await _tried(trial.close(one))]
    left += [f"contract {one}" for one in list(trial.contracts) if not await _tried(trial.end(one))]
    active = [f"client {one}" for one in client_ids if not await _tried(_set_inactive(trial, one))]
    names = ", ".join(f"client {one}" for one in client_ids)
    if active:
        return Verdict("fails", f"of the write test there is still: {', '.join(active + left)}", BY_HAND)
    if left:
        return Verdict("warning", f"{names} is inactive again, but has: {', '.join(left)}", BY_HAND)
    return Verdict("ok", f"{names} is inactive, with nothing left open")


PUT_AWAY: Final = Check("write-test-put-away", put_away, right=EDIT_CUSTOMERS)


async def _clients_of(trial: Trial) -> list[int]:
    """Find the test's client; by its key where the answer to its making was lost."""
    if trial.made is not None:
        return [trial.made.id]
    return [one.id for one in await trial.halo.clients.find() if one.key == trial.key or one.name == trial.name]


async def _set_inactive(trial: Trial, client_id: int) -> bool:
    if not (await trial.halo.clients.get(client_id)).inactive:
        await trial.halo.clients.update(client_id, inactive=True)
    return (await trial.halo.clients.get(client_id)).inactive


async def _tried(write: Awaitable[bool | None]) -> bool:
    """Try a write; what it cannot do is named by the caller."""
    try:
        return await write is not False
    except ParhelionError:
        return False
