"""Clients, sites and contacts as the client-management guide describes them: flat fields, and filters that work."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from workflows.sandbox.answers import require
from workflows.sandbox.halopsa.entity import Entity, Manner
from workflows.sandbox.halopsa.fields import read_fields
from workflows.sandbox.halopsa.store import Record, Store

_NAME_IS_REQUIRED = "Name is required"
_INVALID_CLIENT = "Invalid client_id"

CLIENT_FIELDS = {
    "integer": "id client_to_invoice toplevel_id main_site_id accountmanager_id payment_terms",
    "string": "name emailaddress phonenumber website colour notes taxcode currency_code",
    "boolean": "inactive",
}
SITE_FIELDS = {
    "integer": "id client_id",
    "string": "name line1 line2 line3 line4 postcode country phonenumber",
    "boolean": "main_site inactive",
}
USER_FIELDS = {
    "integer": "id client_id site_id",
    "string": "name firstname surname emailaddress phonenumber mobilenumber jobtitle",
    "boolean": "inactive isimportantcontact",
}
_EMPTY: dict[str, Any] = {"integer": 0, "string": "", "boolean": False}


def _kinds(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: kind for kind, names in fields.items() for name in names.split()}


def _blank(fields: Mapping[str, str]) -> Record:
    return {name: _EMPTY[kind] for name, kind in _kinds(fields).items() if name != "id"}


def create_client(store: Store, sent: Record) -> Record:
    """Create a client, and nothing with it.

    Raises:
        Refused: it has no name, or a parent that there is not.
    """
    require(sent.get("name"), _NAME_IS_REQUIRED)
    _check_parents(store, sent)
    return store["Client"].add(_blank(CLIENT_FIELDS) | sent)


def update_client(store: Store, client: Record, sent: Record) -> None:
    """Change the sent fields of a client.

    Raises:
        Refused: the name would be empty, or the new parent is none.
    """
    require(sent.get("name", client["name"]), _NAME_IS_REQUIRED)
    _check_parents(store, sent)
    store["Client"].change(client, sent)


def create_site(store: Store, sent: Record) -> Record:
    """Create a site; it is the main one only if it says so.

    Raises:
        Refused: it has no name, or no client.
    """
    require(sent.get("name"), _NAME_IS_REQUIRED)
    require(sent.get("client_id") in store["Client"], _INVALID_CLIENT)
    site = store["Site"].add(_blank(SITE_FIELDS) | sent)
    _mark_main(store, site, sent)
    return site


def update_site(store: Store, site: Record, sent: Record) -> None:
    """Change the sent fields of a site.

    Raises:
        Refused: the name would be empty, or the new client is none.
    """
    require(sent.get("name", site["name"]), _NAME_IS_REQUIRED)
    require(sent.get("client_id", site["client_id"]) in store["Client"], _INVALID_CLIENT)
    store["Site"].change(site, sent)
    _mark_main(store, site, sent)


def create_user(store: Store, sent: Record) -> Record:
    """Create a contact of a client, at one of its sites or at none.

    Raises:
        Refused: it has no name, no client, another client's site, or an e-mail address that is in use.
    """
    require(sent.get("name"), _NAME_IS_REQUIRED)
    user = _blank(USER_FIELDS) | sent
    _check_user(store, user)
    return store["Users"].add(user)


def update_user(store: Store, user: Record, sent: Record) -> None:
    """Change the sent fields of a contact.

    Raises:
        Refused: by the rules of `create_user`.
    """
    require(sent.get("name", user["name"]), _NAME_IS_REQUIRED)
    _check_user(store, user | sent)
    store["Users"].change(user, sent)


def _check_parents(store: Store, sent: Record) -> None:
    for name in ("toplevel_id", "client_to_invoice"):
        require(not sent.get(name) or sent[name] in store["Client"], _INVALID_CLIENT)


def _mark_main(store: Store, site: Record, sent: Record) -> None:
    if not sent.get("main_site"):
        return
    for other in store["Site"].where("client_id", site["client_id"]):
        store["Site"].change(other, {"main_site": other is site})
    store["Client"].change(store["Client"].rows[site["client_id"]], {"main_site_id": site["id"]})


def _check_user(store: Store, user: Record) -> None:
    require(user["client_id"] in store["Client"], _INVALID_CLIENT)
    site = store["Site"].rows.get(user["site_id"], {})
    require(not user["site_id"] or site.get("client_id") == user["client_id"], "Invalid site_id")
    same = (other for other in store["Users"].rows.values() if _address(other) == _address(user))
    require(not _address(user) or all(other["id"] == user.get("id") for other in same), "Duplicate email")


def _address(user: Record) -> str:
    return str(user["emailaddress"]).strip().lower()


def _show(fields: Mapping[str, str], _store: Store, record: Record) -> Record:
    return {name: record.get(name, blank) for name, blank in ({"id": 0} | _blank(fields)).items()}


def _is_inactive(_store: Store, record: Record, wanted: str) -> bool:
    return bool(record["inactive"]) == (wanted.lower() == "true")


def _has_users(store: Store, client: Record, wanted: str) -> bool:
    return bool(store["Users"].where("client_id", client["id"])) == (wanted.lower() == "true")


def _has_address(_store: Store, user: Record, wanted: str) -> bool:
    return _address(user) == ("" if wanted.lower() == "null" else wanted.strip().lower())


def _of_client(entity: str, key: str, show: Callable[[Store, Record], Record], store: Store, client: Record) -> Record:
    return {key: [show(store, record) for record in store[entity].where("client_id", client["id"])]}


def _manner(what: str) -> Manner:
    return Manner(
        hides_inactive=False, pages_by_name=False, enveloped=True, refusal=_as_message, unknown=f"{what} not found"
    )


def _as_message(text: str) -> Record:
    return {"message": text}


_show_site = partial(_show, SITE_FIELDS)
_show_user = partial(_show, USER_FIELDS)

GUIDE_ENTITIES = (
    Entity(
        name="Client",
        key="clients",
        read=partial(read_fields, _kinds(CLIENT_FIELDS)),
        create=create_client,
        update=update_client,
        show=partial(_show, CLIENT_FIELDS),
        filters={"accountmanager_id": "accountmanager_id"},
        matches={"inactive": _is_inactive, "hasusers": _has_users},
        included={
            "includesites": partial(_of_client, "Site", "sites", _show_site),
            "includeusers": partial(_of_client, "Users", "users", _show_user),
        },
        bound=dict.fromkeys(
            ("Site", "Users", "ClientContract", "RecurringInvoice", "Asset", "Tickets", "CRMNote"), "client_id"
        ),
        searched=("name",),
        manner=_manner("Client"),
    ),
    Entity(
        name="Site",
        key="sites",
        read=partial(read_fields, _kinds(SITE_FIELDS)),
        create=create_site,
        update=update_site,
        show=_show_site,
        filters={"client_id": "client_id"},
        matches={"inactive": _is_inactive},
        bound=dict.fromkeys(("Users", "Asset", "Tickets", "ClientContract"), "site_id"),
        searched=("name",),
        manner=_manner("Site"),
    ),
    Entity(
        name="Users",
        key="users",
        read=partial(read_fields, _kinds(USER_FIELDS)),
        create=create_user,
        update=update_user,
        show=_show_user,
        filters={"client_id": "client_id"},
        matches={"inactive": _is_inactive, "emailaddress": _has_address},
        bound={"Tickets": "user_id"},
        searched=("name", "emailaddress"),
        manner=_manner("User"),
    ),
)
