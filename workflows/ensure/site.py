"""Sites: the main one adopted where HaloPSA made it, further ones found by name, else made."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from workflows import canonical
from workflows.canonical import normalised_name
from workflows.ensure.choices import named
from workflows.ensure.ensured import ClientRef, Ensured, Skippable, eldest, must_look
from workflows.halopsa import Halo, HaloRefused
from workflows.halopsa.client import COUNTRIES
from workflows.halopsa.models import Site

ADDRESS: Final = frozenset({"line1", "line2", "city", "region", "postcode", "country", "country_code"})


async def ensure_main_site(
    halo: Halo,
    client: ClientRef,
    site: canonical.Site | None,
    phone: str | None,
    held: Mapping[str, Any] | None = None,
) -> Ensured:
    """Give the client's main site its name, address and telephone number.

    HaloPSA makes a client's first site itself, so that one is adopted. A site of the wanted name is taken for it too;
    one is made only where there is none. The main site of a client that was known keeps what it has.

    Args:
        halo: HaloPSA.
        client: whose site it is.
        site: what the event says.
        phone: the client's telephone number, where the site has none.
        held: the main site of a known client as it was found, by our names.
    """
    site_id = int(held["id"]) if held else client.main_site_id
    if not held and (not site_id or must_look(halo, client)):
        rows = await halo.sites.find(client_id=client.id)
        site_id = main_site_id(rows, client.main_site_id, site.name if site else "")
    wanted, remarks = await _site_fields(halo, site, phone)
    if not site_id:
        return await _create(halo, client, {"name": "Main", **wanted, "client_id": client.id, "main": True}, remarks)
    if not client.created:
        return await _complete(halo, held or await site_fields(halo, site_id), wanted, remarks)
    if site or phone:
        await halo.sites.update(site_id, **wanted)
    # Under a client of its own this run alone can have made the site that it found.
    may_be_double = halo.in_doubt and not client.main_site_id
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


async def _complete(halo: Halo, held: Mapping[str, Any], wanted: Mapping[str, Any], remarks: Sequence[str]) -> Ensured:
    """Fill in what a known main site lacks; where another address stands, no part of the wanted one is put into it."""
    given = {name: value for name, value in wanted.items() if value and name in held}
    other = {name: value for name, value in given.items() if held[name] and not _alike(held[name], value)}
    kept = ADDRESS if ADDRESS & other.keys() else frozenset[str]()
    missing = {name: value for name, value in given.items() if not held[name] and name not in kept}
    if missing:
        # A sent address may replace the whole of the old one, so what stands there is sent along.
        whole = {name: held[name] or None for name in ADDRESS & held.keys()} if ADDRESS & missing.keys() else {}
        await halo.sites.update(held["id"], **{**whole, **missing})
    differences = ", ".join(
        f"{name.replace('_', ' ')} {held[name]} here, {value} there" for name, value in other.items()
    )
    return Ensured(
        id=held["id"],
        remarks=[*remarks, *([f"main site differs: {differences}; left"] if other else [])],
        changes={name: (held[name], value) for name, value in missing.items()},
    )


def _alike(held: Any, wanted: Any) -> bool:
    return normalised_name(str(held)) == normalised_name(str(wanted))


async def _country_code(halo: Halo, country: str | None) -> tuple[str | None, list[str]]:
    if country is None or not halo.sites.has("country_code"):
        return None, []
    try:
        match = named(await halo.lookup(COUNTRIES), country)
    except HaloRefused as refusal:
        return None, [f"country {country} not set: {refusal.what}"]
    return (match.id, []) if match else (None, [f"country {country} not set: HaloPSA's list does not have it"])


def main_site_id(rows: Sequence[Site], known: int, name: str) -> int:
    """Choose a client's main site: one in use of the wanted name, else the known one, else the eldest; 0 = none.

    Args:
        rows: the client's sites.
        known: the main site by the client's record; 0 where that does not say.
        name: the wanted name; may be empty.
    """
    in_use = [row for row in rows if not row.inactive]
    namesakes = [row for row in in_use if normalised_name(row.name) == normalised_name(name)]
    if known and not namesakes:
        return known
    fitting = namesakes or in_use
    return eldest([row for row in fitting if row.main] or fitting).id if fitting else 0


async def site_fields(halo: Halo, site_id: int) -> dict[str, Any]:
    """Read a site's fields by our names, as far as HaloPSA keeps them."""
    fields = (await halo.sites.get(site_id)).model_dump(mode="json")
    return {name: value for name, value in fields.items() if name == "id" or halo.sites.has(name)}
