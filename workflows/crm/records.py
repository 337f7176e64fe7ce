"""A CRM's records as they are read, and what every CRM's client can do."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from worker.events import Event
from worker.run import Guard

Wanted = Mapping[str, Sequence[str]]
"""Kind of record → its fields that are to be read, by the CRM's names."""
Fields = Mapping[str, Sequence[str]]
"""Field of canonical events → the CRM's fields that it comes from (``company.domain``); the first that holds something
counts."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        object: its kind in the CRM's own word ("deal", "opportunity").
        id: as text.
        values: its fields by the CRM's names.
        links: kind of record → the ids of those that belong to it.
    """

    object: str
    id: str
    values: Mapping[str, Any]
    links: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a deal stands by the CRM's own word.

    Attributes:
        won: whether it is won now.
        won_before: whether it was won earlier and is not now.
        at: since when it is won, or is not any more, where the CRM says so (UTC).
    """

    won: bool
    won_before: bool = False
    at: datetime | None = None


def lost_again(history: Iterable[tuple[bool, datetime | None]]) -> Outcome:
    """Say of a deal that is not won how it stands.

    Args:
        history: whether it was won, and since when (UTC), the latest first.
    """
    left_at = None
    for won, since in history:
        if won:
            return Outcome(won=False, won_before=True, at=left_at)
        left_at = since
    return Outcome(won=False)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a field.

    Attributes:
        before: what the field held until then; None where that is not known, or was nothing.
        at: when it was (UTC).
    """

    before: Any
    at: datetime | None


def changes_of(history: Sequence[tuple[Any, datetime | None]]) -> list[Change]:
    """Read changes off a history.

    Args:
        history: what a field held, and since when (UTC), the latest first.
    """
    before = [value for value, _ in history[1:]] + [None]
    return [Change(value, at) for (_, at), value in zip(history, before, strict=False)]


@dataclass(frozen=True, slots=True)
class Words:
    """What a CRM calls the kinds of records.

    Attributes:
        pipeline: the deal's field that holds its pipeline.
    """

    deal: str
    client: str
    contact: str = "contact"
    owner: str = "owner"
    line: str = "line_item"
    pipeline: str = "pipeline"


class Labelled(Protocol):
    """What knows the names of choices.

    Attributes:
        words: what it calls the kinds of records.
    """

    words: Words

    async def label(self, record: Record, name: str) -> str:
        """Say what the value of a choice is called; empty where the value is the name itself."""
        ...


class Crm(Labelled, Protocol):
    """A CRM's client.

    Attributes:
        name: the CRM's, for people.
        kinds: the kinds of records that it reads.
        fields: the usual mapping.
    """

    name: str
    kinds: Collection[str]
    fields: Fields

    async def read(self, kind: str, record_id: str, wanted: Wanted) -> Record | None:
        """Read a record; None where it is gone. A merged one comes as the record that it has become."""
        ...

    async def outcome(self, deal: Record, event: Event) -> Outcome:
        """Say how a deal stands.

        Args:
            deal: as read.
            event: what was told of it.
        """
        ...

    async def client_of(self, record: Record, wanted: Wanted) -> Record | None:
        """Read the company that a deal (or another record) is about; None where there is none.

        Raises:
            NeedsOperator: there are several.
        """
        ...

    async def contacts_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Read the deal's contacts, the main one first."""
        ...

    async def owner_of(self, deal: Record) -> Mapping[str, Any]:
        """Read the deal's owner; empty where it has none or he has left."""
        ...

    async def lines_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Read the deal's line items."""
        ...

    def told(self, event: Event, name: str) -> bool:
        """Whether a field may be among those whose change was told."""
        ...

    async def changes(self, record: Record, name: str) -> Sequence[Change]:
        """List the changes of a field, the latest first; none where the CRM does not keep or show them."""
        ...

    async def account(self) -> str:
        """Say whose records they are (a portal, an organisation) as webhooks do; empty where they do not."""
        ...

    def changed_since(self, moment: datetime, kind: str) -> AsyncIterator[tuple[str, datetime]]:
        """Search for records that have changed.

        Args:
            moment: from when on (UTC).
            kind: of records, in the CRM's word.

        Yields:
            Ids and times of the last change.
        """
        ...

    async def note(self, deal_id: str, mark: str, body: str, guard: Guard) -> bool:
        """Write a note on a deal, unless one with the mark is there.

        Args:
            deal_id: the CRM's id of the deal.
            mark: tells the note from all others.
            body: what it says; holds the mark.
            guard: the run.

        Returns:
            Whether it was written now.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


def found_changed(system: str, account: str, kind: str, record_id: str, at: datetime) -> Event:
    """Make the event of a record that a search found, as the system's webhooks make it.

    Args:
        system: the system's word ("hubspot").
        account: whose records they are; empty where the system does not say.
        kind: of record.
        record_id: the record's.
        at: when it was last changed (UTC).
    """
    source = {"system": system} | ({"account": account} if account else {})
    data = {"id": record_id, "change": "changed", "values": {}, "previous": {}, "found": True}
    payload = {"type": f"{system}.{kind}", "timestamp": at.isoformat(), "source": source, "data": data}
    identity = f"{system}:found:{account}:{kind}:{record_id}:{at.isoformat()}"
    return Event(identity, system, f"{system}.{kind}", at, payload)
