"""What a known client lacks of an event's data: found first, with the values before, then written."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from worker.errors import NeedsOperator
from workflows.ensure.client import Wanted
from workflows.ensure.client_fields import ClientFields
from workflows.ensure.ensured import ClientRef, Ensured
from workflows.ensure.hierarchy import Place, find_place
from workflows.halopsa import Halo
from workflows.halopsa.models import Client
from workflows.resolve import LOOKUPS

NOT_YET_CUSTOMERS: Final = ("prospect", "lead")
"""Customer types of those that are not customers yet, normalised."""


class Lack(BaseModel):
    """What a known client lacks.

    Attributes:
        values: fields by our names, and what they are to be.
        changes: field → the value before and the value after.
        remarks: what cannot be set, and why.
    """

    model_config = ConfigDict(frozen=True)

    values: dict[str, Any] = Field(default_factory=dict)
    changes: dict[str, tuple[Any, Any]] = Field(default_factory=dict)
    remarks: list[str] = Field(default_factory=list)


async def find_lack(halo: Halo, client: ClientRef, wanted: Wanted, *, whole: bool) -> Lack:
    """Find what a known client lacks. What HaloPSA has stays, but that a prospect becomes a customer.

    Args:
        halo: HaloPSA.
        client: the client.
        wanted: the client as it is to be.
        whole: whether all of its data counts; otherwise only that it is active.

    Raises:
        NeedsOperator: its place among other clients is not clear.
        NotYet: HaloPSA does not have its parent or payer.
    """
    active = {"inactive": False} if client.inactive else {}
    if not whole:
        return Lack(values=active, changes={name: (True, value) for name, value in active.items()})
    known = await halo.clients.get(client.id)
    fields = ClientFields(halo, wanted.client, wanted.policy, wanted.data)
    values = await fields.values(await _place(halo, client, wanted), [])
    lacking = {name: values[name] for name in values if halo.clients.has(name) and _lacks(known, name, values[name])}
    if await is_prospect(halo, known) and values["type_id"]:
        lacking["type_id"] = values["type_id"]
    lacking |= active
    changes = {name: (getattr(known, name, None), value) for name, value in lacking.items()}
    return Lack(values=lacking, changes=changes, remarks=fields.remarks)


async def fill(halo: Halo, client: ClientRef, lack: Lack) -> Ensured:
    """Give a known client what it lacks."""
    await halo.clients.update(client.id, **lack.values)
    return Ensured(id=client.id, changes=lack.changes, remarks=lack.remarks)


async def is_prospect(halo: Halo, client: Client) -> bool:
    """Whether HaloPSA has a client as a prospect or lead."""
    if not client.type_id:
        return False
    try:
        types = await halo.lookup(LOOKUPS["customer type"])
    except NeedsOperator:
        return False
    return any(one.id == str(client.type_id) and one.name.strip().casefold() in NOT_YET_CUSTOMERS for one in types)


async def _place(halo: Halo, client: ClientRef, wanted: Wanted) -> Place:
    if not (wanted.client.parent_id or wanted.client.invoice_to):
        return Place()
    return find_place(await halo.clients.find(), wanted.client, client.id)


def _lacks(known: Client, name: str, value: Any) -> bool:
    """Whether a field is empty that should not be; custom fields and what HaloPSA does not show are left alone."""
    if value in (None, "") or name in ("custom_fields", "group_id", "relationships"):
        return False
    return not getattr(known, name, True)
