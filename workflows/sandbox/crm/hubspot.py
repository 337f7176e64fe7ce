"""HubSpot: the object API, associations, owners, pipelines and search.

Records are planted as ``{"id", "properties", "associations": {"companies": [ids]}, "primary_company": id, "history":
{"dealstage": [values, newest first]}}``. In answers all values are text, and a company is named once for each way in
which it is associated.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from workflows.sandbox.answers import Refused
from workflows.sandbox.crm.asgi import CrmCall, LookAlike, Way, required
from workflows.sandbox.crm.crms import Crms, Row

PORTAL = 62515
_SINGULAR = {"companies": "company", "contacts": "contact", "deals": "deal", "line_items": "line_item", "notes": "note"}


def hubspot(crms: Callable[[], Crms]) -> LookAlike:
    """HubSpot, mounted at ``/hubspot``."""
    objects = "/crm/(?:v3/objects|objects/[0-9-]+)"
    links = r"/crm/(?:v4/objects|objects/[0-9-]+)/(?P<kind>\w+)/(?P<id>[^/]+)/associations/(?P<to>\w+)"
    return LookAlike(
        crms,
        "hubspot",
        [
            Way("POST", rf"{objects}/(?P<kind>\w+)/batch/read", _batch),
            Way("POST", rf"{objects}/(?P<kind>\w+)/search", _search),
            Way("POST", rf"{objects}/notes", _add_note, status=201),
            Way("GET", rf"{objects}/(?P<kind>\w+)/(?P<id>[^/]+)", _read),
            Way("GET", links, _associations),
            Way("GET", r"/crm/v3/owners/(?P<id>\d+)", _owner),
            Way("GET", "/crm/v3/pipelines/deals", lambda call: {"results": call.crms.rows("hubspot.pipelines")}),
            Way("GET", r"/crm/v3/properties/(?P<kind>\w+)/(?P<name>\w+)", _property),
            Way("GET", "/account-info/v3/details", lambda _: {"portalId": PORTAL}),
        ],
        refused=lambda text: {"status": "error", "message": text, "correlationId": "0"},
    )


def _id(call: CrmCall) -> str:
    return call.places["id"]


def _owner(call: CrmCall) -> Any:
    return required(call.crms.row("hubspot.owners", _id(call)))


def _read(call: CrmCall) -> Any:
    kind, wanted = call.places["kind"], call.query.get("properties", "").split(",")
    row = required(call.crms.row(f"hubspot.{kind}", _id(call)))
    answer = _shown(row, wanted)
    named = call.query.get("associations")
    if named and not row.get("hidden_associations"):
        linked = {to: _linked(kind, row, to) for to in named.split(",")}
        answer["associations"] = {to: {"results": held} for to, held in linked.items() if held}
    if history := call.query.get("propertiesWithHistory"):
        past = row.get("history", {}).get(history, [row["properties"].get(history)])
        answer["propertiesWithHistory"] = {history: [_past(entry) for entry in past]}
    return answer


def _past(entry: Any) -> Row:
    """One entry of a property's history, planted as the value alone or with its time."""
    held = entry if isinstance(entry, dict) else {"value": entry, "timestamp": "2026-11-23T09:00:00.000Z"}
    return {"sourceType": "CRM_UI", **held}


def _shown(row: Row, wanted: list[str]) -> Row:
    properties = {name: _text(row["properties"].get(name)) for name in wanted if name}
    times = {name: row.get(name, "2026-11-23T09:00:00.000Z") for name in ("createdAt", "updatedAt")}
    return {"id": str(row["id"]), "properties": properties, **times, "archived": bool(row.get("archived"))}


def _text(value: Any) -> str | None:
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def _linked(kind: str, row: Row, to: str) -> list[Row]:
    name = f"{_SINGULAR.get(kind, kind)}_to_{_SINGULAR.get(to, to)}"
    ids = [str(one) for one in row.get("associations", {}).get(to, ())]
    doubled = [{"id": one, "type": f"{name}_unlabeled"} for one in ids] if to == "companies" else []
    return [{"id": one, "type": name} for one in ids] + doubled


def _associations(call: CrmCall) -> Any:
    row = required(call.crms.row(f"hubspot.{call.places['kind']}", _id(call)))
    ids = row.get("associations", {}).get(call.places["to"], ())
    return {"results": [{"toObjectId": one, "associationTypes": _types(row, one)} for one in ids]}


def _types(row: Row, company: Any) -> list[Row]:
    primary = {"category": "HUBSPOT_DEFINED", "typeId": 5, "label": "Primary"}
    unlabelled = {"category": "HUBSPOT_DEFINED", "typeId": 341, "label": None}
    return [primary, unlabelled] if str(row.get("primary_company")) == str(company) else [unlabelled]


def _batch(call: CrmCall) -> Any:
    ids = [str(one["id"]) for one in call.body["inputs"]]
    if len(ids) > 100:  # noqa: PLR2004 - HubSpot's bound
        raise Refused("The maximum number of inputs is 100")
    found = (call.crms.row(f"hubspot.{call.places['kind']}", one) for one in ids)
    return {"status": "COMPLETE", "results": [_shown(row, call.body.get("properties", [])) for row in found if row]}


def _search(call: CrmCall) -> Any:
    (condition,) = call.body["filterGroups"][0]["filters"]
    since, name = int(condition["value"]), condition["propertyName"]
    rows = [row for row in call.crms.rows(f"hubspot.{call.places['kind']}") if _stamp(row, name) >= since]
    rows.sort(key=lambda row: _stamp(row, name))
    first, limit = int(call.body.get("after", 0)), int(call.body.get("limit", 10))
    answer: Row = {"total": len(rows)}
    answer["results"] = [_shown(row, call.body.get("properties", [])) for row in rows[first : first + limit]]
    if first + limit < len(rows):
        answer["paging"] = {"next": {"after": str(first + limit)}}
    return answer


def _stamp(row: Row, name: str) -> float:
    """Read a time, planted as ISO 8601, in milliseconds since 1970 as HubSpot's search compares them."""
    value = row["properties"].get(name) or "1970-01-01T00:00:00Z"
    return datetime.fromisoformat(value).timestamp() * 1000


def _property(call: CrmCall) -> Any:
    found = call.crms.row(f"hubspot.properties.{call.places['kind']}", call.places["name"])
    return found or {"name": call.places["name"], "options": []}


def _add_note(call: CrmCall) -> Any:
    identity = call.crms.plant("hubspot.notes", {"properties": call.body["properties"]})
    for link in call.body.get("associations", ()):
        deal = required(call.crms.row("hubspot.deals", link["to"]["id"]))
        deal.setdefault("associations", {}).setdefault("notes", []).append(identity)
    return {"id": identity, "properties": call.body["properties"]}
