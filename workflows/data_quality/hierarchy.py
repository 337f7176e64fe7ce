"""Faults in the hierarchy of clients: parents, and clients to which invoices go."""

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Final, Literal, NamedTuple

from workflows.data_quality.finding import Finding, Records, named
from workflows.halopsa.models import Client

Above = Callable[[Client], int]
FIELDS: Final[Mapping[str, Above]] = {"parent": attrgetter("parent_id"), "client to invoice": attrgetter("invoice_to")}


class Fault(NamedTuple):
    """What is wrong, at which clients, and in words."""

    kind: Literal["itself", "missing", "inactive", "circle"]
    clients: tuple[int, ...]
    what: str


def faulty_parents(records: Records) -> Iterator[Finding]:
    """Find clients in use whose parent or payer is missing, inactive or themselves, and circles of clients.

    The same fault of both fields is one finding.
    """
    seen: set[tuple[str, tuple[int, ...]]] = set()
    for field, above in FIELDS.items():
        for fault in [*_wrong_links(records, field, above), *_circles(records, field, above)]:
            if fault[:2] not in seen:
                seen.add(fault[:2])
                yield Finding(
                    kind="client-hierarchy",
                    clients=tuple(named(records.clients[client_id]) for client_id in fault.clients),
                    what=fault.what,
                    mend=f"Choose the right {field} at the customer, or none.",
                )


def _wrong_links(records: Records, field: str, above: Above) -> Iterator[Fault]:
    for client in records.in_use:
        parent_id = above(client)
        parent = records.clients.get(parent_id)
        if parent_id == client.id:
            yield Fault("itself", (client.id,), f"It is its own {field}.")
        elif parent is not None and parent.inactive:
            yield Fault("inactive", (client.id,), f"Its {field} {parent.id} {parent.name!r} is inactive.")
        elif parent is None and parent_id > 0:
            yield Fault("missing", (client.id,), f"Its {field} {parent_id} does not exist.")


def _circles(records: Records, field: str, above: Above) -> Iterator[Fault]:
    """Find circles of two and more clients, of which one at least is in use."""
    done: set[int] = set()
    for start in sorted(records.clients):
        chain: list[int] = []
        here = start
        while here in records.clients and here not in done:
            done.add(here)
            chain.append(here)
            here = above(records.clients[here])
        circle = chain[chain.index(here) :] if here in chain else []
        if len(circle) > 1 and any(records.clients[one].in_use for one in circle):
            yield Fault("circle", tuple(circle), f"In a circle, each has the next one as its {field}.")
