"""What a churn is to change, told before it changes anything: so it can be kept, reported and brought back."""

from collections.abc import Sequence
from datetime import date

from workflows.end_billing import invoice_changes
from workflows.end_contracts import contract_changes
from workflows.halopsa import Halo
from workflows.hand_over import access_changes, asset_changes
from workflows.policy import ChurnClient
from workflows.restore import Change, What
from workflows.snapshot import Snapshot


async def planned_changes(
    halo: Halo, client_id: int, snapshot: Snapshot, last_day: date, policy: ChurnClient
) -> list[Change]:
    """Look what is to be changed of the client, its contracts, recurring invoices, contacts and assets.

    Args:
        halo: HaloPSA.
        client_id: who leaves.
        snapshot: what it has.
        last_day: the last service day.
        policy: what is to become of it.

    Raises:
        NeedsOperator: HaloPSA does not have what the policy names.
    """
    inactive = (await halo.clients.get(client_id)).inactive
    changes = [] if inactive else [Change(what="client", ids=[client_id], fields={"inactive": (False, True)})]
    if policy.contracts == "end":
        changes += contract_changes(snapshot.contracts, last_day)
    if policy.recurring_invoices == "end":
        changes += invoice_changes(snapshot.recurring_invoices, last_day)
    if policy.remove_portal_access:
        changes += access_changes(snapshot.portal_access)
    if snapshot.asset_ids:
        changes += await asset_changes(halo, client_id, policy)
    return changes


def of(what: What, changes: Sequence[Change]) -> list[Change]:
    """Pick the changes of one kind of record."""
    return [change for change in changes if change.what == what]
