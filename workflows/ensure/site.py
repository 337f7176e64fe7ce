"""Sites: the main one adopted where HaloPSA made it, further ones found by name, else made."""

from collections.abc import Mapping
from typing import Any

from workflows import canonical
from workflows.canonical import normalised_name
from workflows.ensure.choices import named
from workflows.ensure.ensured import ClientRef, Ensured, Skippable, eldest, must_look
from workflows.halopsa import Halo, HaloRefused
from workflows.halopsa.client import COUNTRIES
from workflows.halopsa.models import Site


async def ensure_main_site(
    halo: Halo,
    client: ClientRef,
    site: canonical.Site | None,
    phone: str | None,
    held: Mapping[str, Any] | None = None,
) -> Ensured:
    """Give the client's main site its name, address and telephone number.

    HaloPSA makes a client's first site itself, so that one is adopted. A site of the wanted name is taken for it too;
    one is made only where there is none.

    Args:
        halo: HaloPSA.
        client: whose site it is.
        site: what the event says.
        phone: the client's telephone number, where the site has none.
        held: the main site as it was found, by our names, so that nothing is written where all is well.
    """
    site_id = client.main_site_id
    if not site_id or must_look(halo, client):
        site_id = await _main_site_id(halo, client, site.name if site else "")
    wanted, remarks = await _site_fields(halo, site, phone)
    if not site_id:
        return await _create(halo, client, {"name": "Main", **wanted, "client_id": client.id, "main": True}, remarks)
    # An address that the event does not give says nothing about the one that a known client has.
    if (site or (client.undisputed and phone)) and not _holds(held, {"id": site_id, **wanted}):
        await halo.sites.update(site_id, **wanted)
    # Under a client of its own this run alone can have made the site that it found.
    may_be_double = halo.in_doubt and client.created and not client.main_site_id
    return Ensured(id=site_id, in_doubt=may_be_double, remarks=remarks)


async def ensure_site(halo: Halo, client: ClientRef, site: canonical.Site) -> Skippable:
    """Find a further site by its name within the client, or make it; one that was inactive becomes active."""
    if must_look(halo, client):
        rows = await halo.sites.find(client_id=client.id)
        known = [row for row in rows if normalised_name(row.name) == normalised_name(site.name)]
        if known:
            return await _in_use(halo, eldest(known))
    wanted, remarks = await _site_fields(halo, site)
    return await _create(halo, client, {**wanted, "client_id": client.id}, remarks)


async def _in_use(halo: Halo, site: Site) -> Ensured:
    if site.inactive:
        await halo.sites.update(site.id, inactive=False)
    return Ensured(id=site.id, created=halo.in_doubt, in_doubt=halo.in_doubt)


async def _create(halo: Halo, client: ClientRef, values: Mapping[str, Any], remarks: list[str]) -> Ensured:
    made = await halo.sites.create(**values)
    shown = made.client_id == client.id and normalised_name(made.name) == normalised_name(values["name"])
    return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt, shown=shown, remarks=remarks)


async def _site_fields(
    halo: Halo, site: canonical.Site | None, phone: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    if site is None:
        return {"phone": phone}, []
    country_code, remarks = await _country_code(halo, site.country)
    fields = site.model_dump(include={"name", "line1", "line2", "city", "region", "postcode", "country"})
    return {**fields, "phone": site.phone or phone, "country_code": country_code}, remarks


def _holds(held: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Whether a site as it was found is as it is to be, as far as HaloPSA keeps it."""
    if not held:
        return False
    return all(held[name] == wanted[name] for name in held.keys() & wanted.keys() if wanted[name])


async def _country_code(halo: Halo, country: str | None) -> tuple[str | None, list[str]]:
    if country is None or not halo.sites.has("country_code"):
        return None, []
    try:
        match = named(await halo.lookup(COUNTRIES), country)
    except HaloRefused as refusal:
        return None, [f"country {country} not set: {refusal.what}"]
    return (match.id, []) if match else (None, [f"country {country} not set: HaloPSA's list does not have it"])


async def _main_site_id(halo: Halo, client: ClientRef, name: str) -> int:
    rows = [row for row in await halo.sites.find(client_id=client.id) if not row.inactive]
    namesakes = [row for row in rows if normalised_name(row.name) == normalised_name(name)]
    if namesakes or not client.main_site_id:
        fitting = namesakes or rows
        return eldest([row for row in fitting if row.main] or fitting).id if rows else 0
    return client.main_site_id
