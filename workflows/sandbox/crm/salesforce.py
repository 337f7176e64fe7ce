"""Salesforce: sign-in, queries of one object with its references and one inner list, and tasks.

Records are planted by object with Salesforce's field names (``salesforce.Opportunity``: ``{"Id", "AccountId", …}``).
"""

import re
from collections.abc import Callable
from typing import Any

from workflows.sandbox.answers import Refused
from workflows.sandbox.crm.asgi import CrmCall, LookAlike, Way, grant_token
from workflows.sandbox.crm.crms import Crms, Row

_QUERY = re.compile(
    r"SELECT (?P<names>.+) FROM (?P<object>\w+)"
    r"(?: WHERE (?P<conditions>.+?))?(?: ORDER BY (?P<order>\w+)(?P<down> DESC)?)?(?: LIMIT (?P<limit>\d+))?"
)
_CONDITION = re.compile(r"(?P<field>\w+)(?P<how>>?=)'?(?P<value>[^' ]+)'?")
_TRACKED = frozenset({"AccountHistory", "ContractHistory", "OpportunityFieldHistory"})
"""What there is only where the organisation tracks fields."""
_INNER = re.compile(r"\(SELECT ([^)]+) FROM (\w+)\)")
_REFERENCES = {"Owner": "User"}


def salesforce(crms: Callable[[], Crms]) -> LookAlike:
    """Salesforce, mounted at ``/salesforce``."""
    return LookAlike(
        crms,
        "salesforce",
        [
            Way("POST", "/services/oauth2/token", grant_token, open=True),
            Way("GET", r"/services/data/v[\d.]+/(?P<command>query|queryAll)", _query),
            Way("POST", r"/services/data/v[\d.]+/sobjects/(?P<object>\w+)", _add, status=201),
        ],
        refused=lambda text: [{"message": text, "errorCode": "NOT_DONE"}],
    )


def _query(call: CrmCall) -> Any:
    inner = _INNER.search(call.query["q"])
    asked = _QUERY.fullmatch(_INNER.sub("", call.query["q"]))
    if asked is None:
        raise Refused(f"unexpected token: {call.query['q']}")
    rows = call.crms.rows(f"salesforce.{asked['object']}")
    if not rows and asked["object"] in _TRACKED:
        raise Refused(f"INVALID_TYPE: sObject type '{asked['object']}' is not supported")
    if call.places["command"] == "query":
        rows = [row for row in rows if not row.get("IsDeleted")]
    conditions = [_condition(one) for one in (asked["conditions"] or "").split(" AND ") if one]
    kept = [row for row in rows if all(_fits(row, *one) for one in conditions)]
    if asked["order"]:
        kept.sort(key=lambda row: str(row.get(asked["order"])), reverse=bool(asked["down"]))
    kept = kept[: int(asked["limit"] or len(kept))]
    names = [name for name in asked["names"].split(",") if name]
    records = [_shown(call.crms, row, names) for row in kept]
    for row, record in zip(kept, records, strict=True):
        if inner:
            record[inner[2]] = _children(call.crms, row, inner[2].removesuffix("s"), inner[1].split(","))
    return {"totalSize": len(records), "done": True, "records": records}


def _condition(text: str) -> tuple[str, str, str]:
    asked = _CONDITION.fullmatch(text)
    if asked is None:
        raise Refused(f"unexpected token: {text}")
    return asked["field"], asked["how"], asked["value"]


def _fits(row: Row, field: str, how: str, value: str) -> bool:
    held = str(row.get(field) or "")
    return held >= value if how == ">=" else held[:15] == value[:15] and bool(held)


def _shown(crms: Crms, row: Row, names: list[str]) -> Row:
    shown: Row = {}
    for name in names:
        first, _, rest = name.partition(".")
        if not rest:
            shown[name] = row.get(name)
            continue
        other = crms.row(f"salesforce.{_REFERENCES.get(first, first)}", row.get(f"{first}Id"))
        shown[first] = None if other is None else {**(shown.get(first) or {}), rest: other.get(rest)}
    return shown


def _children(crms: Crms, row: Row, kind: str, names: list[str]) -> Row | None:
    rows = [one for one in crms.rows(f"salesforce.{kind}") if one.get("OpportunityId") == row["Id"]]
    return {"totalSize": len(rows), "records": [_shown(crms, one, names) for one in rows]} if rows else None


def _add(call: CrmCall) -> Any:
    return {"id": call.crms.plant(f"salesforce.{call.places['object']}", call.body), "success": True, "errors": []}
