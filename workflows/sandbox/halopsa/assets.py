"""A client's assets."""

from typing import Any

from workflows.sandbox.answers import Refused, require
from workflows.sandbox.halopsa.store import Record, Store

_DEFAULTS: dict[str, Any] = {"inventory_number": "", "status_id": 1, "inactive": False, "notes": "", "fields": []}


def create_asset(store: Store, sent: Record) -> Record:
    """Create an asset at a site, or at a client's main site.

    Raises:
        Refused: it has no type, or neither site nor client.
    """
    require(sent.get("assettype_id"), "Please select an Asset Type")
    return store["Asset"].add(_DEFAULTS | sent | _place(store, sent))


def update_asset(store: Store, asset: Record, sent: Record) -> None:
    """Change the sent fields of an asset.

    Raises:
        Refused: the new site or client is none.
    """
    moved = _place(store, sent) if sent.keys() & {"site_id", "client_id"} else {}
    store["Asset"].change(asset, sent | moved)


def show_asset(store: Store, asset: Record) -> Record:
    """An asset as reads show it."""
    return asset | {
        "client_name": store.name_of("Client", asset["client_id"]),
        "site_name": store.name_of("Site", asset["site_id"]),
        "assettype_name": store.name_of("AssetType", asset["assettype_id"]),
    }


def _place(store: Store, sent: Record) -> Record:
    client = store["Client"].rows.get(sent.get("client_id", 0))
    site = store["Site"].rows.get(sent.get("site_id") or (client["main_site_id"] if client else 0))
    if site:
        return {"client_id": site["client_id"], "site_id": site["id"]}
    if client is None:
        raise Refused("Please select a valid Client/Site/User")
    return {"client_id": client["id"], "site_id": 0}
