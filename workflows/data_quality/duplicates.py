"""Clients that stand twice: by one name, or by names that are nearly alike."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from workflows.data_quality.finding import Finding, Records, named
from workflows.halopsa.models import Client
from workflows.matching import Spelling, spelling
from workflows.name_index import NameIndex

MEND = "Merge them into the one that is right, or give each a name that tells it apart."


def duplicate_names(records: Records) -> Iterator[Finding]:
    """Find clients with one name, however it is spelt, and with names that are nearly alike.

    Inactive clients count: one that came back under a second record is a duplicate too.
    """
    by_core: dict[str, list[tuple[Client, Spelling]]] = defaultdict(list)
    for _, client in sorted(records.clients.items()):
        name = spelling(client.name, records.names.legal_forms)
        if name.core:
            by_core[name.core].append((client, name))
    for same in by_core.values():
        if len(same) > 1:
            yield _one_name(same)
    index = NameIndex((same[0][1] for same in by_core.values()), records.names.similarity)
    for one, other in index.pairs():
        clients = [client for client, _ in by_core[one] + by_core[other]]
        yield _duplicate(clients, "The clients have names that are nearly alike", certain=False)


def _one_name(same: Sequence[tuple[Client, Spelling]]) -> Finding:
    clients = [client for client, _ in same]
    if _forms_agree([name for _, name in same]):
        return _duplicate(clients, "The clients have one name", certain=True)
    return _duplicate(clients, "The clients have one name but for its legal form", certain=False)


def _forms_agree(names: Sequence[Spelling]) -> bool:
    """Whether no two bear legal forms that speak against each other: "Acme", "Acme Ltd", but not "Acme GmbH"."""
    forms = sorted((name.forms for name in names), key=len)
    return all(fewer <= more for fewer, more in pairwise(forms))


def _duplicate(clients: Sequence[Client], what: str, *, certain: bool) -> Finding:
    found = sorted(clients, key=lambda client: client.id)
    inactive = ", ".join(str(client.id) for client in found if client.inactive)
    return Finding(
        kind="duplicate-client-names",
        certainty="certain" if certain else "likely",
        clients=tuple(map(named, found)),
        what=f"{what}; inactive: {inactive}." if inactive else f"{what}.",
        mend=MEND,
    )
