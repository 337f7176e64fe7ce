"""A client that should stand in HaloPSA already."""

from worker.errors import NotYet
from workflows.canonical import LeavingClient
from workflows.ensure import ClientRef
from workflows.halopsa import Halo
from workflows.matching import match_client


async def find_known(halo: Halo, client: LeavingClient) -> ClientRef:
    """Find the one client that an event is about.

    Raises:
        NeedsOperator: it is not clear which client is meant.
        NotYet: none matches.
    """
    known = await seek_known(halo, client)
    if known is None:
        raise NotYet(
            f"HaloPSA has no client with the key {client.id!r} or the name {client.name!r}.",
            mend="give the client that is meant the key where HaloPSA keeps the CRM's keys, or correct the event; "
            "then retry the run.",
        )
    return known


async def seek_known(halo: Halo, client: LeavingClient) -> ClientRef | None:
    """Find the one client that an event is about; None if HaloPSA has none.

    Raises:
        NeedsOperator: it is not clear which client is meant.
    """
    match = match_client(await halo.clients.find(), client.id, client.name, own_doubles=False)
    if match is None:
        return None
    keyed = bool(client.id) and match.key == client.id
    return ClientRef(id=match.id, name=match.name, keyed=keyed, inactive=match.inactive)
