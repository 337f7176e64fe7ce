"""What stood under a known client before a run touched it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from workflows.canonical import normalised_name
from workflows.ensure.contact import contact_key
from workflows.ensure.ensured import ClientRef
from workflows.halopsa import Halo


class Standing(BaseModel):
    """What stood under a client.

    Attributes:
        contacts: each contact's key, and whether it was inactive.
        sites: the names of the sites in use, normalised.
        closed_sites: those of the others.
        main_site: the main site's fields by our names, as far as HaloPSA keeps them.
    """

    model_config = ConfigDict(frozen=True)

    contacts: dict[str, bool] = Field(default_factory=dict)
    sites: list[str] = Field(default_factory=list)
    closed_sites: list[str] = Field(default_factory=list)
    main_site: dict[str, Any] = Field(default_factory=dict)


async def look_around(halo: Halo, client: ClientRef) -> Standing:
    """Look at the sites and contacts of a known client."""
    sites = await halo.sites.find(client_id=client.id)
    main = next((row for row in sites if row.id == client.main_site_id and row.in_use), None)
    contacts = sorted(await halo.contacts.find(client_id=client.id), key=lambda row: not row.inactive)
    return Standing(
        contacts={contact_key(row): row.inactive for row in contacts},
        sites=[normalised_name(row.name) for row in sites if row.in_use],
        closed_sites=[normalised_name(row.name) for row in sites if not row.in_use],
        main_site=await _fields_of(halo, main.id) if main else {},
    )


async def _fields_of(halo: Halo, site_id: int) -> dict[str, Any]:
    fields = (await halo.sites.get(site_id)).model_dump(mode="json")
    return {name: value for name, value in fields.items() if name == "id" or halo.sites.has(name)}
