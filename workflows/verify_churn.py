"""Reading back that a client is wound down."""

from collections.abc import Iterable, Iterator, Sequence

from worker.errors import NeedsOperator
from workflows.churn_changes import of
from workflows.churn_report import Outcome
from workflows.end_contracts import may_roll, runs_past
from workflows.ensure import Ensured, Skippable, listed
from workflows.ensure.contact import with_access
from workflows.ensure.contract import with_rolling
from workflows.halopsa import Halo
from workflows.halopsa.models import Contact, Contract
from workflows.open_tickets import open_tickets
from workflows.policy import ChurnClient
from workflows.restore import What


async def verify_churn(halo: Halo, outcome: Outcome, policy: ChurnClient) -> Skippable:
    """Read back that nothing of the client is left open, but for what was left out.

    Returns:
        The client; what could not be read back is among its remarks.

    Raises:
        NeedsOperator: names what is.
    """
    client_id = outcome.leaving.client.id
    contracts = await _contracts(halo, outcome) if policy.contracts == "end" else []
    contacts = await _contacts(halo, outcome)
    left = await _active(halo, client_id) if policy.order == "inactive-first" else []
    left += [f"ticket {one} is open" for one in await _open(halo, outcome)]
    left += [f"contract {one.id} runs on" for one in contracts if runs_past(one, outcome.leaving.last_day)]
    left += [f"contact {one.id} has access to the portal" for one in contacts if one.portal_access]
    left += [f"asset {one} is as it was" for one in await _unchanged_assets(halo, outcome)]
    if left:
        raise _still(left)
    remarks = _unread("roll on", "contract", [one.id for one in contracts if one.rolling is None])
    remarks += _unread("have the portal", "contact", [one.id for one in contacts if one.portal_access is None])
    return Ensured(id=client_id, remarks=remarks)


async def verify_inactive(halo: Halo, client_id: int) -> Skippable:
    """Read back that the client is inactive.

    Raises:
        NeedsOperator: it is not.
    """
    if left := await _active(halo, client_id):
        raise _still(left)
    return Ensured(id=client_id)


def _still(left: Sequence[str]) -> NeedsOperator:
    return NeedsOperator(
        f"After the churn HaloPSA still shows: {', '.join(left)}.",
        mend="close or end these in HaloPSA, then retry the run.",
    )


async def _active(halo: Halo, client_id: int) -> list[str]:
    inactive = (await halo.clients.get(client_id)).inactive
    return [] if inactive else [f"client {client_id} is active"]


async def _open(halo: Halo, outcome: Outcome) -> Iterable[int]:
    rules, left_out = outcome.leaving.rules, outcome.tickets.left_out
    found = await open_tickets(halo, outcome.leaving.client.id, rules)
    return [one.id for one in found if one.id not in left_out and one.type_id not in rules.keep_type_ids]


async def _contracts(halo: Halo, outcome: Outcome) -> list[Contract]:
    """Read the active contracts that may go on, and those that were ended; by itself what no answer has shown."""
    left_out, last_day = outcome.left_out("contract"), outcome.leaving.last_day
    ended = {one.id: one.shown for one in outcome.ended}
    return [
        one.model_copy(update={"rolling": False}) if ended.get(one.id) else await with_rolling(halo, one)
        for one in await halo.contracts.find(client_id=outcome.leaving.client.id)
        if one.active and one.id not in left_out and (one.id in ended or runs_past(one, last_day) or may_roll(one))
    ]


async def _contacts(halo: Halo, outcome: Outcome) -> list[Contact]:
    """Read the contacts that lost their access to the portal; those of another client by now are not looked at."""
    closed = {record_id for change in of("contact", outcome.changes) for record_id in change.ids}
    closed -= outcome.left_out("contact")
    rows = await halo.contacts.find(client_id=outcome.leaving.client.id) if closed else []
    return [await with_access(halo, row) for row in rows if row.id in closed]


def _unread(do: str, what: What, ids: Sequence[int]) -> list[str]:
    """Say of which records nobody knows whether they still do what they are to do no more."""
    whether = f"whether these {do} could not be read back: {what} {listed(ids)}; look at them in HaloPSA"
    return [whether] if ids else []


async def _unchanged_assets(halo: Halo, outcome: Outcome) -> Iterator[int]:
    """Find assets that are not as they were to be; those of another client by now are not looked at."""
    changes = of("asset", outcome.changes) if not outcome.left_out("asset") else []
    rows = {row.id: row for row in await halo.assets.find(client_id=outcome.leaving.client.id)} if changes else {}
    return (
        asset_id
        for change in changes
        for asset_id in change.ids
        if asset_id in rows and any(getattr(rows[asset_id], name) != after for name, after in change.after.items())
    )
