"""What a POST does: arrays, the tenant's own rules, and the forms of the answer."""

import json
from typing import Any

from workflows.sandbox.answers import Answer, Refused, json_answer, require
from workflows.sandbox.halopsa.call import Call
from workflows.sandbox.halopsa.entity import Entity
from workflows.sandbox.halopsa.fields import merge_custom_fields
from workflows.sandbox.halopsa.lists import is_true
from workflows.sandbox.halopsa.permissions import check_ticket_change, sees
from workflows.sandbox.halopsa.presentation import present
from workflows.sandbox.halopsa.store import Record, Store

_NO_ACCESS = "You do not have access to this Action at the moment"
_WARNING = "The change was saved, but a linked record could not be updated."


def post(call: Call, entity: Entity) -> Answer:
    """Write the elements of an array one after another, and answer as the tenant does.

    Raises:
        Refused: the body is no array, or a longer one than the tenant takes, or an element is refused.
    """
    elements = list(enumerate(_elements(call)))
    match call.faults.array_refusal:
        case "whole":
            with call.store.all_or_nothing():
                written = [_write(call, entity, sent, position) for position, sent in elements]
        case "partial":
            written = [_write_alone(call, entity, sent, position) for position, sent in elements]
        case _:
            written = _write_each(call, entity, elements)
    return _answer(call, entity, [present(call.store, entity, record) for record in written])


def create_record(store: Store, entity: Entity, fields: Record) -> Record:
    """Create a record out of fields that were read, by the entity's rules.

    Raises:
        Refused: by those rules.
    """
    record = entity.create(store, _with_custom_fields(store, entity, fields, []))
    _stamp(store, entity, record)
    return record


def _elements(call: Call) -> list[Any]:
    try:
        elements = json.loads(call.body)
    except ValueError:
        raise Refused({"": ["The input was not valid."]}) from None
    require(isinstance(elements, list) and elements, "The request body requires a JSON array (e.g. [1,2,3]).")
    cap = call.faults.array_cap if call.faults.arrays else 1
    require(cap is None or len(elements) <= cap, f"The request body may hold at most {cap} record(s).")
    return list(elements)


def _write_each(call: Call, entity: Entity, elements: list[tuple[int, Any]]) -> list[Record]:
    written, refusals = [], []
    for position, sent in elements:
        try:
            written.append(_write_alone(call, entity, sent, position))
        except Refused as refusal:
            refusals.append(refusal)
    if refusals:
        raise refusals[0]
    return written


def _write_alone(call: Call, entity: Entity, sent: Any, position: int) -> Record:
    with call.store.all_or_nothing():
        return _write(call, entity, sent, position)


def _write(call: Call, entity: Entity, sent: Any, position: int) -> Record:
    read = entity.read(sent, position)
    record_id = read.pop("id", 0)
    fields = {name: value for name, value in read.items() if _is_kept(call, entity, name)}
    record = call.store[entity.name].rows.get(record_id)
    if record_id and record is None:
        unknown = entity.manner.unknown
        raise Refused(unknown or "Record not found", 404 if unknown else 400)
    _check_tenants_rules(call, entity, fields, record)
    if record is None:
        return create_record(call.store, entity, fields)
    stored = record.get("customfields", [])
    entity.update(call.store, record, _with_custom_fields(call.store, entity, fields, stored))
    _stamp(call.store, entity, record)
    return record


def _stamp(store: Store, entity: Entity, record: Record) -> None:
    if entity.stamp:
        store[entity.name].change(record, {entity.stamp: store.now()})


def _is_kept(call: Call, entity: Entity, name: str) -> bool:
    passing = name in entity.computed or name.startswith("_")
    return not passing and f"{entity.name}.{name}" not in call.faults.drop_fields


def _with_custom_fields(store: Store, entity: Entity, fields: Record, stored: list[Record]) -> Record:
    if "customfields" not in fields:
        return fields
    known = [field for field in store.reference["FieldInfo"] if field["typeid"] == entity.custom_fields]
    return fields | {"customfields": merge_custom_fields(known, stored, fields["customfields"])}


def _check_tenants_rules(call: Call, entity: Entity, fields: Record, record: Record | None) -> None:
    """What the tenant's settings and the agent's rights refuse, whatever the entity's own rules say."""
    if call.faults.refuse_inactive_writes:
        _refuse_inactive(call.store, entity, fields, record)
    if call.faults.main_contact_required and entity.first_contact and record is None:
        require(fields.get(entity.first_contact), "Please enter a Main Contact for this Customer")
    if entity.name == "Tickets" and record is not None:
        check_ticket_change(call.grant, record, fields)
    ticket = call.store["Tickets"].rows.get(fields.get("ticket_id")) if entity.name == "Actions" else None
    if ticket is not None:
        require(sees(call.grant, "Tickets", ticket), _NO_ACCESS)
        if fields.get("new_status", 0) > 0:
            check_ticket_change(call.grant, ticket, {"status_id": fields["new_status"]})


def _refuse_inactive(store: Store, entity: Entity, fields: Record, record: Record | None) -> None:
    is_client = entity.name == "Client"
    owner = record if is_client else store.owner_of((record or {}) | fields)
    reactivated = is_client and fields.get("inactive") is False
    require(owner is None or not owner["inactive"] or reactivated, "This Customer is inactive")


def _answer(call: Call, entity: Entity, shown: list[Record]) -> Answer:
    if call.injector.loses_id():
        return json_answer(200, {})
    if call.faults.warnings:
        shown = [record | {"_warning": _WARNING} for record in shown]
    return json_answer(call.faults.post_status, _form(call, entity, shown))


def _form(call: Call, entity: Entity, shown: list[Record]) -> Any:
    """The written records in the form of the answer: only the last one, unless all are asked for."""
    if entity.manner.enveloped:
        return {entity.key: shown}
    if is_true(call.query, "returnall"):
        return shown
    last = shown[-1]
    forms: dict[str, Any] = {
        "object": last,
        "array": [last],
        "envelope": {entity.key: [last]} if entity.key else [last],
    }
    chosen = call.faults.post_answer
    return list(forms.values())[call.number % len(forms)] if chosen == "mixed" else forms[chosen]
