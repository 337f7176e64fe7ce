"""Clients: found, made, or left to a person where it is not clear which one is meant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from worker.errors import NeedsOperator
from workflows import canonical
from workflows.canonical import normalised_name
from workflows.ensure.client_fields import ClientFields
from workflows.ensure.ensured import ClientRef, Ensured, age
from workflows.ensure.hierarchy import find_place
from workflows.halopsa import Halo, HaloNotFound
from workflows.halopsa.models import Client
from workflows.matching import Candidate, candidate, find_match
from workflows.policy import Policy


@dataclass(frozen=True, slots=True)
class Wanted:
    """The client that is to stand in HaloPSA.

    Attributes:
        client: what the event says.
        main_site: made with the client, in the same request.
        policy: the MSP's rules.
        may_be_made: whether it is made where HaloPSA does not have it.
        data: the event's data, for the places in the policy's texts.
    """

    client: canonical.Client
    main_site: canonical.Site | None
    policy: Policy
    may_be_made: bool = True
    data: Mapping[str, Any] = field(default_factory=dict)


class Undecided(BaseModel):
    """It is not clear which client is meant: a person must say.

    Attributes:
        what: why.
        candidates: the clients that may be meant.
    """

    model_config = ConfigDict(frozen=True)

    what: str
    candidates: list[Candidate]

    @property
    def question(self) -> str:
        """What a person is asked."""
        listed = "; ".join(map(str, self.candidates))
        return (
            f"{self.what}{f': {listed}' if listed else ''}. Use one of HaloPSA's clients by its id, or make a new one?"
        )


class Choice(BaseModel):
    """What a person has decided: a client of HaloPSA, or a new one.

    Attributes:
        use: the client's id; None: a new one is made.
        besides: the clients that the person knew of.
    """

    model_config = ConfigDict(frozen=True)

    use: int | None = None
    besides: list[int] = Field(default_factory=list)


async def ensure_client(halo: Halo, wanted: Wanted, choice: Choice | None = None) -> ClientRef | Undecided:
    """Find the client or make it, with its main site in the same request.

    Args:
        halo: HaloPSA.
        wanted: the client.
        choice: what a person has decided, where one was asked.

    Raises:
        NeedsOperator: its place among other clients is not clear.
        NotYet: HaloPSA does not have its parent or payer.
    """
    if choice and choice.use is not None:
        return await _chosen(halo, wanted, choice.use)
    rows, besides = await halo.clients.find(), choice.besides if choice else []
    if halo.in_doubt and (own := await _made_here(halo, wanted, [row for row in rows if row.id not in besides])):
        return own.model_copy(update={"besides": besides})
    if choice:
        return (await _make(halo, wanted, rows)).model_copy(update={"besides": besides})
    match = find_match(rows, wanted.client, wanted.policy.names)
    if match.client:
        return await _certain(halo, wanted, match.client)
    if match.candidates:
        return Undecided(what=f"It is not clear which client {wanted.client.name!r} is", candidates=match.candidates)
    return await _make(halo, wanted, rows) if wanted.may_be_made else _unknown(wanted)


async def ensure_key(halo: Halo, client: ClientRef, key: str) -> Ensured:
    """Give a client that was known by its name alone the CRM's key.

    Raises:
        NeedsOperator: it bears another one by now.
    """
    held = (await halo.clients.get(client.id)).key
    if held not in ("", key):
        raise NeedsOperator(
            f"Client {client.id} {client.name!r} bears the key {held!r} by now, not {key!r}.",
            mend=f"if it is the client that is meant, give it the key {key!r} in HaloPSA and retry the run; "
            "otherwise cancel the run and send the event again.",
        )
    if not held:
        await halo.clients.update(client.id, key=key)
    return Ensured(id=client.id)


def client_key(row: Client) -> tuple[str, str]:
    """Return what tells a client of HaloPSA from all others."""
    return row.key, normalised_name(row.name)


def _unknown(wanted: Wanted) -> Undecided:
    return Undecided(what=f"HaloPSA does not have {wanted.client.name!r}, whose deal is not a new one", candidates=[])


async def _certain(halo: Halo, wanted: Wanted, match: Client) -> ClientRef | Undecided:
    """Take the client that a listing shows as the one meant, unless all of its record says otherwise."""
    row, own = await _whole(halo, match), wanted.client.id
    if own and row.key not in ("", own):
        what = f"The client of the name {wanted.client.name!r} bears another key than {own!r}"
        return Undecided(what=what, candidates=[candidate(row, "same name")])
    by_key = bool(own) and row.key == own
    if row.inactive and not (by_key and wanted.policy.onboard_client.inactive_client == "reactivate"):
        what = f"The client {wanted.client.name!r} is inactive in HaloPSA"
        return Undecided(what=what, candidates=[candidate(row)])
    return _reference(row, wanted)


async def _chosen(halo: Halo, wanted: Wanted, client_id: int) -> ClientRef | Undecided:
    try:
        return _reference(await halo.clients.get(client_id), wanted)
    except HaloNotFound:
        return Undecided(what=f"HaloPSA has no client {client_id}", candidates=[])


async def _made_here(halo: Halo, wanted: Wanted, rows: Sequence[Client]) -> ClientRef | None:
    """Find the client that an earlier try of this step has made: the step writes nothing else."""
    own = wanted.client.id
    for like in sorted((row for row in rows if _bears(row, wanted.client)), key=age):
        row = await _whole(halo, like)
        if row.key in ("", own):
            made = {"created": True, "in_doubt": True, "shown": row.key == own}
            return _reference(row, wanted).model_copy(update=made)
    return None


async def _whole(halo: Halo, listed: Client) -> Client:
    """Read all of a client; the key counts wherever it was shown."""
    row = await halo.clients.get(listed.id)
    return row.model_copy(update={"key": row.key or listed.key})


def _reference(row: Client, wanted: Wanted) -> ClientRef:
    own = wanted.client.id
    other = own and row.key not in ("", own)
    return ClientRef(
        id=row.id,
        name=row.name,
        main_site_id=row.main_site_id,
        keyed=bool(row.key) or not own,
        inactive=row.inactive,
        remarks=[f"client {row.id} bears {row.key}; events under {own} will ask again: see parhelion link"]
        if other
        else [],
    )


async def _make(halo: Halo, wanted: Wanted, others: Sequence[Client]) -> ClientRef:
    client, site = wanted.client, wanted.main_site
    fields = ClientFields(halo, client, wanted.policy, wanted.data)
    values = await fields.values(find_place(others, client), others)
    made = await halo.clients.create(
        **values,
        name=client.name,
        key=client.id or None,
        site_name=site.name if site else None,
        site_phone=(site.phone if site else None) or client.phone,
        site_line1=site.line1 if site else None,
        site_line2=site.line2 if site else None,
        site_city=site.city if site else None,
        site_region=site.region if site else None,
        site_postcode=site.postcode if site else None,
        site_country=site.country if site else None,
    )
    return ClientRef(
        id=made.id,
        name=client.name,
        main_site_id=made.main_site_id,
        created=True,
        in_doubt=halo.in_doubt,
        shown=client_key(made) == (client.id, normalised_name(client.name)),
        remarks=fields.remarks,
    )


def _bears(row: Client, client: canonical.Client) -> bool:
    """Whether a client is like the one that this step makes."""
    named = normalised_name(row.name) == normalised_name(client.name)
    return row.key == client.id if row.key else named
