"""Whether a churn has wound the client down already: one leaving may be told in several ways, on several days."""

from datetime import date

from workflows.came_back import noted_end
from workflows.churn_changes import planned_changes
from workflows.closing_rules import ClosingRules
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.policy import ChurnClient
from workflows.snapshot import take_snapshot


async def find_end(halo: Halo, client_id: int, rules: ClosingRules, until: date, policy: ChurnClient) -> str:
    """Look for the report on an inactive client's end, after which nothing is left to do.

    Args:
        halo: HaloPSA.
        client_id: the client.
        rules: which tickets are closed.
        until: contracts that end by this day have ended.
        policy: what is to become of what the client has.

    Returns:
        The report's title; empty where there is none, where the client came back since, or where something is left.
    """
    try:
        ended = noted_end(await halo.notes.find(client_id=client_id))
    except (HaloForbidden, HaloNotFound):
        return ""
    if not ended:
        return ""
    snapshot = await take_snapshot(halo, client_id, rules, access=policy.remove_portal_access)
    left = snapshot.tickets or snapshot.more_tickets or snapshot.not_read
    return "" if left or await planned_changes(halo, client_id, snapshot, until, policy) else ended
