"""Clients, their sites and their users (contacts), and what HaloPSA makes of itself when one is created."""

from typing import Any

from workflows.sandbox.answers import Refused, require
from workflows.sandbox.halopsa.fields import ADDRESS_LINES, FIELDS, read_address, read_fields
from workflows.sandbox.halopsa.reference import GENERAL_USER
from workflows.sandbox.halopsa.store import Record, Store

NAME_IS_REQUIRED = "Name is required"
CLIENTS_TABLE = 2
_CUSTOMERS = 1

_CLIENT_DEFAULTS: dict[str, Any] = {
    "toplevel_id": _CUSTOMERS,
    "inactive": False,
    "colour": "#2bd3c6",
    "website": "",
    "notes": "",
    "ref": "",
    "stopped": 0,
    "customertype": 0,
    "client_to_invoice": 0,
    "accountmanagertech": 0,
    "accountsemailaddress": "",
    "paymentterms": 0,
    "default_currency_code": 0,
    "tax_number": "",
    "is_account": True,
    "is_vip": False,
    "customer_relationship": [],
    "customfields": [],
}
_SITE_DEFAULTS: dict[str, Any] = {
    "inactive": False,
    "phonenumber": "",
    "timezone": "",
    "notes": "",
    "ref": "",
    "country_code": "",
    "region_code": 0,
    "emaildomain": "",
    "maincontact_id": 0,
    "isinvoicesite": False,
    "customfields": [],
}
_USER_DEFAULTS: dict[str, Any] = {
    "firstname": "",
    "surname": "",
    "emailaddress": "",
    "phonenumber": "",
    "mobilenumber": "",
    "title": "",
    "inactive": False,
    "isimportantcontact": False,
    "ismaincontact": False,
    "web_access_level": 0,
    "neversendemails": False,
    "customfields": [],
}
_ONLY_IN_SINGLE_READS_OF_USERS = ("web_access_level", "ismaincontact")


def create_client(store: Store, sent: Record) -> Record:
    """Create a client with its main site, that site's General User and, where one is named, a first contact.

    Raises:
        Refused: it has no name.
    """
    require(sent.get("name"), NAME_IS_REQUIRED)
    client = store["Client"].add(_CLIENT_DEFAULTS | _own(sent) | _toplevel(store, sent) | {"datecreated": store.now()})
    site = create_site(store, {"client_id": client["id"], "isinvoicesite": True} | _first_site(sent))
    if sent.get("newclient_contactname"):
        contact = create_user(store, {"site_id": site["id"]} | _first_contact(sent))
        store["Site"].change(site, {"maincontact_id": contact["id"]})
    _link(store, client, sent)
    return client


def update_client(store: Store, client: Record, sent: Record) -> None:
    """Change the sent fields of a client; its sites and users stay as they are, also when it becomes inactive.

    Raises:
        Refused: the name would be empty.
    """
    require(sent.get("name", client["name"]), NAME_IS_REQUIRED)
    store["Client"].change(client, _own(sent) | _toplevel(store, sent))
    _link(store, client, sent)


def show_client(store: Store, client: Record) -> Record:
    """A client as a single read shows it."""
    return client | {
        "toplevel_name": store.name_of("TopLevel", client["toplevel_id"]),
        "main_site_name": store.name_of("Site", client["main_site_id"]),
        "accountmanagertech_name": store.name_of("Agent", client["accountmanagertech"]),
        "client_to_invoice_name": store.name_of("Client", client["client_to_invoice"]),
        "open_ticket_count": sum(
            not ticket["hasbeenclosed"] for ticket in store["Tickets"].where("client_id", client["id"])
        ),
        "use": "client",
        "key": client["id"],
    }


def client_row(client: Record) -> Record:
    """A shown client as lists hold it: without the time of its last change."""
    return {name: value for name, value in client.items() if name != "alastupdate"}


def create_site(store: Store, sent: Record) -> Record:
    """Create a site with its General User; the first site of a client becomes its main site.

    Raises:
        Refused: it has no name, or no client.
    """
    require(sent.get("name"), NAME_IS_REQUIRED)
    require(sent.get("client_id") in store["Client"], "Please select a valid Client")
    addresses = {"delivery_address": read_address({}), "invoice_address": read_address({})} | _addresses(sent)
    main = sent.get("isinvoicesite") or not store["Site"].where("client_id", sent["client_id"])
    site = store["Site"].add(
        _SITE_DEFAULTS | sent | addresses | {"client_id": int(sent["client_id"]), "datecreated": store.now()}
    )
    if main:
        _make_main(store, site)
    create_user(store, {"name": GENERAL_USER, "site_id": site["id"]})
    return site


def update_site(store: Store, site: Record, sent: Record) -> None:
    """Change the sent fields of a site; a sent address replaces the whole of the old one.

    Raises:
        Refused: the name would be empty, or the new client is none.
    """
    require(sent.get("name", site["name"]), NAME_IS_REQUIRED)
    require(sent.get("client_id", site["client_id"]) in store["Client"], "Please select a valid Client")
    moved = {"client_id": int(sent["client_id"])} if "client_id" in sent else {}
    store["Site"].change(site, sent | _addresses(sent) | moved)
    if sent.get("isinvoicesite"):
        _make_main(store, site)


def show_site(store: Store, site: Record) -> Record:
    """A site as a single read shows it."""
    client_name = store.name_of("Client", site["client_id"])
    return site | {
        "client_name": client_name,
        "clientsite_name": f"{client_name}/{site['name']}",
        "maincontact_name": store.name_of("Users", site["maincontact_id"]),
    }


def site_row(site: Record) -> Record:
    """A shown site as lists hold it: the delivery address in flat names, its fifth line the postcode."""
    address = site["delivery_address"]
    flat = {f"delivery_address_line{n}": address[line] for n, line in enumerate(ADDRESS_LINES, 1)}
    nested = ("delivery_address", "invoice_address")
    return {name: value for name, value in site.items() if name not in nested} | flat


def create_user(store: Store, sent: Record) -> Record:
    """Create a contact at a site; its client is the site's. Nobody looks whether the e-mail address is taken.

    Raises:
        Refused: it has no name, or no site.
    """
    require(sent.get("name"), NAME_IS_REQUIRED)
    first, _, last = str(sent["name"]).partition(" ")
    names = {"firstname": first, "surname": last}
    user = store["Users"].add(
        _USER_DEFAULTS | names | sent | _at_site(store, sent.get("site_id", 0)) | {"datecreated": store.now()}
    )
    _welcome(store, user, sent)
    return user


def update_user(store: Store, user: Record, sent: Record) -> None:
    """Change the sent fields of a contact; another site means another client too.

    Raises:
        Refused: the name would be empty, or the new site is none.
    """
    require(sent.get("name", user["name"]), NAME_IS_REQUIRED)
    store["Users"].change(user, sent | _at_site(store, sent.get("site_id", user["site_id"])))
    _welcome(store, user, sent)


def show_user(store: Store, user: Record) -> Record:
    """A contact as a single read shows it."""
    return user | {
        "site_id_int": user["site_id"],
        "site_name": store.name_of("Site", user["site_id"]),
        "client_name": store.name_of("Client", user["client_id"]),
        "use": "user",
        "key": user["id"],
    }


def user_row(user: Record) -> Record:
    """A shown contact as lists hold it: neither its access to the portal nor whether it is its site's main one."""
    return {name: value for name, value in user.items() if name not in _ONLY_IN_SINGLE_READS_OF_USERS}


def is_named_user(user: Record) -> bool:
    """Whether a contact is a person and not a site's General User."""
    return bool(user["name"] != GENERAL_USER)


def _own(sent: Record) -> Record:
    return {name: sent[name] for name in sent if not name.startswith(("newclient_", "new_external_link"))}


def _link(store: Store, client: Record, sent: Record) -> None:
    if "new_external_link" in sent:
        link = read_fields(FIELDS["ExternalLink"], sent["new_external_link"], 0)
        made = {"id": 0, "halo_id": client["id"], "halo_desc": client["name"]}
        store["ExternalLink"].add({"table_id": CLIENTS_TABLE, "third_party_id": ""} | link | made)


def _toplevel(store: Store, sent: Record) -> Record:
    wanted = sent.get("toplevel_name")
    found = [row["id"] for row in store.reference["TopLevel"] if row["name"] == wanted]
    return {"toplevel_id": found[0]} if found and "toplevel_id" not in sent else {}


def _first_site(sent: Record) -> Record:
    renamed = {
        "newclient_phonenumber": "phonenumber",
        "newclient_timezone": "timezone",
        "newclient_domain": "emaildomain",
        "newclient_delivery_address": "delivery_address",
        "newclient_countrycode": "country_code",
        "newclient_regioncode": "region_code",
    }
    given = {field: sent[name] for name, field in renamed.items() if name in sent}
    return {"name": sent.get("newclient_sitename") or "Main"} | given


def _first_contact(sent: Record) -> Record:
    renamed = {
        "newclient_contactname": "name",
        "newclient_contactemail": "emailaddress",
        "newclient_contacttitle": "title",
        "newclient_web_access_level": "web_access_level",
        "newclient_sendwelcomeemail": "sendwelcomeemail",
    }
    return {field: sent[name] for name, field in renamed.items() if name in sent}


def _welcome(store: Store, user: Record, sent: Record) -> None:
    if sent.get("sendwelcomeemail"):
        store.mail(user["id"], "welcome")


def _addresses(sent: Record) -> Record:
    return {name: read_address(sent[name]) for name in ("delivery_address", "invoice_address") if name in sent}


def _at_site(store: Store, site_id: Any) -> Record:
    site = store["Site"].rows.get(int(site_id))
    if site is None:
        raise Refused("Please select a valid Site")
    return {"site_id": site["id"], "client_id": site["client_id"]}


def _make_main(store: Store, site: Record) -> None:
    for other in store["Site"].where("client_id", site["client_id"]):
        store["Site"].change(other, {"isinvoicesite": other is site})
    store["Client"].change(store["Client"].rows[site["client_id"]], {"main_site_id": site["id"]})
