"""The look-alikes' state: what they hold, what was asked of them, what goes wrong."""

import copy
import json
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from workflows.sandbox.crm import Crms
from workflows.sandbox.faults import Faults
from workflows.sandbox.halopsa.dialects import DIALECTS, DialectName
from workflows.sandbox.halopsa.setup_lists import reference_data
from workflows.sandbox.halopsa.store import Record, Store
from workflows.sandbox.halopsa.tokens import Tokens
from workflows.sandbox.halopsa.writes import create_record
from workflows.sandbox.injector import FaultInjector

OWN_CLIENT, UNKNOWN_CLIENT = 1, 12
_INTERNAL = 2
_KEPT = 5000
_OWN: Record = {"id": OWN_CLIENT, "name": "Example MSP"}
_UNKNOWN: Record = {"id": UNKNOWN_CLIENT, "name": "Unknown"}
_FIRST_CLIENTS = {"v2": (_OWN | {"toplevel_id": _INTERNAL}, _UNKNOWN), "guide": (_OWN, _UNKNOWN)}


class Noted(NamedTuple):
    """One request and its answer's status; None where the answer was lost."""

    request: str
    query: str
    body: str
    status: int | None


def utc_now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)


class Sandbox:
    """A HaloPSA tenant that stands nowhere but here.

    Args:
        state_file: where the records are kept between starts; None keeps them in memory only.
        client_id: of the one API application.
        client_secret: of the one API application.
        faults: what goes wrong from the start.
        clock: returns the present time (aware, UTC).
        dialect: ``v2`` for HaloPSA's own API, ``guide`` for the client-management guide's clients, sites and contacts;
            a state file that exists decides itself.

    Attributes:
        dialect: what the tenant speaks.
        requests: how often each request arrived (``"POST /api/Client"``, ``"GET /api/Client/{id}"``).
        answers: how often each status was answered (``"429"``); ``"lost"`` for answers that never came.
        log: the latest requests, oldest first.
        store: the records.
        crms: the CRMs beside HaloPSA; the state file does not keep them.
        tokens: the granted access tokens.
        injector: decides what goes wrong, and counts it.

    Raises:
        ValueError: the state file cannot be read.
    """

    def __init__(
        self,
        state_file: Path | None = None,
        client_id: str = "parhelion",
        client_secret: str = "sandbox-secret",  # noqa: S107 - opens nothing but the sandbox
        faults: Faults | None = None,
        clock: Callable[[], datetime] = utc_now,
        *,
        dialect: DialectName = "v2",
    ) -> None:
        self._state_file = state_file
        self.crms = Crms()
        self._clock = clock
        self.requests: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.log: deque[Noted] = deque(maxlen=_KEPT)
        self.injector = FaultInjector(faults or Faults(), clock)
        self.tokens = Tokens(client_id, client_secret, clock, self._switches)
        self.dialect = dialect
        self.store = self._kept() or self._fresh()

    @property
    def faults(self) -> Faults:
        """The switches for what goes wrong; one may be assigned to, or all replaced."""
        return self.injector.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.injector.faults = faults

    def note(self, request: str, query: bytes, body: bytes, status: int | None) -> None:
        """Keep and count what was asked and answered.

        Args:
            request: method and path, as they came.
            query: the query string.
            body: the request's.
            status: the answer's; None if the answer was lost.
        """
        self.answers[str(status or "lost")] += 1
        self.log.append(Noted(request, query.decode(), body.decode(errors="replace"), status))

    def state(self) -> dict[str, list[Record]]:
        """A copy of every record by entity, set-up lists included."""
        return copy.deepcopy(self.store.dump())

    def plant(self, entity: str, record: Record) -> Any:
        """Put a record in as if a person had made it in HaloPSA.

        What HaloPSA makes by itself is made (a client's main site and its General User); then every given field holds,
        computed ones (``hasbeenclosed``) and the ``id`` included. A row of a set-up list replaces the one with its id.
        The state file gets it with the next `save`.

        Args:
            entity: the entity's name ("Tickets"), a set-up list's ("Status"), or a CRM's table ("hubspot.deals").
            record: the fields.

        Returns:
            The record's id.

        Raises:
            ValueError: the entity is unknown, or the id is taken.
            Refused: HaloPSA would not have it.
        """
        if "." in entity:
            return self.crms.plant(entity, record)
        if entity in self.store.reference:
            others = [row for row in self.store.reference[entity] if row["id"] != record["id"]]
            self.store.reference[entity] = [*others, record]
            return record["id"]
        kind = DIALECTS[self.dialect].get(entity)
        if kind is None:
            raise ValueError(f"{entity} is not an entity")
        fields = kind.read(record, 0)
        planted = create_record(self.store, kind, fields)
        self.store[entity].change(planted, {name: fields[name] for name in fields.keys() & kind.computed})
        return planted["id"]

    def reset(self, dialect: DialectName | None = None) -> None:
        """Begin anew: no records but a fresh tenant's, no counts, no faults, no tokens.

        Args:
            dialect: what the tenant speaks from now on; None for the same as before.
        """
        self.dialect = dialect or self.dialect
        self.requests.clear()
        self.answers.clear()
        self.log.clear()
        self.tokens.revoke_all()
        self.crms = Crms()
        self.injector = FaultInjector(Faults(), self._clock)
        self.store = self._fresh()
        self.save()

    def save(self) -> None:
        """Write the records into the state file, whole or not at all; does nothing without one."""
        if self._state_file is None:
            return
        written = self._state_file.with_suffix(".tmp")
        written.write_text(json.dumps({"dialect": self.dialect} | self.store.dump()))
        written.replace(self._state_file)

    def _switches(self) -> Faults:
        return self.faults

    def _kept(self) -> Store | None:
        if self._state_file is None or not self._state_file.exists():
            return None
        kept = json.loads(self._state_file.read_text())
        self.dialect = kept.pop("dialect", "v2")
        if self.dialect not in DIALECTS:
            raise ValueError(f"{self.dialect} is not a dialect")
        store = Store(self._clock, reference_data(), self._switches)
        store.load(kept)
        return store

    def _fresh(self) -> Store:
        store = Store(self._clock, reference_data(), self._switches)
        for client in _FIRST_CLIENTS[self.dialect]:
            create_record(store, DIALECTS[self.dialect]["Client"], dict(client))
        return store
