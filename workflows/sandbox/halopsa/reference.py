"""The set-up lists of a plausible MSP's tenant, as they are before the first client comes."""

import copy
from collections.abc import Mapping

from workflows.sandbox.halopsa.store import Record

CLOSED_STATUSES = frozenset({8, 9})
UNASSIGNED_AGENT = 1
API_AGENT = 4
GENERAL_USER = "General User"
INTERNAL_NOTE_OUTCOME = 7

CUSTOMER_TYPES = 33
COUNTRIES = 74
REGIONS = 77
RELATIONSHIPS = 89


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
}
_LOOKUPS: list[Record] = [
    {"id": key, "lookupid": lookup, "name": name, "value": name}
    for lookup, entries in _LOOKUP_VALUES.items()
    for key, name in entries.items()
]
_REFERENCE: dict[str, list[Record]] = {
    "Status": [
        {"id": 1, "name": "New", "shortname": "New", "type": 0, "sequence": 1},
        {"id": 2, "name": "In Progress", "shortname": "Open", "type": 0, "sequence": 2},
        {"id": 8, "name": "Cancelled", "shortname": "Cancelled", "type": 0, "sequence": 8},
        {"id": 9, "name": "Closed", "shortname": "Closed", "type": 0, "sequence": 9},
        {"id": 23, "name": "On Hold", "shortname": "Hold", "type": 0, "sequence": 3},
    ],
    "TicketType": [
        {"id": 1, "name": "Incident", "initial_status": 1},
        {"id": 3, "name": "Service Request", "initial_status": 1},
        {"id": 23, "name": "Alert", "initial_status": 1},
        {"id": 25, "name": "Onboarding", "initial_status": 1},
        {"id": 26, "name": "Offboarding", "initial_status": 1},
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
    "TopLevel": [{"id": 1, "name": "Customers"}, {"id": 2, "name": "Internal"}],
    "FieldInfo": [{"id": 201, "name": "CFCrmId", "label": "CRM id", "typeid": 2}],
    "Lookup": _LOOKUPS,
}


def reference_data() -> dict[str, list[Record]]:
    """A fresh copy of every set-up list, by entity.

    The usual built-in ids (statuses 1, 2, 8 and 9, agent 1, outcome 7) are those that integrations report.
    """
    return copy.deepcopy(_REFERENCE)
