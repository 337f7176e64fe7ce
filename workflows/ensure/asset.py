"""Assets: found by their tag, else made."""

from worker.errors import NeedsOperator
from workflows import canonical
from workflows.ensure.choices import named
from workflows.ensure.ensured import ClientRef, Ensured, Skippable, eldest, must_look
from workflows.halopsa import Halo


async def ensure_asset(halo: Halo, client: ClientRef, site_id: int, asset: canonical.Asset) -> Skippable:
    """Find an asset by its tag within the client, or make it.

    Raises:
        NeedsOperator: HaloPSA does not know the asset's type.
    """
    if must_look(halo, client):
        known = [row for row in await halo.assets.find(client_id=client.id) if row.tag == asset.tag]
        if known:
            return Ensured(id=eldest(known).id, created=halo.in_doubt, in_doubt=halo.in_doubt)
    kind = named(await halo.asset_types.find(), asset.type)
    if kind is None:
        raise NeedsOperator(
            f"HaloPSA has no asset type {asset.type!r} for asset {asset.tag!r}.",
            mend="add the type in HaloPSA, then retry the run.",
        )
    notes = f"Serial number: {asset.serial}" if asset.serial else None
    made = await halo.assets.create(tag=asset.tag, type_id=kind.id, client_id=client.id, site_id=site_id, notes=notes)
    shown = (made.tag, made.client_id) == (asset.tag, client.id)
    return Ensured(id=made.id, created=True, in_doubt=halo.in_doubt, shown=shown)
