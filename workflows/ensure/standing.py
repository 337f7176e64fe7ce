"""What stood under a known client before a run touched it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from workflows.canonical import normalised_name
from workflows.ensure.contact import contact_key
from workflows.ensure.ensured import ClientRef
from workflows.ensure.site import main_site_id, site_fields
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


async def look_around(halo: Halo, client: ClientRef, main_site: str) -> Standing:
    """Look at the sites and contacts of a known client.

    Args:
        halo: HaloPSA.
        client: the client.
        main_site: how the event calls its main site; may be empty.
    """
    sites = await halo.sites.find(client_id=client.id)
    main = main_site_id(sites, client.main_site_id, main_site)
    contacts = sorted(await halo.contacts.find(client_id=client.id), key=lambda row: not row.inactive)
    return Standing(
        contacts={contact_key(row): row.inactive for row in contacts},
        sites=[normalised_name(row.name) for row in sites if row.in_use],
        closed_sites=[normalised_name(row.name) for row in sites if not row.in_use],
        main_site=await site_fields(halo, main) if main else {},
    )
