"""HaloPSA's paths and names as data: what a record is called on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Generic

from workflows.halopsa.models import (
    Action,
    Agent,
    Asset,
    Choice,
    Client,
    Contact,
    Contract,
    Note,
    R,
    RecurringInvoice,
    Site,
    Ticket,
)

UNASSIGNED_AGENT_ID = 1
"""HaloPSA's built-in agent "Unassigned"."""


@dataclass(frozen=True, slots=True)
class Entity(Generic[R]):
    """How one kind of record is read and written.

    Attributes:
        record: what a row becomes.
        path: below ``/api``.
        fields: our name → HaloPSA's name; a dot leads into a nested object, in what is written only.
        list_key: where a listing holds its rows; empty for one that is a bare array.
        always: sent with every write.
        listing: query names sent with every listing.
        page_size: rows to ask for at once; None where HaloPSA knows no pages.
        reference: administrators change it rarely, so listings are remembered for a while.
    """

    record: type[R]
    path: str
    fields: Mapping[str, str]
    list_key: str = ""
    always: Mapping[str, Any] = field(default_factory=dict)
    listing: Mapping[str, str] = field(default_factory=dict)
    page_size: int | None = None
    reference: bool = False

    def read(self, row: Mapping[str, Any]) -> R:
        """Read one row.

        Raises:
            pydantic.ValidationError: the row has no id, or a field holds something quite different.
        """
        named = {ours: row.get(self.fields[ours]) for ours in self.record.model_fields if ours in self.fields}
        return self.record.model_validate({"id": row.get("id"), **named})

    def write(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn our names and values into a body for HaloPSA; None means "leave it as it is".

        Raises:
            KeyError: a name that this kind of record does not have.
        """
        body: dict[str, Any] = dict(self.always)
        for ours, value in values.items():
            *parents, last = self.fields[ours].split(".")
            if value is not None:
                place = body
                for parent in parents:
                    place = place.setdefault(parent, {})
                place[last] = _wire(value)
        return body


@dataclass(frozen=True, slots=True)
class Dialect:
    """Every kind of record that the workflows use, by the names of one HaloPSA API."""

    clients: Entity[Client]
    sites: Entity[Site]
    contacts: Entity[Contact]
    contracts: Entity[Contract]
    tickets: Entity[Ticket]
    actions: Entity[Action]
    assets: Entity[Asset]
    recurring_invoices: Entity[RecurringInvoice]
    notes: Entity[Note]
    agents: Entity[Agent]
    signed_in: Entity[Agent]
    statuses: Entity[Choice]
    countries: Entity[Choice]
    asset_types: Entity[Choice]


def _wire(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case date():
            return f"{value.isoformat()}T00:00:00"
        case _:
            return value


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


BOTH = {"includeactive": "true", "includeinactive": "true"}
AGENT_FIELDS = _same("name", "email") | {"disabled": "isdisabled"}

V2 = Dialect(
    clients=Entity(
        Client,
        "/Client",
        _same("name", "ref", "inactive", "toplevel_id", "main_site_id", "website", "notes")
        | {
            "accounts_email": "accountsemailaddress",
            "account_manager_id": "accountmanagertech",
            "site_name": "newclient_sitename",
            "site_phone": "newclient_phonenumber",
            "site_line1": "newclient_delivery_address.line1",
            "site_line2": "newclient_delivery_address.line2",
            "site_city": "newclient_delivery_address.line3",
            "site_region": "newclient_delivery_address.line4",
            "site_postcode": "newclient_delivery_address.postcode",
        },
        list_key="clients",
        always={"isclientdetails": True},
        listing=BOTH,
        page_size=500,
    ),
    sites=Entity(
        Site,
        "/Site",
        _same("name", "client_id", "inactive", "country_code")
        | {
            "phone": "phonenumber",
            "line1": "delivery_address.line1",
            "line2": "delivery_address.line2",
            "city": "delivery_address.line3",
            "region": "delivery_address.line4",
            "postcode": "delivery_address.postcode",
        },
        list_key="sites",
        always={"issitedetails": True},
        listing=BOTH,
        page_size=500,
    ),
    contacts=Entity(
        Contact,
        "/Users",
        _same("name", "client_id", "site_id", "inactive")
        | {
            "email": "emailaddress",
            "first_name": "firstname",
            "last_name": "surname",
            "phone": "phonenumber",
            "mobile": "mobilenumber",
            "job_title": "title",
            "vip": "isimportantcontact",
            "main": "ismaincontact",
        },
        list_key="users",
        listing=BOTH | {"exclude_generaluser": "true"},
        page_size=500,
    ),
    contracts=Entity(
        Contract,
        "/ClientContract",
        _same("ref", "client_id", "site_id", "note", "active", "expired")
        | {"start": "start_date", "end": "end_date", "rolling": "rollingcontract", "term_months": "termmonths"},
        list_key="contracts",
        listing={"includeinactive": "true"},
        page_size=500,
    ),
    tickets=Entity(
        Ticket,
        "/Tickets",
        _same("client_id", "status_id", "agent_id", "parent_id")
        | {"type_id": "tickettype_id", "closed": "hasbeenclosed", "skip_rules": "dont_do_rules"},
        list_key="tickets",
        listing={"open_only": "true"},
        page_size=100,
    ),
    actions=Entity(
        Action,
        "/Actions",
        _same("ticket_id", "note", "outcome_id")
        | {"hidden": "hiddenfromuser", "send_email": "sendemail", "skip_rules": "dont_do_rules"},
        list_key="actions",
        listing={"count": "1000"},
    ),
    assets=Entity(
        Asset,
        "/Asset",
        _same("client_id", "site_id", "inactive", "notes") | {"tag": "inventory_number", "type_id": "assettype_id"},
        list_key="assets",
        always={"isassetdetails": True, "_dontaddnewfields": True},
        listing=BOTH,
        page_size=500,
    ),
    recurring_invoices=Entity(
        RecurringInvoice,
        "/RecurringInvoice",
        _same("client_id", "contract_ref", "disabled") | {"next_on": "nextcreationdate"},
        list_key="invoices",
        listing={"rinvoice_type": "both"},
        page_size=100,
    ),
    notes=Entity(Note, "/CRMNote", _same("client_id") | {"text": "note", "at": "datetime"}, listing={"count": "1000"}),
    agents=Entity(Agent, "/Agent", AGENT_FIELDS, reference=True),
    signed_in=Entity(Agent, "/Agent/me", AGENT_FIELDS, reference=True),
    statuses=Entity(Choice, "/Status", _same("name"), listing={"type": "ticket"}, reference=True),
    countries=Entity(Choice, "/Lookup", _same("name"), listing={"lookupid": "74"}, reference=True),
    asset_types=Entity(Choice, "/AssetType", _same("name"), reference=True),
)
"""Halo's own API, version 2."""
