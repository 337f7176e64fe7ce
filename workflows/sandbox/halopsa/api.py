"""HaloPSA's API below ``/api``: which request does what to the tenant."""

from collections.abc import Sequence

from workflows.sandbox.answers import Answer, Refused, json_answer, require
from workflows.sandbox.halopsa.call import Call
from workflows.sandbox.halopsa.dialects import DIALECTS, Dialect
from workflows.sandbox.halopsa.entity import Entity
from workflows.sandbox.halopsa.lists import is_true, list_records
from workflows.sandbox.halopsa.permissions import check_access, sees
from workflows.sandbox.halopsa.presentation import present, with_id_forms
from workflows.sandbox.halopsa.refusals import refusal_answer
from workflows.sandbox.halopsa.setup_lists import read_setup_list, read_setup_row, reference_data
from workflows.sandbox.halopsa.store import Record
from workflows.sandbox.halopsa.writes import post

_RECORDS = {name.lower(): name for name in DIALECTS["v2"]}
_SETUP_LISTS = {name.lower(): name for name in reference_data()}
_NAMES = _RECORDS | _SETUP_LISTS


def label(method: str, path: Sequence[str]) -> str:
    """What a request is counted as: ``GET /api/Client/{id}``, however it was spelt."""
    return f"{method} /api/{_NAMES.get(path[0].lower(), path[0])}" + "/{id}" * (len(path) - 1)


def answer_call(call: Call, dialect: Dialect) -> Answer:
    """Answer one call whose token is valid.

    Args:
        call: who asks what.
        dialect: what the tenant understands.

    Raises:
        Refused: as HaloPSA refuses it.
    """
    name, *rest = [part.lower() for part in call.path]
    if name not in _NAMES:
        raise Refused(status=404)
    check_access(call.grant, _NAMES[name], call.method, single=bool(rest))
    if name in _SETUP_LISTS:
        return _setup(call, _SETUP_LISTS[name], rest)
    entity = dialect[_RECORDS[name]]
    try:
        return _records(call, entity, rest)
    except Refused as refusal:
        return refusal_answer(call, entity.manner, refusal)


def _records(call: Call, entity: Entity, rest: list[str]) -> Answer:
    match call.method, rest:
        case "GET", []:
            return _list(call, entity)
        case "GET", [record_id]:
            return _single(call, entity, _find(call, entity, record_id))
        case "POST", []:
            return post(call, entity)
        case "POST", ["nextref"] if entity.name == "ClientContract":
            return json_answer(201, {"ref": f"AGR-{len(call.store[entity.name].rows) + 1:04}"})
        case "DELETE", [record_id]:
            return _delete(call, entity, _find(call, entity, record_id))
    raise Refused(status=404)


def _setup(call: Call, name: str, rest: list[str]) -> Answer:
    rows = call.store.reference[name]
    if call.method != "GET":
        raise Refused(status=403)
    if rest:
        found = read_setup_row(rows, name, rest[0])
        if found is None:
            raise Refused(status=404)
        return json_answer(200, with_id_forms(call.faults, found))
    shown = [with_id_forms(call.faults, row) for row in read_setup_list(rows, name, call.query)]
    # Set-up lists are bare arrays, except this one.
    return json_answer(200, {"record_count": len(shown), "toplevels": shown} if name == "TopLevel" else shown)


def _list(call: Call, entity: Entity) -> Answer:
    _check_listed(call, entity)
    envelope, page = list_records(call.store, entity, call.query, call.grant)
    rows = [with_id_forms(call.faults, row, entity.floats) for row in page]
    return json_answer(200, envelope | {entity.key: rows} if entity.key else rows)


def _single(call: Call, entity: Entity, record: Record) -> Answer:
    shown = present(call.store, entity, record)
    for name, more in entity.included.items():
        if is_true(call.query, name):
            shown |= more(call.store, record)
    return json_answer(200, shown)


def _find(call: Call, entity: Entity, record_id: str) -> Record:
    _check_listed(call, entity)
    record = call.store[entity.name].find(record_id)
    if record is None:
        raise Refused(entity.manner.unknown or None, 404)
    # HaloPSA says the same of a record that is not there and of one that the agent may not see.
    require(sees(call.grant, entity.name, record), "Record not found")
    return record


def _check_listed(call: Call, entity: Entity) -> None:
    require(entity.listed_by is None or entity.listed_by in call.query, f"The {entity.listed_by} must be specified")


def _delete(call: Call, entity: Entity, record: Record) -> Answer:
    for other, field in entity.bound.items():
        if any(row.get(field) == record["id"] for row in call.store[other].rows.values()):
            raise Refused("Cannot delete - has related records", 409)
    shown = present(call.store, entity, record)
    call.store[entity.name].remove(record)
    return json_answer(200, shown)
