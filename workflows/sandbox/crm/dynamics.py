"""Dynamics 365: sign-in, opportunities with what they refer to, accounts, and notes.

Records are planted with Dataverse's column names; what an opportunity refers to is planted in place
(``"customerid_account": {…}``), as an expanded answer shows it. Audits are planted with the names of the columns that
changed (``"columns": ["statuscode"]``) and show their numbers, as Dataverse does.
"""

import re
import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from workflows.sandbox.crm.asgi import CrmCall, LookAlike, Way, grant_token, required
from workflows.sandbox.crm.crms import Crms, Row

_EXPANDED = re.compile(r"(\w+)\(\$select=([^)]*)\)")
_ORGANISATION = "4ef5b371-e89e-e711-8122-000d3aa2331c"


def dynamics(crms: Callable[[], Crms]) -> LookAlike:
    """Dynamics, mounted at ``/dynamics``, its sign-in included."""
    return LookAlike(
        crms,
        "dynamics",
        [
            Way("POST", r"/[^/]+/oauth2/v2\.0/token", grant_token, open=True),
            Way("GET", r"/api/data/v9\.2/opportunities\((?P<id>[^)]+)\)/product_opportunities", _products),
            Way("GET", r"/api/data/v9\.2/(?P<kind>opportunities|accounts)\((?P<id>[^)]+)\)", _read),
            Way("GET", r"/api/data/v9\.2/(?P<kind>opportunities|accounts)", _list),
            Way("GET", r"/api/data/v9\.2/audits", _audits),
            Way("GET", r"/api/data/v9\.2/opportunitycloses", _closings),
            Way("GET", r"/api/data/v9\.2/EntityDefinitions\(.+\)/Attributes\(LogicalName='(?P<name>\w+)'\)", _column),
            Way("GET", r"/api/data/v9\.2/WhoAmI", lambda _: {"OrganizationId": _ORGANISATION}),
            Way("GET", r"/api/data/v9\.2/annotations", _notes),
            Way("POST", r"/api/data/v9\.2/annotations", _add_note, status=201),
        ],
        refused=lambda text: {"error": {"code": "0x80040217", "message": text}},
    )


def _read(call: CrmCall) -> Any:
    row = required(call.crms.row(f"dynamics.{call.places['kind']}", call.places["id"]))
    shown = _chosen(row, call.query.get("$select", ""))
    for name, columns in _EXPANDED.findall(call.query.get("$expand", "")):
        shown[name] = _chosen(row[name], columns) if row.get(name) else None
    return shown


def _chosen(row: Row, columns: str) -> Row:
    names = columns.split(",")
    labels = {name: value for name, value in row.items() if name.partition("@")[0] in names and "@" in name}
    return {name: row.get(name) for name in names if name} | labels


def _list(call: CrmCall) -> Any:
    since = datetime.fromisoformat(call.query["$filter"].removeprefix("modifiedon ge "))
    rows = [row for row in call.crms.rows(f"dynamics.{call.places['kind']}") if "modifiedon" in row]
    rows = [row for row in rows if datetime.fromisoformat(row["modifiedon"]) >= since]
    return {"value": [_chosen(row, call.query["$select"]) for row in rows]}


def _products(call: CrmCall) -> Any:
    rows = call.crms.rows("dynamics.opportunityproducts")
    return {"value": [row for row in rows if row.get("_opportunityid_value") == call.places["id"]]}


def _audits(call: CrmCall) -> Any:
    about = call.query["$filter"].removeprefix("_objectid_value eq ")
    rows = [row for row in call.crms.rows("dynamics.audits") if row["_objectid_value"] == about]
    rows.sort(key=lambda row: str(row["createdon"]), reverse=True)
    return {
        "value": [
            {"createdon": row["createdon"], "attributemask": ",".join(str(_number(one)) for one in row["columns"])}
            for row in rows
        ]
    }


def _number(column: str) -> int:
    return zlib.crc32(column.encode()) % 10_000


def _column(call: CrmCall) -> Any:
    return {"LogicalName": call.places["name"], "ColumnNumber": _number(call.places["name"])}


def _closings(call: CrmCall) -> Any:
    about = call.query["$filter"].removeprefix("_opportunityid_value eq ")
    rows = [row for row in call.crms.rows("dynamics.opportunitycloses") if row["_opportunityid_value"] == about]
    rows.sort(key=lambda row: str(row["createdon"]), reverse=True)
    return {"value": [_chosen(row, call.query["$select"]) for row in rows]}


def _notes(call: CrmCall) -> Any:
    wanted = call.query["$filter"].rpartition(" ")[2]
    return {"value": [row for row in call.crms.rows("dynamics.annotations") if _subject_of(row) == wanted]}


def _subject_of(note: Row) -> str:
    return str(note["objectid_opportunity@odata.bind"]).removeprefix("/opportunities(").removesuffix(")")


def _add_note(call: CrmCall) -> Any:
    return {"annotationid": call.crms.plant("dynamics.annotations", call.body)}
