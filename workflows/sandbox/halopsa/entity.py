"""What an entity of the look-alike's API is: which path, which rules, which filters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.sandbox.halopsa.store import Record, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a dialect asks and answers, whatever the record.

    Attributes:
        hides_inactive: lists leave inactive records out unless the query asks for them.
        pages_by_name: ``page_no`` and ``page_size`` count for nothing without ``pageinate=true``.
        enveloped: a POST answers everything that it wrote in the list's envelope, whatever `Faults.post_answer` says.
        refusal: the body of a refusal out of its text; None where `Faults.refusal_form` decides.
        unknown: what is said of an id that there is none of; empty for a 404 without a body, and "Record not found"
            for a write.
    """

    hides_inactive: bool = True
    pages_by_name: bool = True
    enveloped: bool = False
    refusal: Callable[[str], Any] | None = None
    unknown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One kind of record that integrations read and write.

    Attributes:
        name: the path below ``/api`` as HaloPSA spells it, and the table's name.
        key: where lists hold the rows; empty for a list that is a bare array.
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
        first_contact: the field of a new record that names a contact to make with it (`Faults.main_contact_required`).
        stamp: the field that holds when a record was last written; lists are narrowed by it with ``lastupdatefromdate``
            and ``lastupdatetodate``.
        custom_fields: the ``typeid`` of the custom fields that it has (``FieldInfo``); 0 for none.
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
    first_contact: str = ""
    stamp: str = ""
    custom_fields: int = 0
    page_cap: int | None = None
    listed_by: str | None = None
    manner: Manner = Manner()
