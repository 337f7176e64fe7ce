"""Zoho CRM: sign-in, deals, accounts and contacts with all their fields, stages, and notes.

Records are planted as Zoho gives them; a deal's ``stages`` are the values of its stage history, or its entries, and a
record's ``timeline`` has the entries of that.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from workflows.sandbox.answers import Refused
from workflows.sandbox.crm.asgi import CrmCall, LookAlike, Way, grant_token, required
from workflows.sandbox.crm.crms import TOKEN, Crms, Row

_PAGE: Final = 200
_NUMBERED: Final = 2000
"""So many records can be had by the number of their page; the others by a token."""

AN_HOUR: Final = timedelta(hours=1)
A_WEEK: Final = timedelta(days=7)


def zoho(crms: Callable[[], Crms]) -> LookAlike:
    """Zoho, mounted at ``/zoho``, its sign-in included."""
    record = r"/crm/v7/(?P<kind>Deals|Accounts|Contacts)/(?P<id>[^/]+)"
    return LookAlike(
        crms,
        "zoho",
        [
            Way("POST", "/oauth/v2/token", grant_token, open=True),
            Way("GET", "/crm/v7/settings/layouts", lambda _: {"layouts": [{"id": "1", "name": "Standard"}]}),
            Way("GET", "/crm/v7/settings/pipeline", lambda call: {"pipeline": call.crms.rows("zoho.pipeline")}),
            Way("POST", "/crm/v7/actions/watch", _watch, status=201),
            Way("GET", f"{record}/Stage_History", _stage_history),
            Way("GET", f"{record}/__timeline", _timeline),
            Way("GET", f"{record}/Notes", _notes),
            Way("POST", f"{record}/Notes", _add_note, status=201),
            Way("GET", record, _read),
            Way("GET", r"/crm/v7/(?P<kind>Deals|Accounts)", _list),
        ],
        proof=("authorization", f"Zoho-oauthtoken {TOKEN}"),
        refused=lambda text: {"code": "NOT_DONE", "message": text, "status": "error", "details": {}},
    )


def _read(call: CrmCall) -> Any:
    row = call.crms.row(f"zoho.{call.places['kind']}", call.places["id"])
    return None if row is None else {"data": [row]}


def _list(call: CrmCall) -> Any:
    since = datetime.fromisoformat(call.headers["if-modified-since"])
    rows = [row for row in call.crms.rows(f"zoho.{call.places['kind']}") if "Modified_Time" in row]
    rows = [row for row in rows if datetime.fromisoformat(row["Modified_Time"]) >= since]
    first = int(call.query.get("page_token") or (int(call.query.get("page", 1)) - 1) * _PAGE)
    if "page_token" not in call.query and first >= _NUMBERED:
        raise Refused("DISCRETE_PAGINATION_LIMIT_EXCEEDED")
    more = len(rows) > first + _PAGE
    info = {"more_records": more, "next_page_token": str(first + _PAGE) if more else None}
    if not rows:
        raise Refused("not modified", 304)
    return {"data": rows[first : first + _PAGE], "info": info}


def _stage_history(call: CrmCall) -> Any:
    row: Row = required(call.crms.row("zoho.Deals", call.places["id"]))
    stages = row.get("stages", [row.get("Stage")])
    usual = "2026-11-23T09:00:00+00:00"
    return {
        "data": [stage if isinstance(stage, dict) else {"Stage": stage, "Modified_Time": usual} for stage in stages]
    }


def _timeline(call: CrmCall) -> Any:
    row: Row = required(call.crms.row(f"zoho.{call.places['kind']}", call.places["id"]))
    first = int(call.query.get("page_token", 0))
    entries, more = row.get("timeline", [])[first : first + _PAGE], len(row.get("timeline", [])) > first + _PAGE
    info = {"next_page_token": str(first + _PAGE) if more else None, "more_records": more}
    return {"__timeline": entries, "info": info} if entries else None


def _watch(call: CrmCall) -> Any:
    """Open channels, or renew them: for an hour where no end is asked for, or one that is more than a week away."""
    return {"watch": [_channel(call.crms, wanted) for wanted in call.body["watch"]]}


def _channel(crms: Crms, wanted: Row) -> Row:
    if not str(wanted.get("notify_url", "")).startswith("https://"):
        details = {"api_name": "notify_url", "json_path": "$.watch[0].notify_url"}
        return {"code": "INVALID_DATA", "details": details, "message": "invalid data", "status": "error"}
    now = datetime.now(UTC)
    asked = datetime.fromisoformat(wanted.get("channel_expiry") or now.isoformat())
    until = asked if now < asked <= now + A_WEEK else now + AN_HOUR
    number = crms.plant("zoho.channels", {**wanted, "id": wanted["channel_id"], "channel_expiry": until.isoformat()})
    modules = dict.fromkeys(event.partition(".")[0] for event in wanted["events"])
    events = [{"channel_expiry": until.isoformat(), "resource_name": name, "channel_id": number} for name in modules]
    told = "Successfully subscribed for actions-watch of the given module"
    return {"code": "SUCCESS", "details": {"events": events}, "message": told, "status": "success"}


def _notes(call: CrmCall) -> Any:
    rows = [row for row in call.crms.rows("zoho.Notes") if row["Parent_Id"] == call.places["id"]]
    return {"data": rows} if rows else None


def _add_note(call: CrmCall) -> Any:
    (note,) = call.body["data"]
    identity = call.crms.plant("zoho.Notes", note | {"Parent_Id": call.places["id"]})
    return {"data": [{"code": "SUCCESS", "details": {"id": identity}}]}
