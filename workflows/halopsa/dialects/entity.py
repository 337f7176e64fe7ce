"""How one kind of record is called on the wire, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, Generic

from workflows.halopsa.dialects.keys import Key, custom_field
from workflows.halopsa.models import (
    Action,
    Agent,
    Asset,
    Choice,
    Client,
    Contact,
    Contract,
    ExternalLink,
    Note,
    R,
    RecurringInvoice,
    Site,
    Ticket,
    Webhook,
    WebhookEvent,
)
from workflows.halopsa.setup_models import Currency, CustomField, LookupValue, Priority, TicketType

AS_NAMED: Final = "as_named"
"""The name under which values are given that bear HaloPSA's names."""


@dataclass(frozen=True, slots=True)
class Entity(Generic[R]):
    """How one kind of record is read and written.

    Attributes:
        record: what a row becomes.
        path: below ``/api``.
        fields: our name → HaloPSA's name; None where the API has no such field, so that it is left out. A dot leads
            into a nested object.
        list_key: where a listing holds its rows; empty for one that is a bare array.
        always: sent with every write.
        listing: query names sent with every listing.
        page_size: rows to ask for at once; None where HaloPSA knows no pages.
        reference: administrators change it rarely, so listings are remembered for a while.
        key: where the CRM's key stands, of clients.
    """

    record: type[R]
    path: str
    fields: Mapping[str, str | None]
    list_key: str = ""
    always: Mapping[str, Any] = field(default_factory=dict)
    listing: Mapping[str, str] = field(default_factory=dict)
    page_size: int | None = None
    reference: bool = False
    key: Key | None = None

    def has(self, name: str) -> bool:
        """Whether the API has a field for one of our names."""
        return self.fields.get(name) is not None

    def read(self, row: Mapping[str, Any]) -> R:
        """Read one row.

        Raises:
            pydantic.ValidationError: the row has no id.
        """
        names = ((ours, self.fields.get(ours)) for ours in self.record.model_fields)
        values = {"id": row.get("id")} | {ours: _at(row, theirs) for ours, theirs in names if theirs}
        return self.record.model_validate(values | self.key.read(row) if self.key else values)

    def write(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn our names and values into a body for HaloPSA; None means "leave it as it is".

        What stands under `AS_NAMED` bears HaloPSA's names already.

        Raises:
            KeyError: a name that this kind of record does not have.
        """
        body: dict[str, Any] = {**self.always, **values.get(AS_NAMED, {})}
        for ours, value in values.items():
            if ours == AS_NAMED:
                continue
            theirs = self.fields[ours]
            if theirs is not None and value is not None:
                _put(body, theirs, _wire(value))
        if self.key and values.get("key") is not None:
            self.key.write(body, values["key"])
        return body


@dataclass(frozen=True, slots=True)
class Dialect:
    """Every kind of record that the workflows use, by the names of one HaloPSA API."""

    clients: Entity[Client]
    sites: Entity[Site]
    contacts: Entity[Contact]
    contracts: Entity[Contract]
    tickets: Entity[Ticket]
    opportunities: Entity[Ticket]
    actions: Entity[Action]
    assets: Entity[Asset]
    recurring_invoices: Entity[RecurringInvoice]
    notes: Entity[Note]
    external_links: Entity[ExternalLink]
    webhooks: Entity[Webhook]
    webhook_events: Entity[WebhookEvent]
    agents: Entity[Agent]
    signed_in: Entity[Agent]
    teams: Entity[Choice]
    statuses: Entity[Choice]
    ticket_types: Entity[TicketType]
    outcomes: Entity[Choice]
    slas: Entity[Choice]
    priorities: Entity[Priority]
    lookups: Entity[LookupValue]
    currencies: Entity[Currency]
    asset_types: Entity[Choice]
    top_levels: Entity[Choice]
    custom_fields: Entity[CustomField]


def same(*names: str) -> dict[str, str | None]:
    """Map names that are HaloPSA's and ours alike."""
    return {name: name for name in names}


def absent(*names: str) -> dict[str, str | None]:
    """Map names for which the API has no field."""
    return dict.fromkeys(names)


def _at(row: Mapping[str, Any], path: str) -> Any:
    place: Any = row
    for name in path.split("."):
        place = place.get(name) if isinstance(place, Mapping) else None
    return place


def _put(body: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    place = body
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value


def _wire(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case date():
            return f"{value.isoformat()}T00:00:00"
        case Mapping():
            return [custom_field(name, held) for name, held in value.items()]
        case _:
            return value
