"""A client that should stand in HaloPSA already."""

from worker.errors import NeedsOperator, NotYet
from workflows.canonical import KnownClient, LeavingClient
from workflows.ensure import ClientRef
from workflows.halopsa import Halo
from workflows.halopsa.models import Client
from workflows.matching import candidate, match_client


async def find_known(halo: Halo, client: LeavingClient) -> ClientRef:
    """Find the one client that an event is about.

    Raises:
        NeedsOperator: it is not clear which client is meant.
        NotYet: none matches.
    """
    known = await seek_known(halo, client)
    if known is None:
        raise unknown(client)
    return known


async def seek_known(halo: Halo, client: LeavingClient) -> ClientRef | None:
    """Find the one client that an event is about; None if HaloPSA has none.

    Raises:
        NeedsOperator: it is not clear which client is meant.
    """
    return _reference(match_client(await halo.clients.find(), client.id, client.name, own_doubles=False), client)


async def seek_merged(halo: Halo, client: KnownClient) -> ClientRef | None:
    """Find the one client that the CRM has made of several companies, by its key, theirs or its name.

    Returns:
        The client; None if HaloPSA has none of them.

    Raises:
        NeedsOperator: several are clients in HaloPSA, or it is not clear which client is meant.
    """
    rows = await halo.clients.find()
    keyed = [row for row in rows if row.key and row.key in (client.id, *client.merged_ids)]
    if len({row.key for row in keyed}) > 1:
        raise NeedsOperator(
            f"The CRM has merged into one what are {len(keyed)} clients in HaloPSA: "
            f"{', '.join(str(candidate(row)) for row in keyed)}.",
            mend="decide which client stays and bring over to it what belongs to the others; then take the keys away "
            f"from these, give it the key {client.id!r} and retry the run.",
        )
    match = match_client(rows, keyed[0].key if keyed else client.id, client.name, own_doubles=False)
    return _reference(match, client)


def unknown(client: LeavingClient) -> NotYet:
    """Make the error that waits for a client which HaloPSA does not have."""
    what = [f"the {what} {value!r}" for what, value in (("key", client.id), ("name", client.name)) if value]
    given = "the key where HaloPSA keeps the CRM's keys" if client.id else "this name"
    return NotYet(
        f"HaloPSA has no client with {' or '.join(what)}.",
        mend=f"give the client that is meant {given} and retry the run, or cancel it and send the event corrected.",
    )


def _reference(match: Client | None, client: LeavingClient) -> ClientRef | None:
    if match is None:
        return None
    keyed = bool(client.id) and match.key == client.id
    return ClientRef(id=match.id, name=match.name, keyed=keyed, inactive=match.inactive)
