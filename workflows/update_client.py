"""Changed data of a client: what differs is written, and nothing else."""

from typing import Any

from pydantic import BaseModel, Field

from worker.events import Event
from worker.run import Run
from workflows.canonical import changed_client
from workflows.client_changes import Changes, find_changes
from workflows.ensure import Ensured, Skippable
from workflows.halopsa import Halo
from workflows.known_client import seek_merged
from workflows.msp import Msp
from workflows.report import Line, file_report
from workflows.routes import churns_before


class ClientUpdated(BaseModel):
    """What an update did.

    Attributes:
        client_id: the client in HaloPSA; None where it does not stand there, so that there is nothing to update.
        changes: field → the value before and the value after.
        remarks: what is not as the event has it.
    """

    client_id: int | None = None
    changes: dict[str, tuple[Any, Any]] = Field(default_factory=dict)
    remarks: list[str] = Field(default_factory=list)


async def update_client(run: Run, msp: Msp, event: Event) -> ClientUpdated:
    """Change what an event says otherwise about a client than HaloPSA has it; its key stays, unless the CRM merged it.

    A company of the CRM need not be a client: one that HaloPSA does not have is left to its won deal.

    Raises:
        InvalidEvent: the event lacks what is needed, or holds what cannot be.
        NeedsOperator: a person must decide or mend something in HaloPSA.
        RetryLater: HaloPSA cannot be asked now.
    """
    data, halo, late = changed_client(event).client, msp.halo, run.newer is not None
    client = await run.step("client", seek_merged, halo, data)
    if client is None:
        absent = f"HaloPSA has no client {data.name or data.id}: nothing to update"
        await run.remark("absent", absent)
        return ClientUpdated(remarks=[absent])
    await run.known_as(f"halo:{client.id}")
    if event.data.get("stays") is True:
        await run.halt("left", "churn_client", churns_before(event)["left"], f"{client.name} is a client in the CRM")
    changes = await run.step("changes", find_changes, halo, client.id, data, msp.policy, late=late)
    if changes.values:
        await run.step("update", write_client, halo, client.id, changes)
    if changes.main_site:
        await run.step("main-site", write_main_site, halo, changes)
    taken = await run.step("verify", not_taken, halo, client.id, changes) if changes.values else []
    remarks = [*changes.remarks, *(f"HaloPSA did not take {name}" for name in taken)]
    await file_report(
        run,
        halo,
        event,
        workflow=update_client.__name__,
        title="Updated from the CRM",
        client=(client.id, client.name),
        lines=_lines(client.id, changes),
        remarks=remarks,
    )
    changed = {**changes.fields, **changes.custom_fields, **changes.main_site}
    return ClientUpdated(client_id=client.id, changes=changed, remarks=remarks)


async def write_client(halo: Halo, client_id: int, changes: Changes) -> Skippable:
    """Write what differs of the client."""
    await halo.clients.update(client_id, **changes.values)
    return Ensured(id=client_id)


async def write_main_site(halo: Halo, changes: Changes) -> Skippable:
    """Write what differs of the client's main site."""
    await halo.sites.update(changes.main_site_id, **changes.site_values)
    return Ensured(id=changes.main_site_id)


async def not_taken(halo: Halo, client_id: int, changes: Changes) -> list[str]:
    """Read the client back, and name the fields that are not as they were written: HaloPSA ignores some in silence."""
    known = await halo.clients.get(client_id)
    fields = [name for name, (_, after) in changes.fields.items() if getattr(known, name) != after]
    custom = changes.custom_fields.items()
    return fields + [name for name, (_, after) in custom if str(known.custom_fields.get(name)) != str(after)]


def _lines(client_id: int, changes: Changes) -> list[Line]:
    client = {**changes.fields, **changes.custom_fields}
    lines = [Line(what="client", done="changed" if client else "found", ids=[client_id], changes=client)]
    if changes.main_site:
        lines.append(Line(what="main site", done="changed", ids=[changes.main_site_id], changes=changes.main_site))
    return lines
