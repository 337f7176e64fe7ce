"""The names of Halo's own API, version 2."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from workflows.halopsa.dialects.entity import Dialect, Entity, absent, same
from workflows.halopsa.dialects.keys import FieldKey, Key
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
    RecurringInvoice,
    Site,
    Ticket,
    Webhook,
    WebhookEvent,
)
from workflows.halopsa.setup_models import Currency, CustomField, LookupValue, Priority, TicketType

LINES: Final = {"line1": "line1", "line2": "line2", "city": "line3", "region": "line4"}
"""Which part of an address stands on which line; a convention, as HaloPSA names the lines by numbers only."""
BOTH: Final = {"includeactive": "true", "includeinactive": "true"}

CLIENT_FIELDS: Final = (
    same("name", "notes", "inactive", "website", "colour", "main_site_id", "stopped", "tax_number")
    | absent("key", "email", "phone", "parent_id", "currency")
    | {
        "accounts_email": "accountsemailaddress",
        "group_id": "toplevel_id",
        "type_id": "customertype",
        "relationships": "customer_relationship",
        "invoice_to": "client_to_invoice",
        "account_manager_id": "accountmanagertech",
        "payment_terms_days": "paymentterms",
        "currency_id": "default_currency_code",
        "vip": "is_vip",
        "open_tickets": "open_ticket_count",
        "custom_fields": "customfields",
        "site_name": "newclient_sitename",
        "site_phone": "newclient_phonenumber",
        "site_postcode": "newclient_delivery_address.postcode",
    }
)
SITE_FIELDS: Final = same("name", "client_id", "inactive", "notes", "country_code", "region_code") | {
    "phone": "phonenumber",
    "main": "isinvoicesite",
    "postcode": "delivery_address.postcode",
    "custom_fields": "customfields",
}
CONTACT_FIELDS: Final = same("name", "client_id", "site_id", "inactive", "notes") | {
    "first_name": "firstname",
    "last_name": "surname",
    "email": "emailaddress",
    "phone": "phonenumber",
    "mobile": "mobilenumber",
    "job_title": "title",
    "vip": "isimportantcontact",
    "main": "ismaincontact",
    "portal_access": "web_access_level",
    "send_welcome": "sendwelcomeemail",
    "custom_fields": "customfields",
}
CONTRACT_FIELDS: Final = same("ref", "client_id", "site_id", "note", "active", "expired", "sla_id") | {
    "ref_extra": "refextra",
    "start": "start_date",
    "end": "end_date",
    "rolling": "rollingcontract",
    "term_months": "termmonths",
    "type_id": "contracttype",
    "type_name": "contracttype_name",
    "billing_period_id": "billingperiod",
    "period_charge": "periodchargeamount",
    "pdf_template_id": "pdftemplate_id",
    "billing_plans": "billingplans",
    "previous_id": "previouscontract",
    "prepaid": "contract_prepaybalance",
    "custom_fields": "customfields",
    "warning": "_warning",
}
TICKET_FIELDS: Final = same(
    "summary", "details", "client_id", "site_id", "user_id", "status_id", "agent_id", "team", "parent_id", "contract_id"
) | {
    "type_id": "tickettype_id",
    "priority_id": "priority_id",
    "sla_id": "sla_id",
    "category_1": "category_1",
    "category_2": "category_2",
    "children": "child_count",
    "closed": "hasbeenclosed",
    "closure_note": "closure_note",
    "opened_at": "dateoccurred",
    "closed_at": "dateclosed",
    "updated_at": "last_update",
    "approval_status": "approval_status",
    "company_name": "oppcompanyname",
    "contact_name": "oppcontactname",
    "contact_email": "oppemailaddress",
    "value": "oppvalue",
    "custom_fields": "customfields",
    "skip_rules": "dont_do_rules",
}
ACTION_FIELDS: Final = same("ticket_id", "note", "outcome_id") | {
    "hidden": "hiddenfromuser",
    "send_email": "sendemail",
    "skip_rules": "dont_do_rules",
}
ASSET_FIELDS: Final = same("client_id", "site_id", "status_id", "contract_id", "inactive", "notes") | {
    "tag": "inventory_number",
    "type_id": "assettype_id",
}
INVOICE_FIELDS: Final = same("client_id", "contract_id", "contract_ref", "disabled") | {
    "start": "startdate",
    "end": "enddate",
    "next_on": "nextcreationdate",
}
AGENT_FIELDS: Final = same("name", "email", "team") | {"disabled": "isdisabled", "is_api": "isapiagent"}
LINK_FIELDS: Final = same("table_id", "module_id", "third_party_id") | {
    "record_id": "halo_id",
    "third_party_name": "third_party_desc",
}
WEBHOOK_EVENT_FIELDS: Final = same("webhook_id", "status", "entity_id") | {"at": "timestamp", "body": "requestbody"}
TICKET_TYPE_FIELDS: Final = same("name", "approval_process_id", "fields") | {
    "initial_status_id": "initial_status",
    "mandatory_fields": "hasmandatorytechfields",
    "children_first": "mustclosechildbeforeclosurebool",
    "allowed_status_ids": "allowed_status",
}
PRIORITY_FIELDS: Final = same("name") | {"id": "priorityid", "sla_id": "slaid", "hidden": "ishidden"}


def _clients(key: Key, lines: Mapping[str, str] = LINES) -> Entity[Client]:
    return Entity(
        Client,
        "/Client",
        CLIENT_FIELDS | _address("site_", "newclient_delivery_address", lines),
        list_key="clients",
        always={"isclientdetails": True},
        listing={**BOTH, **key.listing},
        page_size=500,
        key=key,
    )


def _sites(lines: Mapping[str, str]) -> Entity[Site]:
    return Entity(
        Site,
        "/Site",
        SITE_FIELDS | _address("", "delivery_address", lines),
        list_key="sites",
        always={"issitedetails": True},
        listing=BOTH,
        page_size=500,
    )


def _tickets(path: str) -> Entity[Ticket]:
    listing = {"open_only": "true"}
    return Entity(Ticket, path, TICKET_FIELDS, list_key="tickets", listing=listing, page_size=100)


def _choices(path: str, **listing: str) -> Entity[Choice]:
    return Entity(Choice, path, same("name"), listing=listing, reference=True)


def _address(prefix: str, place: str, lines: Mapping[str, str]) -> dict[str, str | None]:
    """Map the parts of an address to the lines of a nested one; parts without a line are left out."""
    parts = absent(*(f"{prefix}{part}" for part in ("line1", "line2", "city", "region", "country")))
    return parts | {f"{prefix}{part}": f"{place}.{line}" for part, line in lines.items()}


V2: Final = Dialect(
    clients=_clients(FieldKey("ref")),
    sites=_sites(LINES),
    contacts=Entity(
        Contact,
        "/Users",
        CONTACT_FIELDS,
        list_key="users",
        listing=BOTH | {"exclude_generaluser": "true"},
        page_size=500,
    ),
    contracts=Entity(
        Contract,
        "/ClientContract",
        CONTRACT_FIELDS,
        list_key="contracts",
        listing={"includeinactive": "true"},
        page_size=500,
    ),
    tickets=_tickets("/Tickets"),
    opportunities=_tickets("/Opportunities"),
    actions=Entity(Action, "/Actions", ACTION_FIELDS, list_key="actions", listing={"count": "1000"}),
    assets=Entity(
        Asset,
        "/Asset",
        ASSET_FIELDS,
        list_key="assets",
        always={"isassetdetails": True, "_dontaddnewfields": True},
        listing=BOTH,
        page_size=500,
    ),
    recurring_invoices=Entity(
        RecurringInvoice,
        "/RecurringInvoice",
        INVOICE_FIELDS,
        list_key="invoices",
        listing={"rinvoice_type": "both"},
        page_size=100,
    ),
    notes=Entity(Note, "/CRMNote", same("client_id") | {"text": "note", "at": "datetime"}, listing={"count": "1000"}),
    external_links=Entity(ExternalLink, "/ExternalLink", LINK_FIELDS, page_size=100),
    webhooks=Entity(
        Webhook, "/Webhook", same("name", "url", "active", "disabled", "last_status"), listing={"type": "0"}
    ),
    webhook_events=Entity(WebhookEvent, "/WebhookEvent", WEBHOOK_EVENT_FIELDS, page_size=100),
    agents=Entity(Agent, "/Agent", AGENT_FIELDS, reference=True),
    signed_in=Entity(Agent, "/Agent/me", AGENT_FIELDS, reference=True),
    teams=_choices("/Team"),
    statuses=_choices("/Status", type="ticket"),
    ticket_types=Entity(TicketType, "/TicketType", TICKET_TYPE_FIELDS, reference=True),
    outcomes=Entity(Choice, "/Outcome", {"name": "outcome"}, reference=True),
    slas=_choices("/SLA"),
    priorities=Entity(Priority, "/Priority", PRIORITY_FIELDS, reference=True),
    lookups=Entity(LookupValue, "/Lookup", same("name") | {"lookup_id": "lookupid"}, reference=True),
    currencies=Entity(Currency, "/Currency", same("name", "code"), reference=True),
    asset_types=_choices("/AssetType"),
    top_levels=Entity(Choice, "/TopLevel", same("name"), list_key="toplevels", reference=True),
    custom_fields=Entity(CustomField, "/FieldInfo", same("name", "label"), reference=True),
)
"""Halo's own API as most tenants use it."""


def v2(key: Key | None = None, lines: Mapping[str, str] | None = None) -> Dialect:
    """Make the dialect of Halo's own API for one tenant.

    Args:
        key: where clients bear the CRM's key; by default their reference field.
        lines: the part of an address (line1, line2, city, region, country) → the line on which it stands.
    """
    lines = LINES if lines is None else lines
    return replace(V2, clients=_clients(key or FieldKey("ref"), lines), sites=_sites(lines))
