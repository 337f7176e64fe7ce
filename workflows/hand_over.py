"""What stays after a client has left: tickets that are handed over, contacts without the portal, and assets."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from worker.errors import NeedsOperator
from workflows.ensure import Ensured, Skippable
from workflows.halopsa import Halo
from workflows.halopsa.models import Asset, Client
from workflows.open_tickets import OpenTicket
from workflows.policy import ChurnClient
from workflows.resolve import chosen
from workflows.restore import Change, Value
from workflows.update_each import update_each

NO_ACCESS = 0
"""HaloPSA's level of access to the portal for none."""


async def hand_over_tickets(halo: Halo, client_id: int, tickets: list[OpenTicket], policy: ChurnClient) -> Skippable:
    """Give tickets that are not closed to the team and agent of the policy.

    Raises:
        NeedsOperator: HaloPSA does not have that team or agent, or refuses some of the changes.
    """
    team, agent = policy.hand_over.team, policy.hand_over.agent
    change = {
        "client_id": client_id,
        "team": None if team is None else chosen(await halo.teams.find(), team, "team").name,
        "agent_id": None if agent is None else chosen(await halo.agents.find(), agent, "agent").id,
        "skip_rules": True,
    }
    changes = {one.id: change | {"type_id": one.type_id} for one in tickets}
    return _done("ticket", await update_each(halo.tickets, changes))


def access_changes(portal_access: Mapping[int, int]) -> list[Change]:
    """Say what is to be changed so that contacts have no access to the portal.

    Args:
        portal_access: contact → HaloPSA's level of access.
    """
    by_level = defaultdict(list)
    for contact_id, level in portal_access.items():
        by_level[level].append(contact_id)
    return [
        Change(what="contact", ids=ids, fields={"portal_access": (level, NO_ACCESS)}) for level, ids in by_level.items()
    ]


async def remove_access(halo: Halo, changes: list[Change]) -> Skippable:
    """Take the portal away from contacts; they themselves stay.

    Raises:
        NeedsOperator: HaloPSA refuses some of the changes.
    """
    return _done("contact", await update_each(halo.contacts, _each(changes)))


async def asset_changes(halo: Halo, client_id: int, policy: ChurnClient) -> list[Change]:
    """Say what is to be changed so that assets in use are inactive, marked for their return, or another client's.

    Raises:
        NeedsOperator: HaloPSA does not have the client that they go to.
    """
    if policy.assets == "report":
        return []
    heir = await _heir(halo, policy)
    alike = defaultdict(list)
    for asset in await halo.assets.find(client_id=client_id):
        if asset.in_use:
            alike[tuple(_wanted(asset, policy, heir).items())].append(asset.id)
    return [Change(what="asset", ids=ids, fields=dict(fields)) for fields, ids in alike.items() if fields]


async def part_with_assets(halo: Halo, changes: list[Change]) -> Skippable:
    """Set assets inactive, mark them for their return, or give them to another client.

    Raises:
        NeedsOperator: HaloPSA refuses some of the changes.
    """
    return _done("asset", await update_each(halo.assets, _each(changes)))


async def _heir(halo: Halo, policy: ChurnClient) -> Client | None:
    """Read the client that gets the assets; its main site stands in a single read only."""
    if policy.reassign_assets_to is None or policy.assets != "reassign":
        return None
    return await halo.clients.get(chosen(await halo.clients.find(), policy.reassign_assets_to, "client").id)


def _wanted(asset: Asset, policy: ChurnClient, heir: Client | None) -> dict[str, tuple[Value, Value]]:
    wanted: dict[str, Value] = {}
    if policy.asset_status_id is not None:
        wanted["status_id"] = policy.asset_status_id
    if policy.assets == "retire":
        wanted["inactive"] = True
    if heir:
        wanted |= {"client_id": heir.id} | ({"site_id": heir.main_site_id} if heir.main_site_id else {})
    return {name: (getattr(asset, name), after) for name, after in wanted.items() if getattr(asset, name) != after}


def _each(changes: Sequence[Change]) -> dict[int, dict[str, Value]]:
    return {record_id: change.after for change in changes for record_id in change.ids}


def _done(what: str, refused: dict[int, str]) -> Ensured:
    if refused:
        words = " ".join(f"{what} {record_id}: {why}" for record_id, why in refused.items())
        raise NeedsOperator(words)
    return Ensured(id=0)
