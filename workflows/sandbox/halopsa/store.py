"""The tenant's records: plain dicts in memory, by id and by what they belong to."""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from workflows.sandbox.faults import Faults

Record = dict[str, Any]

MAILS = "mails"
"""The table of the mails that HaloPSA sent: ``to`` (empty where the user has no address), ``reason``, ``ticket_id``."""


class Table:
    """The records of one entity.

    Args:
        first_id: the id of the first record.
        indexed: fields that records are often asked for by.
        step: the distance from one id to the next; negative for the ids of recurring invoices.

    Attributes:
        undo: takes what undoes each change; None while nothing is to be undone.
    """

    def __init__(self, first_id: int, *indexed: str, step: int = 1) -> None:
        self.rows: dict[Any, Record] = {}
        self._next_id = first_id
        self._step = step
        self._index: dict[str, dict[Any, dict[Any, Record]]] = {field: {} for field in indexed}
        self.undo: list[Callable[[], None]] | None = None

    def __contains__(self, record_id: object) -> bool:
        return record_id in self.rows

    def add(self, record: Record) -> Record:
        """Store a new record under its own ``id``, or under the next one.

        Raises:
            ValueError: the id is taken.
        """
        record_id = record.get("id") or self._new_id()
        if record_id in self.rows:
            raise ValueError(f"id {record_id} is taken")
        record = {"id": record_id} | record | {"id": record_id}
        self._put(record)
        self._count_past(record_id)
        self._can_be_undone(partial(self._drop, record))
        return record

    def find(self, text: str) -> Record | None:
        """The record whose id is written so; None if there is none."""
        return self.rows.get(int(text)) if text.removeprefix("-").isdecimal() else None

    def change(self, record: Record, changes: Mapping[str, Any]) -> None:
        """Write `changes` into a stored record."""
        for field, entries in self._index.items():
            if field in changes and changes[field] != record.get(field):
                del entries[record.get(field)][record["id"]]
                entries.setdefault(changes[field], {})[record["id"]] = record
        self._can_be_undone(partial(self._restore, record, dict(record)))
        record.update(changes)

    def remove(self, record: Record) -> None:
        """Forget a stored record."""
        self._drop(record)
        self._can_be_undone(partial(self._put, record))

    def is_indexed(self, field: str) -> bool:
        """Whether `where` finds records by this field without looking at all of them."""
        return field in self._index

    def where(self, field: str, value: object) -> Collection[Record]:
        """The records whose indexed `field` is `value`, oldest first."""
        return self._index[field].get(value, {}).values()

    def _put(self, record: Record) -> None:
        self.rows[record["id"]] = record
        for field, entries in self._index.items():
            entries.setdefault(record.get(field), {})[record["id"]] = record

    def _drop(self, record: Record) -> None:
        del self.rows[record["id"]]
        for field, entries in self._index.items():
            del entries[record.get(field)][record["id"]]

    def _restore(self, record: Record, before: Record) -> None:
        self._drop(record)
        record.clear()
        record.update(before)
        self._put(record)

    def _can_be_undone(self, step: Callable[[], None]) -> None:
        if self.undo is not None:
            self.undo.append(step)

    def _new_id(self) -> Any:
        return self._next_id

    def _count_past(self, record_id: Any) -> None:
        if (record_id - self._next_id) * self._step >= 0:
            self._next_id = record_id + self._step


class GuidTable(Table):
    """The records of an entity whose ids are GUIDs."""

    def find(self, text: str) -> Record | None:
        """The record with this id; None if there is none."""
        return self.rows.get(text.lower())

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._next_id, version=4))

    def _count_past(self, _record_id: Any) -> None:
        while self._new_id() in self.rows:
            self._next_id += self._step


class Store:
    """Everything that one HaloPSA tenant holds.

    Args:
        clock: returns the present time (aware, UTC).
        reference: the set-up lists (statuses, ticket types, agents, …) by entity; taken over, not copied.
        faults: returns the switches.

    Attributes:
        tables: the records that integrations write, by entity.
        reference: the set-up lists.
    """

    def __init__(
        self, clock: Callable[[], datetime], reference: dict[str, list[Record]], faults: Callable[[], Faults]
    ) -> None:
        self.clock = clock
        self.reference = reference
        self._faults = faults
        self.tables = {
            "Client": Table(21),
            "Site": Table(51, "client_id"),
            "Users": Table(101, "client_id", "site_id"),
            "ClientContract": Table(301, "client_id", "site_id"),
            "RecurringInvoice": Table(-1, "client_id", "contract_id", step=-1),
            "Asset": Table(901, "client_id", "site_id"),
            "CRMNote": Table(1501, "client_id"),
            "Tickets": Table(2001, "client_id", "parent_id"),
            "Actions": Table(7001, "ticket_id"),
            "Opportunities": Table(5001, "client_id"),
            "ExternalLink": Table(1, "halo_id"),
            "Webhook": GuidTable(1),
            "WebhookEvent": GuidTable(1001, "webhook_id"),
            "Notification": Table(41, "webhook_id"),
            MAILS: Table(1),
        }

    @property
    def faults(self) -> Faults:
        """The switches, as they are now."""
        return self._faults()

    def __getitem__(self, entity: str) -> Table:
        return self.tables[entity]

    def now(self) -> str:
        """The present time as HaloPSA writes it: UTC without a zone."""
        return self.clock().astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")

    def owner_of(self, record: Record) -> Record | None:
        """The client that a record belongs to, by its ``client_id``, ``site_id`` or ``ticket_id``; None without one."""
        site = self.tables["Site"].rows.get(record.get("site_id", 0), {})
        ticket = self.tables["Tickets"].rows.get(record.get("ticket_id", 0), {})
        client_id = record.get("client_id") or site.get("client_id") or ticket.get("client_id")
        return self.tables["Client"].rows.get(client_id) if client_id else None

    def name_of(self, entity: str, record_id: object) -> str:
        """The name of a record of a table or of a set-up list; empty where there is none."""
        if entity in self.tables:
            record = self.tables[entity].rows.get(record_id) if isinstance(record_id, int) else None
        else:
            record = next((row for row in self.reference[entity] if row["id"] == record_id), None)
        return str(record["name"]) if record else ""

    def mail(self, user_id: object, reason: str, ticket_id: int = 0) -> None:
        """Send a mail to a contact."""
        user = self.tables["Users"].rows.get(user_id, {})
        self.tables[MAILS].add({"to": user.get("emailaddress", ""), "reason": reason, "ticket_id": ticket_id})

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undo every change of the block if it ends with an error."""
        undo: list[Callable[[], None]] = []
        self._note_changes(undo)
        try:
            yield
        except BaseException:
            self._note_changes(None)
            for step in reversed(undo):
                step()
            raise
        finally:
            self._note_changes(None)

    def _note_changes(self, undo: list[Callable[[], None]] | None) -> None:
        for table in self.tables.values():
            table.undo = undo

    def dump(self) -> dict[str, list[Record]]:
        """Every record by entity, set-up lists included; the dicts are the stored ones."""
        return {name: list(table.rows.values()) for name, table in self.tables.items()} | self.reference

    def load(self, dumped: Mapping[str, list[Record]]) -> None:
        """Take in what `dump` gave, into an empty store.

        Raises:
            ValueError: an entity is unknown.
        """
        for entity, records in dumped.items():
            if entity in self.tables:
                for record in records:
                    self.tables[entity].add(record)
            elif entity in self.reference:
                self.reference[entity] = records
            else:
                raise ValueError(f"{entity} is not an entity")
