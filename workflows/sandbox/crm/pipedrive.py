"""Pipedrive: version 2, and version 1 for users, notes and changelogs.

Records are planted as version 2 gives them, changes (``pipedrive.changelog``) as changelogs do, with the record that
was changed: ``{"record": "organizations/1", "field_key", "old_value", "new_value", "time"}``.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from workflows.sandbox.crm.asgi import CrmCall, LookAlike, Way, required
from workflows.sandbox.crm.crms import TOKEN, Crms, Row

COMPANY = 8087566


def pipedrive(crms: Callable[[], Crms]) -> LookAlike:
    """Pipedrive, mounted at ``/pipedrive``."""
    return LookAlike(
        crms,
        "pipedrive",
        [
            Way("GET", r"/api/v2/deals/(?P<id>\d+)/products", _products),
            Way("GET", r"/api/v2/(?P<kind>deal|organization|person)Fields", _fields),
            Way("GET", r"/api/v2/(?P<kind>deals|organizations|persons|pipelines)/(?P<id>\d+)", _read),
            Way("GET", r"/api/v2/(?P<kind>deals|organizations|persons)", _list),
            Way("GET", "/v1/users/me", lambda _: _found({"id": 1, "company_id": COMPANY})),
            Way("GET", r"/v1/(?P<kind>users)/(?P<id>\d+)", _read),
            Way("GET", r"/v1/(?P<record>(?:deals|organizations|persons)/\d+)/changelog", _changelog),
            Way("GET", "/v1/notes", _notes),
            Way("POST", "/v1/notes", _add_note, status=201),
        ],
        proof=("x-api-token", TOKEN),
        refused=lambda text: {"success": False, "error": text, "error_info": "Please check developers.pipedrive.com"},
    )


def _found(data: Any) -> Row:
    return {"success": True, "data": data}


def _read(call: CrmCall) -> Any:
    return _found(required(call.crms.row(f"pipedrive.{call.places['kind']}", call.places["id"])))


def _list(call: CrmCall) -> Any:
    since = datetime.fromisoformat(call.query["updated_since"])
    rows = [row for row in call.crms.rows(f"pipedrive.{call.places['kind']}") if "update_time" in row]
    return _page(call, [row for row in rows if datetime.fromisoformat(row["update_time"]) >= since])


def _changelog(call: CrmCall) -> Any:
    rows = [row for row in call.crms.rows("pipedrive.changelog") if row["record"] == call.places["record"]]
    return _page(call, [{name: value for name, value in row.items() if name not in {"id", "record"}} for row in rows])


def _page(call: CrmCall, rows: list[Row]) -> Row:
    first, limit = int(call.query.get("cursor", 0)), int(call.query.get("limit", 100))
    more = str(first + limit) if first + limit < len(rows) else None
    return _found(rows[first : first + limit]) | {"additional_data": {"next_cursor": more}}


def _products(call: CrmCall) -> Any:
    rows = [row for row in call.crms.rows("pipedrive.products") if str(row["deal_id"]) == call.places["id"]]
    return _found(rows)


def _fields(call: CrmCall) -> Any:
    return _found(call.crms.rows(f"pipedrive.{call.places['kind']}Fields"))


def _notes(call: CrmCall) -> Any:
    return _found([row for row in call.crms.rows("pipedrive.notes") if str(row["deal_id"]) == call.query["deal_id"]])


def _add_note(call: CrmCall) -> Any:
    identity = call.crms.plant("pipedrive.notes", call.body)
    return _found(call.body | {"id": identity})
