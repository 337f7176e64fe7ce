"""The set-up lists of a plausible MSP's tenant, as they are before the first client comes."""

import copy
from collections.abc import Mapping
from typing import Any

from workflows.sandbox.halopsa.reference import (
    API_AGENT,
    CLIENT_FIELDS,
    CONTRACT_FIELDS,
    INTERNAL_NOTE_OUTCOME,
    LOST_STATUS,
    TICKET_FIELDS,
    UNASSIGNED_AGENT,
    WON_STATUS,
)
from workflows.sandbox.halopsa.store import Record

IMPACTS, CHARGE_TYPES, URGENCIES, CUSTOMER_TYPES, BILLING_CATEGORIES = 12, 17, 27, 33, 58
COUNTRIES, REGIONS, RELATIONSHIPS = 74, 77, 89
_STATUS_TYPES = {"ticket": 0, "opportunity": 1}
_FILTERS = {"Lookup": "lookupid", "FieldInfo": "typeid", "Priority": "slaid", "Status": "type"}
_IN_DETAIL_ONLY = frozenset({"fields", "allowed_status"})

_LOOKUP_VALUES: dict[int, Mapping[int | str, str]] = {
    CUSTOMER_TYPES: {1: "Customer", 2: "Prospect", 3: "Lead", 4: "Partner", 5: "Vendor"},
    COUNTRIES: {
        "14": "Australia",
        "40": "Canada",
        "82": "Germany",
        "224": "United Kingdom",
        "225": "United States",
    },
    REGIONS: {14: "Illinois", 33: "New York"},
    RELATIONSHIPS: {1: "Customer", 2: "Prospect", 3: "Supplier"},
    CHARGE_TYPES: {1: "Labour", 2: "Travel"},
    IMPACTS: {1: "Company wide", 2: "Several users", 3: "Single user"},
    URGENCIES: {1: "High", 2: "Medium", 3: "Low"},
    BILLING_CATEGORIES: {1: "Managed services", 2: "Projects"},
}
_LOOKUPS: list[Record] = [
    {"id": key, "lookupid": lookup, "name": name, "value": name}
    for lookup, entries in _LOOKUP_VALUES.items()
    for key, name in entries.items()
]
_RESOLUTION: Record = {"id": 210, "name": "CFResolution", "label": "Resolution", "typeid": TICKET_FIELDS}


def _ticket_type(type_id: int, name: str, **more: Any) -> Record:
    plain: Record = {
        "id": type_id,
        "name": name,
        "use": "tickettype",
        "initial_status": 1,
        "allowall_status": True,
        "allowed_status": [],
        "hasmandatorytechfields": False,
        "fields": [],
        "mustclosechildbeforeclosurebool": True,
        "approval_process_id": 0,
    }
    return plain | more


def _mandatory(field: Record) -> Record:
    return {"fieldid": field["id"], "fieldname": field["name"], "fieldinfo": field | {"mandatory": True}}


_REFERENCE: dict[str, list[Record]] = {
    "Status": [
        {"id": 1, "name": "New", "shortname": "New", "type": 0, "sequence": 1},
        {"id": 2, "name": "In Progress", "shortname": "Open", "type": 0, "sequence": 2},
        {"id": 8, "name": "Cancelled", "shortname": "Cancelled", "type": 0, "sequence": 8},
        {"id": 9, "name": "Closed", "shortname": "Closed", "type": 0, "sequence": 9},
        {"id": 23, "name": "On Hold", "shortname": "Hold", "type": 0, "sequence": 3},
        {"id": WON_STATUS, "name": "Won", "shortname": "Won", "type": 1, "sequence": 20},
        {"id": LOST_STATUS, "name": "Lost", "shortname": "Lost", "type": 1, "sequence": 21},
    ],
    "TicketType": [
        _ticket_type(1, "Incident"),
        _ticket_type(3, "Service Request"),
        _ticket_type(23, "Alert"),
        _ticket_type(25, "Onboarding"),
        _ticket_type(26, "Offboarding"),
        _ticket_type(27, "Change", approval_process_id=1),
        _ticket_type(28, "Complaint", hasmandatorytechfields=True, fields=[_mandatory(_RESOLUTION)]),
        _ticket_type(29, "Project", mustclosechildbeforeclosurebool=False),
        _ticket_type(
            30, "Return", allowall_status=False, allowed_status=[{"status_id": status} for status in (1, 2, 8)]
        ),
    ],
    "Team": [{"id": 1, "name": "1st Line Support"}, {"id": 2, "name": "Projects"}, {"id": 3, "name": "Finance"}],
    "Agent": [
        {"id": UNASSIGNED_AGENT, "name": "Unassigned", "email": "", "isdisabled": False},
        {
            "id": 3,
            "name": "Jane Miller",
            "email": "jane@msp.example",
            "team": "1st Line Support",
            "isdisabled": False,
        },
        {"id": API_AGENT, "name": "API Agent", "email": "", "isapiagent": True, "isdisabled": False},
        {"id": 5, "name": "Omar Reed", "email": "omar@msp.example", "team": "Projects", "isdisabled": False},
        {"id": 9, "name": "Left The Company", "email": "left@msp.example", "isdisabled": True},
    ],
    "Outcome": [
        {"id": 1, "outcome": "First User Email", "name": "First User Email"},
        {"id": INTERNAL_NOTE_OUTCOME, "outcome": "Internal Note", "name": "Internal Note"},
        {"id": 15, "outcome": "Resolved", "name": "Resolved"},
    ],
    "Priority": [
        {
            "id": "5a1c2f70-8d3e-4b44-9a51-0f6f5d1f3a01",
            "slaid": 2,
            "priorityid": 1,
            "name": "Urgent",
            "ishidden": False,
        },
        {
            "id": "5a1c2f70-8d3e-4b44-9a51-0f6f5d1f3a02",
            "slaid": 2,
            "priorityid": 3,
            "name": "Medium",
            "ishidden": False,
        },
        {
            "id": "5a1c2f70-8d3e-4b44-9a51-0f6f5d1f3a03",
            "slaid": 3,
            "priorityid": 3,
            "name": "Medium",
            "ishidden": False,
        },
    ],
    "SLA": [{"id": 2, "name": "Standard"}, {"id": 3, "name": "Premium"}],
    "AssetType": [{"id": 130, "name": "Monitor"}, {"id": 131, "name": "Laptop"}, {"id": 132, "name": "Server"}],
    "Currency": [
        {"id": 1, "name": "Pound sterling", "code": "GBP", "symbol": "£"},
        {"id": 2, "name": "US dollar", "code": "USD", "symbol": "$"},
    ],
    "TopLevel": [{"id": 1, "name": "Customers"}, {"id": 2, "name": "Internal"}],
    "FieldInfo": [
        {"id": 201, "name": "CFCrmId", "label": "CRM id", "typeid": CLIENT_FIELDS},
        _RESOLUTION,
        {"id": 220, "name": "CFServiceLevel", "label": "Service level", "typeid": CONTRACT_FIELDS},
    ],
    "Lookup": _LOOKUPS,
}


def reference_data() -> dict[str, list[Record]]:
    """A fresh copy of every set-up list, by entity.

    The usual built-in ids (statuses 1, 2, 8 and 9, agent 1, outcome 7) are those that integrations report.
    """
    return copy.deepcopy(_REFERENCE)


def read_setup_list(rows: list[Record], name: str, query: Mapping[str, str]) -> list[Record]:
    """The rows of a set-up list that a query asks for, without what only single reads show.

    Args:
        rows: the whole list.
        name: the list's.
        query: names in lower case.
    """
    field = _FILTERS.get(name, "")
    if field in query:
        wanted = str(_STATUS_TYPES.get(query[field].lower(), query[field]))
        rows = [row for row in rows if str(row.get(field, 0)) == wanted]
    return [{name: value for name, value in row.items() if name not in _IN_DETAIL_ONLY} for row in rows]


def read_setup_row(rows: list[Record], name: str, wanted: str) -> Record | None:
    """The row of a set-up list with this id, whole; None if there is none. ``me`` is the agent that is logged in.

    Args:
        rows: the whole list.
        name: the list's.
        wanted: the id, in lower case.
    """
    row_id = str(API_AGENT) if (name, wanted) == ("Agent", "me") else wanted
    return next((row for row in rows if str(row["id"]).lower() == row_id), None)
