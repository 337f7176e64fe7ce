"""HaloPSA's API below ``/api``: which request does what to the tenant."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from workflows.sandbox.answers import Answer, Refused, json_answer, require
from workflows.sandbox.faults import Faults
from workflows.sandbox.halopsa.dialects import DIALECTS, Dialect
from workflows.sandbox.halopsa.entities import Entity
from workflows.sandbox.halopsa.fields import merge_custom_fields
from workflows.sandbox.halopsa.lists import Query, is_true, list_records
from workflows.sandbox.halopsa.reference import API_AGENT, reference_data
from workflows.sandbox.halopsa.store import Record, Store

_NAMES = {name.lower(): name for name in DIALECTS["v2"]}
_REFERENCE = {name.lower(): name for name in reference_data()}
_REFERENCE_FILTERS = {"Lookup": "lookupid", "FieldInfo": "typeid", "Priority": "slaid"}


def label(method: str, path: Sequence[str]) -> str:
    """What a request is counted as: ``GET /api/Client/{id}``, however it was spelt."""
    name = path[0].lower()
    known = _NAMES.get(name) or _REFERENCE.get(name, path[0])
    return f"{method} /api/{known}" + "/{id}" * (len(path) - 1)


def answer_request(
    store: Store,
    faults: Faults,
    method: str,
    path: Sequence[str],
    *,
    dialect: Dialect,
    query_string: bytes,
    body: bytes,
) -> Answer:
    """Answer one request whose token is valid.

    Args:
        store: the tenant.
        faults: the switches that change answers.
        method: the HTTP method.
        path: the parts of the path below ``/api``; letter case does not matter.
        dialect: what the tenant understands.
        query_string: as it came.
        body: as it came.

    Raises:
        Refused: as HaloPSA refuses it.
    """
    name, *rest = [part.lower() for part in path]
    query = {key.lower(): value for key, value in parse_qsl(query_string.decode())}
    if name in _REFERENCE:
        return _reference(store, _REFERENCE[name], method, rest, query)
    if name not in _NAMES:
        raise Refused(status=404)
    entity = dialect[_NAMES[name]]
    try:
        return _records(store, faults, entity, method, rest, query=query, body=body)
    except Refused as refusal:
        raise _in_manner(entity, refusal) from refusal


def _records(
    store: Store, faults: Faults, entity: Entity, method: str, rest: list[str], *, query: Query, body: bytes
) -> Answer:
    match method, rest:
        case "GET", []:
            return json_answer(200, _list(store, faults, entity, query))
        case "GET", [record_id]:
            return json_answer(200, _single(store, faults, entity, _find(store, entity, record_id, query), query))
        case "POST", []:
            return _post(store, faults, entity, query, body)
        case "DELETE", [record_id]:
            return _delete(store, faults, entity, _find(store, entity, record_id, query))
    raise Refused(status=404)


def _in_manner(entity: Entity, refusal: Refused) -> Refused:
    """A refusal whose text is put as the entity's dialect puts it."""
    text = refusal.body
    return Refused(entity.manner.refusal(text), refusal.status) if isinstance(text, str) else refusal


def create_record(store: Store, entity: Entity, fields: Record) -> Record:
    """Create a record out of fields that were read, by the entity's rules.

    Raises:
        Refused: by those rules.
    """
    return entity.create(store, _with_custom_fields(store, fields, []))


def _reference(store: Store, name: str, method: str, rest: list[str], query: Query) -> Answer:
    rows = store.reference[name]
    if method != "GET":
        raise Refused(status=403)
    if rest:
        wanted = str(API_AGENT) if (name, rest) == ("Agent", ["me"]) else rest[0]
        found = next((row for row in rows if str(row["id"]) == wanted), None)
        if found is None:
            raise Refused(status=404)
        return json_answer(200, found)
    narrowed = _REFERENCE_FILTERS.get(name, "")
    if narrowed in query:
        rows = [row for row in rows if str(row[narrowed]) == query[narrowed]]
    # Set-up lists are bare arrays, except this one.
    return json_answer(200, {"record_count": len(rows), "toplevels": rows} if name == "TopLevel" else rows)


def _list(store: Store, faults: Faults, entity: Entity, query: Query) -> Record:
    require(entity.listed_by is None or entity.listed_by in query, f"The {entity.listed_by} must be specified")
    if faults.ignore_search:
        query = {name: value for name, value in query.items() if name != "search"}
    envelope = list_records(store, entity, query, page_cap=faults.page_cap)
    if faults.float_ids:
        envelope[entity.key] = [_with_floats(entity, row) for row in envelope[entity.key]]
    return envelope


def _shown(store: Store, faults: Faults, entity: Entity, record: Record) -> Record:
    shown = entity.show(store, record)
    return _with_floats(entity, shown) if faults.float_ids else shown


def _single(store: Store, faults: Faults, entity: Entity, record: Record, query: Query) -> Record:
    shown = _shown(store, faults, entity, record)
    for name, more in entity.included.items():
        if is_true(query, name):
            shown |= more(store, record)
    return shown


def _with_floats(entity: Entity, shown: Record) -> Record:
    return shown | {name: float(shown[name]) for name in entity.floats}


def _find(store: Store, entity: Entity, record_id: str, query: Query) -> Record:
    require(entity.listed_by is None or entity.listed_by in query, f"The {entity.listed_by} must be specified")
    record = store[entity.name].rows.get(int(record_id)) if record_id.lstrip("-").isdecimal() else None
    if record is None:
        raise Refused(entity.manner.unknown or None, 404)
    return record


def _post(store: Store, faults: Faults, entity: Entity, query: Query, body: bytes) -> Answer:
    """Write the elements one after another; a refused one ends the request, and what was written before it stays."""
    written = [_write(store, faults, entity, sent, position) for position, sent in enumerate(_elements(body))]
    shown = [_shown(store, faults, entity, record) for record in written]
    if entity.manner.enveloped:
        return json_answer(201, {entity.key: shown})
    if is_true(query, "returnall"):
        return json_answer(201, shown)
    last = shown[-1]
    forms: dict[str, Any] = {"object": last, "array": [last], "envelope": {entity.key: [last]}}
    return json_answer(201, forms[faults.post_answer])


def _elements(body: bytes) -> list[Any]:
    try:
        elements = json.loads(body)
    except ValueError:
        raise Refused({"": ["The input was not valid."]}) from None
    require(isinstance(elements, list) and elements, "The request body requires a JSON array (e.g. [1,2,3]).")
    return list(elements)


def _write(store: Store, faults: Faults, entity: Entity, sent: Any, position: int) -> Record:
    read = entity.read(sent, position)
    record_id = read.pop("id", 0)
    fields = {name: value for name, value in read.items() if name not in entity.computed and not name.startswith("_")}
    record = store[entity.name].rows.get(record_id)
    if record_id and record is None:
        raise Refused(entity.manner.unknown or "Record not found", 404 if entity.manner.unknown else 400)
    if faults.refuse_inactive_writes:
        _refuse_inactive(store, entity, fields, record)
    if record is None:
        return create_record(store, entity, fields)
    entity.update(store, record, _with_custom_fields(store, fields, record.get("customfields", [])))
    return record


def _with_custom_fields(store: Store, fields: Record, stored: list[Record]) -> Record:
    if "customfields" not in fields:
        return fields
    merged = merge_custom_fields(store.reference["FieldInfo"], stored, fields["customfields"])
    return fields | {"customfields": merged}


def _refuse_inactive(store: Store, entity: Entity, fields: Record, record: Record | None) -> None:
    is_client = entity.name == "Client"
    owner = record if is_client else store.owner_of((record or {}) | fields)
    reactivated = is_client and fields.get("inactive") is False
    require(owner is None or not owner["inactive"] or reactivated, "This Customer is inactive")


def _delete(store: Store, faults: Faults, entity: Entity, record: Record) -> Answer:
    for other, field in entity.bound.items():
        if any(row.get(field) == record["id"] for row in store[other].rows.values()):
            raise Refused("Cannot delete - has related records", 409)
    shown = _shown(store, faults, entity, record)
    store[entity.name].remove(record)
    return json_answer(200, shown)
