"""The client-management guide's names for clients, sites and contacts; everything else is HaloPSA's own API."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from workflows.halopsa.dialects.entity import Dialect, Entity, absent, same
from workflows.halopsa.dialects.keys import Key, NotesKey
from workflows.halopsa.dialects.v2 import BOTH, V2
from workflows.halopsa.models import Client, Contact, Site

LINES: Final = {"line1": "line1", "line2": "line2", "region": "line3", "city": "line4"}
"""Which part of an address stands on which line."""

CLIENT_FIELDS: Final = (
    same("name", "notes", "inactive", "website", "colour", "main_site_id")
    | absent("key", "accounts_email", "group_id", "type_id", "relationships", "currency_id", "vip", "stopped")
    | absent("open_tickets", "custom_fields", "site_name", "site_phone", "site_line1", "site_line2", "site_city")
    | absent("site_region", "site_postcode", "site_country")
    | {
        "email": "emailaddress",
        "phone": "phonenumber",
        "parent_id": "toplevel_id",
        "invoice_to": "client_to_invoice",
        "account_manager_id": "accountmanager_id",
        "payment_terms_days": "payment_terms",
        "currency": "currency_code",
        "tax_number": "taxcode",
    }
)
SITE_FIELDS: Final = (
    same("name", "client_id", "inactive", "postcode", "country")
    | absent("country_code", "region_code", "notes", "custom_fields")
    | {"phone": "phonenumber", "main": "main_site"}
)
CONTACT_FIELDS: Final = (
    same("name", "client_id", "site_id", "inactive")
    | absent("main", "portal_access", "send_welcome", "notes", "custom_fields")
    | {
        "first_name": "firstname",
        "last_name": "surname",
        "email": "emailaddress",
        "phone": "phonenumber",
        "mobile": "mobilenumber",
        "job_title": "jobtitle",
        "vip": "isimportantcontact",
    }
)


def guide(_key: Key | None = None, lines: Mapping[str, str] | None = None) -> Dialect:
    """Make the guide's dialect for one tenant.

    Args:
        _key: without effect: the guide's clients have no other place for the CRM's key than their notes.
        lines: the part of an address (line1, line2, city, region) → the line on which it stands.
    """
    key = NotesKey()
    listing = {**BOTH, **key.listing}
    clients = Entity(Client, "/Client", CLIENT_FIELDS, list_key="clients", listing=listing, page_size=500, key=key)
    address = absent("line1", "line2", "city", "region") | dict(LINES if lines is None else lines)
    sites = Entity(Site, "/Site", SITE_FIELDS | address, list_key="sites", listing=BOTH, page_size=500)
    contacts = Entity(Contact, "/Users", CONTACT_FIELDS, list_key="users", listing=BOTH, page_size=500)
    return replace(V2, clients=clients, sites=sites, contacts=contacts)


GUIDE: Final = guide()
