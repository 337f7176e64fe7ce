"""Which client leaves: the one with the CRM's key, else the one with the name, else the one that a person chooses."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from rapidfuzz import fuzz

from worker.run import Run
from workflows.asked import ask
from workflows.canonical import LeavingClient, normalised_name
from workflows.ensure import Undecided
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.halopsa.models import Client
from workflows.known_client import unknown
from workflows.leaving_client import Leaving
from workflows.matching import candidate, spelling
from workflows.policy import Policy
from workflows.policy.tenant import Names

HOW: Final = "Which one leaves? Answer with its id in HaloPSA (--use ID)"


async def settle_leaving(run: Run, halo: Halo, client: LeavingClient, policy: Policy) -> Leaving:
    """Find the client that leaves; ask a person as often as it takes.

    Raises:
        NotYet: HaloPSA has none that matches.
    """
    found = await run.step("client", find_leaving, halo, client, policy.names)
    number = 1
    while isinstance(found, Undecided):
        suffix, listed = "" if number == 1 else f"-{number}", "; ".join(map(str, found.candidates))
        read = partial(read_use, asked=found)
        used = await ask(
            run, f"which-client{suffix}", f"{found.what}: {listed}. {HOW}.", read, hours=policy.approval_hours
        )
        found = await run.step(f"chosen-client{suffix}", chosen_leaving, halo, used, found)
        number += 1
    return found


async def find_leaving(halo: Halo, client: LeavingClient, names: Names) -> Leaving | Undecided:
    """Find the one client that leaves; it may be inactive already.

    Args:
        halo: HaloPSA.
        client: what the event says.
        names: when two names are alike.

    Raises:
        NotYet: none matches.
    """
    rows = await halo.clients.find()
    found = await _matching(halo, rows, client)
    if not found:
        raise unknown(client)
    match, key = found[0], found[0].key.strip()
    if len(found) > 1:
        what = f"Several clients in HaloPSA match {client.name or client.id!r}"
        return Undecided(what=what, candidates=[candidate(row) for row in found])
    if client.id and key not in ("", client.id):
        what = f"The client in HaloPSA named {client.name!r} bears another key than {client.id!r}"
        return Undecided(what=what, candidates=[candidate(match)])
    remarks = [] if _alike(match.name, client.name, names) else [_unlike(match, client)]
    keyed, children = bool(client.id) and key == client.id, _children(rows, match.id)
    return Leaving(
        id=match.id, name=match.name, keyed=keyed, inactive=match.inactive, child_ids=children, remarks=remarks
    )


async def chosen_leaving(halo: Halo, client_id: int, asked: Undecided) -> Leaving | Undecided:
    """Look up the client that a person has chosen.

    Args:
        halo: HaloPSA.
        client_id: the client's id.
        asked: what the person was asked.
    """
    try:
        row = await halo.clients.get(client_id)
    except HaloNotFound:
        return Undecided(what=f"HaloPSA has no client {client_id}", candidates=asked.candidates)
    children = _children(await halo.clients.find(), row.id)
    return Leaving(id=row.id, name=row.name, inactive=row.inactive, child_ids=children)


def read_use(answer: Any, asked: Undecided) -> int | None:
    """Read a person's answer; None where it does not say which client.

    Args:
        answer: ``{"use": 123}``; a plain yes means the only candidate.
        asked: what was asked.
    """
    used = answer.get("use") if isinstance(answer, dict) else None
    if isinstance(used, int) and not isinstance(used, bool):
        return used
    return asked.candidates[0].id if answer in (None, True) and len(asked.candidates) == 1 else None


async def _matching(halo: Halo, rows: Sequence[Client], client: LeavingClient) -> list[Client]:
    """Find the clients with the CRM's key, else those with the name."""
    if keyed := [row for row in rows if client.id and row.key.strip() == client.id]:
        return keyed
    name = normalised_name(client.name)
    namesakes = [row for row in rows if name and normalised_name(row.name) == name]
    if client.id:
        namesakes = [row if row.key else await _with_key(halo, row) for row in namesakes]
    return [row for row in namesakes if client.id and row.key.strip() == client.id] or namesakes


async def _with_key(halo: Halo, row: Client) -> Client:
    """Read a client alone: HaloPSA's listings do not always show where the key is kept."""
    try:
        return await halo.clients.get(row.id)
    except (HaloForbidden, HaloNotFound):
        return row


def _children(rows: Sequence[Client], client_id: int) -> list[int]:
    return [
        row.id for row in rows if client_id in (row.parent_id, row.invoice_to) and row.id != client_id and row.in_use
    ]


def _alike(one: str, other: str, names: Names) -> bool:
    """Whether two names may be one client's; nothing is unlike no name, and part of a name is like the whole."""
    if not other:
        return True
    cores = [spelling(name, names.legal_forms).core for name in (one, other)]
    return fuzz.token_set_ratio(*cores) >= names.similarity


def _unlike(match: Client, client: LeavingClient) -> str:
    return (
        f"the client with the key {client.id!r} is called {match.name!r} in HaloPSA, and {client.name!r} by the event"
    )
