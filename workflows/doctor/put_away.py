"""Putting away what the write test has made, whatever became of the test."""

from collections.abc import Awaitable, Callable
from typing import Final, ParamSpec

from worker.errors import ParhelionError
from workflows.doctor.examination import Check, Verdict, persistently
from workflows.doctor.rights import EDIT_CUSTOMERS
from workflows.doctor.trial import Trial

P = ParamSpec("P")

BY_HAND: Final = "Do by hand in HaloPSA what is left: close the tickets, end the contracts, set the client inactive."


async def put_away(trial: Trial) -> Verdict:
    """Close what is open, end what runs, and set the client inactive; name what could not be."""
    client_ids = await _clients_of(trial) if trial.tried else []
    if not client_ids:
        return Verdict("ok", "HaloPSA shows no client of the write test")
    left = await _clear(trial) if trial.client_id else []
    active = [f"client {one}" for one in client_ids if not await _tried(_set_inactive, trial, one)]
    names = ", ".join(f"client {one}" for one in client_ids)
    if active:
        return Verdict("fails", f"of the write test there is still: {', '.join(active + left)}", BY_HAND)
    if left:
        return Verdict("warning", f"{names} is inactive again, but has: {', '.join(left)}", BY_HAND)
    return Verdict("ok", f"{names} is inactive, with nothing left open")


PUT_AWAY: Final = Check("write-test-put-away", put_away, right=EDIT_CUSTOMERS)


async def _clients_of(trial: Trial) -> list[int]:
    try:
        return await persistently(trial.own_clients)
    except ParhelionError:
        if not trial.client_id:
            raise
        return [trial.client_id]


async def _set_inactive(trial: Trial, client_id: int) -> bool:
    if not (await trial.halo.clients.get(client_id)).inactive:
        await trial.halo.clients.update(client_id, inactive=True)
    return (await trial.halo.clients.get(client_id)).inactive


async def _clear(trial: Trial) -> list[str]:
    """Close the tickets and end the contracts; name those that stay."""
    left = [] if await _tried(_found_all, trial) else ["what could not be listed"]
    if trial.tickets or trial.contracts:
        await _tried(_set_active, trial)
    left += [f"ticket {one.id}" for one in trial.tickets[:] if not await _tried(trial.close, one)]
    return left + [f"contract {one}" for one in trial.contracts[:] if not await _tried(trial.end, one)]


async def _found_all(trial: Trial) -> bool:
    await trial.find_more()
    return True


async def _set_active(trial: Trial) -> bool:
    await trial.halo.clients.update(trial.client_id, inactive=False)
    return True


async def _tried(write: Callable[P, Awaitable[bool]], *args: P.args, **kwargs: P.kwargs) -> bool:
    """Try a write; what it cannot do is named by the caller."""
    try:
        return await persistently(write, *args, **kwargs)
    except ParhelionError:
        return False
