"""Where a client stands among others: under a parent, and billed to itself or to another."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.errors import NeedsOperator, NotYet
from workflows import canonical
from workflows.canonical import normalised_name
from workflows.halopsa.models import Client
from workflows.matching import candidate, named_client
from workflows.routes import client_keys


@dataclass(frozen=True, slots=True)
class Place:
    """A client's place; None where the event says nothing.

    Attributes:
        parent: the client above it.
        payer: the client that its invoices go to; without one of its own that is the parent.
    """

    parent: Client | None = None
    payer: Client | None = None


def find_place(rows: Sequence[Client], client: canonical.ClientData, own_id: int = 0) -> Place:
    """Find the clients that the event names as parent and payer.

    Args:
        rows: all clients.
        client: what the event says. A client that names itself as payer pays for itself.
        own_id: HaloPSA's, where the client is known.

    Raises:
        NeedsOperator: the client would stand under itself, or several clients are called so.
        NotYet: HaloPSA does not have the parent or payer.
    """
    if client.parent_id and _is(client, client.parent_id):
        raise NeedsOperator(
            f"The client {client.name!r} is to be its own parent ({client.parent_id!r}).",
            mend="correct the parent in the CRM and send the event again.",
        )
    parent = _named(rows, client, client.parent_id, "parent", own_id) if client.parent_id else None
    if client.invoice_to is None:
        return Place(parent, parent)
    if _is(client, client.invoice_to):
        return Place(parent, None)
    return Place(parent, _named(rows, client, client.invoice_to, "payer", own_id))


def _named(rows: Sequence[Client], client: canonical.ClientData, reference: str, what: str, own_id: int) -> Client:
    found = named_client(rows, reference)
    if len(found) > 1:
        listed = ", ".join(str(candidate(row)) for row in found)
        raise NeedsOperator(
            f"Several clients in HaloPSA may be the {what} of {client.name!r}: {listed}.",
            mend=f"give the one that is meant the key {reference!r}, then retry the run.",
        )
    if not found:
        raise NotYet(
            f"HaloPSA does not have the {what} of {client.name!r}, {reference!r}, yet.",
            mend=f"onboard the {what} first, or correct the event; then retry the run.",
            of=client_keys(reference, reference),
        )
    if own_id:
        _refuse_cycle({row.id: row for row in rows}, client, found[0], own_id)
    return found[0]


def _refuse_cycle(rows: dict[int, Client], client: canonical.ClientData, above: Client, own_id: int) -> None:
    """Refuse a place in which a client would stand above itself."""
    seen: set[int] = set()
    ahead = [above.id]
    while ahead:
        one = ahead.pop()
        if one == own_id:
            raise NeedsOperator(
                f"The client {client.name!r} would stand under itself: {above.name!r} stands under it already.",
                mend="correct the hierarchy in the CRM or in HaloPSA, then retry the run.",
            )
        if one in rows and one not in seen:
            seen.add(one)
            ahead += [rows[one].parent_id, rows[one].invoice_to]


def _is(client: canonical.ClientData, reference: str) -> bool:
    return reference == client.id or normalised_name(reference) == normalised_name(client.name)
