"""The look-alikes' state: what they hold, what was asked of them, what goes wrong."""

import copy
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workflows.sandbox.faults import FaultInjector, Faults
from workflows.sandbox.halopsa.api import create_record
from workflows.sandbox.halopsa.clients import create_client
from workflows.sandbox.halopsa.entities import ENTITIES
from workflows.sandbox.halopsa.reference import reference_data
from workflows.sandbox.halopsa.store import Record, Store
from workflows.sandbox.halopsa.tokens import Tokens

OWN_CLIENT, UNKNOWN_CLIENT = 1, 12
_INTERNAL = 2


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

    Attributes:
        requests: how often each request arrived (``"POST /api/Client"``, ``"GET /api/Client/{id}"``).
        store: the records.
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
    ) -> None:
        self._state_file = state_file
        self._clock = clock
        self.requests: Counter[str] = Counter()
        self.tokens = Tokens(client_id, client_secret, clock)
        self.injector = FaultInjector(faults or Faults(), clock)
        self.store = self._kept() or self._fresh()

    @property
    def faults(self) -> Faults:
        """The switches for what goes wrong; one may be assigned to, or all replaced."""
        return self.injector.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.injector.faults = faults

    def state(self) -> dict[str, list[Record]]:
        """A copy of every record by entity, set-up lists included."""
        return copy.deepcopy(self.store.dump())

    def plant(self, entity: str, record: Record) -> Any:
        """Put a record in as if a person had made it in HaloPSA.

        What HaloPSA makes by itself is made (a client's main site and its General User); then every given field holds,
        computed ones (``hasbeenclosed``) and the ``id`` included. The state file gets it with the next `save`.

        Args:
            entity: the entity's name ("Tickets"), or a set-up list's ("Status").
            record: the fields.

        Returns:
            The record's id.

        Raises:
            ValueError: the entity is unknown, or the id is taken.
            Refused: HaloPSA would not have it.
        """
        if entity in self.store.reference:
            self.store.reference[entity].append(record)
            return record["id"]
        kind = next((known for known in ENTITIES if known.name == entity), None)
        if kind is None:
            raise ValueError(f"{entity} is not an entity")
        fields = kind.read(record, 0)
        planted = create_record(self.store, kind, fields)
        self.store[entity].change(planted, {name: fields[name] for name in fields.keys() & kind.computed})
        return planted["id"]

    def reset(self) -> None:
        """Begin anew: no records but a fresh tenant's, no counts, no faults, no tokens."""
        self.requests.clear()
        self.tokens.revoke_all()
        self.injector = FaultInjector(Faults(), self._clock)
        self.store = self._fresh()
        self.save()

    def save(self) -> None:
        """Write the records into the state file, whole or not at all; does nothing without one."""
        if self._state_file is None:
            return
        written = self._state_file.with_suffix(".tmp")
        written.write_text(json.dumps(self.store.dump()))
        written.replace(self._state_file)

    def _kept(self) -> Store | None:
        if self._state_file is None or not self._state_file.exists():
            return None
        store = Store(self._clock, reference_data())
        store.load(json.loads(self._state_file.read_text()))
        return store

    def _fresh(self) -> Store:
        store = Store(self._clock, reference_data())
        create_client(store, {"id": OWN_CLIENT, "name": "Example MSP", "toplevel_id": _INTERNAL})
        create_client(store, {"id": UNKNOWN_CLIENT, "name": "Unknown"})
        return store
