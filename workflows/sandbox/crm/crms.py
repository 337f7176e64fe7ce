"""The CRMs' state: what they hold, what was asked of them, what goes wrong."""

import copy
import itertools
from collections import Counter
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

Row = dict[str, Any]

SYSTEMS: Final = ("hubspot", "pipedrive", "salesforce", "dynamics", "zoho")
TOKEN: Final = "sandbox-token"  # noqa: S105 - opens nothing but the sandbox
_FIRST_ID: Final = 1001
_KEYS: Final = {"salesforce": "Id", "dynamics.accounts": "accountid", "dynamics.opportunities": "opportunityid"}
_PIPELINES: Final[list[Row]] = [
    {
        "id": "default",
        "label": "Sales Pipeline",
        "stages": [
            {"id": "contractsent", "label": "Contract Sent", "metadata": {"isClosed": "false", "probability": "0.9"}},
            {"id": "closedwon", "label": "Closed Won", "metadata": {"isClosed": "true", "probability": "1.0"}},
            {"id": "closedlost", "label": "Closed Lost", "metadata": {"isClosed": "true", "probability": "0.0"}},
        ],
    },
    {
        "id": "44915201",
        "label": "Renewals",
        "stages": [
            {"id": "93718812", "label": "Renewed", "metadata": {"isClosed": "true", "probability": "1.0"}},
            {"id": "93718813", "label": "Churned", "metadata": {"isClosed": "true", "probability": "0.0"}},
        ],
    },
]
_STAGES: Final[list[Row]] = [
    {"display_value": "Proposal", "actual_value": "Proposal", "forecast_type": "Open"},
    {"display_value": "Closed Won", "actual_value": "Closed Won", "forecast_type": "Closed Won"},
    {"display_value": "Closed Lost", "actual_value": "Closed Lost", "forecast_type": "Closed Lost"},
]
_SET_UP: Final[dict[str, list[Row]]] = {
    "hubspot.pipelines": _PIPELINES,
    "pipedrive.pipelines": [{"id": 1, "name": "Sales"}, {"id": 2, "name": "Renewals"}],
    "zoho.pipeline": [{"id": "1", "display_value": "Standard", "maps": _STAGES}],
    "salesforce.Organization": [{"Id": "00D7F00000107XsUAI"}],
}


class CrmFaults(BaseModel):
    """What goes wrong at one CRM.

    Attributes:
        limit_nth: numbers of requests (from 1) that get a 429.
        retry_after: seconds that a 429 says to wait; None for no word of it.
        fail_nth: numbers of requests that get a 502 in HTML.
        refuse_token: the token does not count.
        forbid: requests that the token does not allow: ``GET /hubspot/crm/v3/owners/1``.
        lose_writes: writes are done, and their answers are lost.
    """

    model_config = ConfigDict(extra="forbid")

    limit_nth: frozenset[int] = frozenset()
    retry_after: int | None = None
    fail_nth: frozenset[int] = frozenset()
    refuse_token: bool = False
    forbid: frozenset[str] = frozenset()
    lose_writes: bool = False


class SwitchedFaults(BaseModel):
    """The faults of every CRM, by its word."""

    model_config = ConfigDict(extra="forbid")

    hubspot: CrmFaults = Field(default_factory=CrmFaults)
    pipedrive: CrmFaults = Field(default_factory=CrmFaults)
    salesforce: CrmFaults = Field(default_factory=CrmFaults)
    dynamics: CrmFaults = Field(default_factory=CrmFaults)
    zoho: CrmFaults = Field(default_factory=CrmFaults)


class Crms:
    """Five CRMs that stand nowhere but here.

    Attributes:
        tables: the records by ``<crm>.<table>`` and id.
        requests: how often each request arrived (``"GET /hubspot/crm/v3/pipelines/deals"``).
        arrived: how many requests each CRM got.
        faults: what goes wrong.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Row]] = {}
        self.requests: Counter[str] = Counter()
        self.arrived: Counter[str] = Counter()
        self.faults = SwitchedFaults()
        self._ids = itertools.count(_FIRST_ID)
        for table, rows in _SET_UP.items():
            for row in copy.deepcopy(rows):
                self.plant(table, row)

    def plant(self, table: str, row: Row) -> str:
        """Put a record in as if a person had made it; one with the same id is replaced.

        Args:
            table: ``<crm>.<table>``: ``hubspot.deals``, ``salesforce.Opportunity``.
            row: the record as the CRM gives it; without an id it gets one.

        Returns:
            Its id.

        Raises:
            ValueError: there is no such CRM.
        """
        system = table.partition(".")[0]
        if system not in SYSTEMS:
            raise ValueError(f"{table} is no CRM's table")
        key = _KEYS.get(table) or _KEYS.get(system, "id")
        row = row if row.get(key) else row | {key: str(next(self._ids))}
        self.tables.setdefault(table, {})[str(row[key])] = row
        return str(row[key])

    def rows(self, table: str) -> list[Row]:
        """Give a table's records."""
        return list(self.tables.get(table, {}).values())

    def row(self, table: str, identity: Any) -> Row | None:
        """Give a record by its id."""
        return self.tables.get(table, {}).get(str(identity))

    def state(self) -> dict[str, list[Row]]:
        """A copy of every record by table."""
        return {table: copy.deepcopy(list(rows.values())) for table, rows in self.tables.items()}
