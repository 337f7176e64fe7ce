"""What stays after a client has left: tickets that are handed over, contacts without the portal, and assets."""

from typing import Any

from worker.errors import NeedsOperator
from workflows.ensure import Ensured, Skippable
from workflows.halopsa import Halo
from workflows.open_tickets import OpenTicket
from workflows.policy import ChurnClient
from workflows.resolve import chosen
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


async def remove_access(halo: Halo, contact_ids: list[int]) -> Skippable:
    """Take the portal away from contacts; they themselves stay.

    Raises:
        NeedsOperator: HaloPSA refuses some of the changes.
    """
    return _done(
        "contact", await update_each(halo.contacts, {one: {"portal_access": NO_ACCESS} for one in contact_ids})
    )


async def part_with_assets(halo: Halo, asset_ids: list[int], policy: ChurnClient) -> Skippable:
    """Set assets inactive, mark them for their return, or give them to another client.

    Raises:
        NeedsOperator: HaloPSA does not have the client that they go to, or refuses some of the changes.
    """
    change: dict[str, Any] = {"status_id": policy.asset_status_id}
    if policy.assets == "retire":
        change["inactive"] = True
    if policy.assets == "reassign":
        if policy.reassign_assets_to is None:
            raise NeedsOperator("The policy does not say which client gets the assets.", mend="name it in the policy.")
        heir = chosen(await halo.clients.find(), policy.reassign_assets_to, "client")
        change["client_id"] = heir.id
    return _done("asset", await update_each(halo.assets, dict.fromkeys(asset_ids, change)))


def _done(what: str, refused: dict[int, str]) -> Ensured:
    if refused:
        words = " ".join(f"{what} {record_id}: {why}" for record_id, why in refused.items())
        raise NeedsOperator(words)
    return Ensured(id=0)
