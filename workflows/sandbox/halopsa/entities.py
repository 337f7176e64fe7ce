"""The entities of HaloPSA's API, as values: which path, which rules, which filters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from workflows.sandbox.halopsa import assets, clients, contracts, notes, tickets
from workflows.sandbox.halopsa.fields import FIELDS, read_fields
from workflows.sandbox.halopsa.store import Record, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a dialect asks and answers, whatever the record.

    Attributes:
        hides_inactive: lists leave inactive records out unless the query asks for them.
        pages_by_name: ``page_no`` and ``page_size`` count for nothing without ``pageinate=true``.
        enveloped: a POST answers everything that it wrote in the list's envelope, whatever `Faults.post_answer` says.
        refusal: the body of a refusal out of its text.
        unknown: what is said of an id that there is none of; empty for a 404 without a body, and "Record not found"
            for a write.
    """

    hides_inactive: bool = True
    pages_by_name: bool = True
    enveloped: bool = False
    refusal: Callable[[str], Any] = str
    unknown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One kind of record that integrations read and write.

    Attributes:
        name: the path below ``/api`` as HaloPSA spells it, and the table's name.
        key: where lists hold the rows.
        read: reads one element of a request body.
        create: stores a new record by HaloPSA's rules.
        update: changes a stored record by HaloPSA's rules.
        show: gives a record the names and states that follow from others.
        row: gives a shown record the form that it has in lists.
        on_request: query name → the field that lists leave out unless the query says ``true``.
        filters: query name → the field whose value must be among the query's comma-separated numbers.
        flags: query name → what must hold for the record when the query says ``true``.
        matches: query name → whether the record has what the query says.
        included: query name → what else a single read holds when the query says ``true``.
        bound: entity → its field that names this record; a record that is named so is not deleted.
        searched: the fields that ``search`` looks into.
        advanced: the fields that ``advanced_search`` allows.
        order: the field that lists are ordered by when the query names none; a leading ``-`` means downwards.
        floats: ids that are numbers with a decimal point in HaloPSA's own answers.
        computed: fields that a body cannot set.
        page_cap: rows on one page at most, whatever is asked for; None where only the tenant's cap counts.
        listed_by: the query name without which a list is refused.
        manner: how its dialect asks and answers.
    """

    name: str
    key: str
    read: Callable[[Any, int], Record]
    create: Callable[[Store, Record], Record]
    update: Callable[[Store, Record, Record], None]
    show: Callable[[Store, Record], Record]
    row: Callable[[Record], Record] = dict
    on_request: Mapping[str, str] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, Callable[[Record], bool]] = field(default_factory=dict)
    matches: Mapping[str, Callable[[Store, Record, str], bool]] = field(default_factory=dict)
    included: Mapping[str, Callable[[Store, Record], Record]] = field(default_factory=dict)
    bound: Mapping[str, str] = field(default_factory=dict)
    searched: tuple[str, ...] = ()
    advanced: tuple[str, ...] = ()
    order: str = "id"
    floats: tuple[str, ...] = ()
    computed: frozenset[str] = frozenset()
    page_cap: int | None = None
    listed_by: str | None = None
    manner: Manner = Manner()


ENTITIES = (
    Entity(
        name="Client",
        key="clients",
        read=partial(read_fields, FIELDS["Client"]),
        create=clients.create_client,
        update=clients.update_client,
        show=clients.show_client,
        on_request={"includenotes": "notes"},
        filters={"toplevel_id": "toplevel_id"},
        searched=("name",),
        advanced=("name",),
        order="name",
        computed=frozenset({"main_site_id", "main_site_name", "datecreated", "accountmanagertech_name", "use", "key"}),
    ),
    Entity(
        name="Site",
        key="sites",
        read=partial(read_fields, FIELDS["Site"]),
        create=clients.create_site,
        update=clients.update_site,
        show=clients.show_site,
        row=clients.site_row,
        on_request={"includenotes": "notes"},
        filters={"client_id": "client_id", "site_id": "id"},
        searched=("name",),
        order="name",
        floats=("client_id",),
        computed=frozenset({"client_name", "clientsite_name", "datecreated"}),
    ),
    Entity(
        name="Users",
        key="users",
        read=partial(read_fields, FIELDS["Users"]),
        create=clients.create_user,
        update=clients.update_user,
        show=clients.show_user,
        filters={"client_id": "client_id", "site_id": "site_id"},
        flags={"exclude_generaluser": clients.is_named_user, "exclude_defaultsiteusers": clients.is_named_user},
        searched=("name", "emailaddress", "login"),
        advanced=("name", "emailaddress"),
        order="name",
        floats=("site_id",),
        computed=frozenset({"client_id", "client_name", "site_id_int", "site_name", "datecreated", "use", "key"}),
    ),
    Entity(
        name="ClientContract",
        key="contracts",
        read=partial(read_fields, FIELDS["ClientContract"]),
        create=contracts.create_contract,
        update=contracts.update_contract,
        show=contracts.show_contract,
        filters={"client_id": "client_id", "site_id": "site_id"},
        searched=("ref",),
        computed=frozenset({"client_name", "site_name", "started", "expired", "contract_status"}),
    ),
    Entity(
        name="RecurringInvoice",
        key="invoices",
        read=partial(read_fields, FIELDS["RecurringInvoice"]),
        create=contracts.create_invoice,
        update=contracts.update_invoice,
        show=contracts.show_invoice,
        filters={"client_id": "client_id", "client_ids": "client_id", "contract_id": "contract_id"},
        computed=frozenset({"client_name", "contract_ref"}),
    ),
    Entity(
        name="Asset",
        key="assets",
        read=partial(read_fields, FIELDS["Asset"]),
        create=assets.create_asset,
        update=assets.update_asset,
        show=assets.show_asset,
        filters={
            "client_id": "client_id",
            "site_id": "site_id",
            "contract_id": "contract_id",
            "assettype_id": "assettype_id",
        },
        searched=("inventory_number",),
        advanced=("inventory_number",),
        computed=frozenset({"client_name", "site_name", "assettype_name"}),
    ),
    Entity(
        name="CRMNote",
        key="notes",
        read=partial(read_fields, FIELDS["CRMNote"]),
        create=notes.create_note,
        update=notes.update_note,
        show=notes.show_note,
        filters={"client_id": "client_id"},
        computed=frozenset({"who_agentid"}),
    ),
    Entity(
        name="Tickets",
        key="tickets",
        read=tickets.read_ticket,
        create=tickets.create_ticket,
        update=tickets.update_ticket,
        show=tickets.show_ticket,
        filters={
            "client_id": "client_id",
            "client_ids": "client_id",
            "site_id": "site_id",
            "user_id": "user_id",
            "agent_id": "agent_id",
            "contract_id": "contract_id",
            "parent_id": "parent_id",
            "status": "status_id",
            "status_id": "status_id",
            "requesttype_id": "tickettype_id",
        },
        flags={"open_only": tickets.is_open, "closed_only": tickets.is_closed},
        searched=("summary",),
        order="-id",
        computed=frozenset({"hasbeenclosed", "dateclosed", "child_count", "child_count_open", "datecreated"}),
        page_cap=100,
    ),
    Entity(
        name="Actions",
        key="actions",
        read=partial(read_fields, FIELDS["Actions"]),
        create=tickets.create_action,
        update=tickets.update_action,
        show=tickets.show_action,
        filters={"ticket_id": "ticket_id"},
        listed_by="ticket_id",
    ),
)
