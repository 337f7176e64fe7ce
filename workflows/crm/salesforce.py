"""Salesforce: opportunities, contracts and accounts, and what belongs to them.

Queries and sign-in: developer.salesforce.com, "REST API" and "SOQL and SOSL Reference".
"""

import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from worker.events import Event
from worker.run import Guard
from workflows.crm.api import Api, CrmRefused
from workflows.crm.mapping import at, moment_of, yes
from workflows.crm.records import Change, Fields, Outcome, Record, Wanted, Words, lost_again
from workflows.crm.sign_in import FetchedToken

ID: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
OBJECTS: Final = {"opportunity": "Opportunity", "account": "Account", "contract": "Contract"}
OWN: Final = {
    "opportunity": (
        *("Id", "AccountId", "OwnerId", "StageName", "IsWon", "IsClosed", "CloseDate", "LastStageChangeDate"),
        *("HasOpportunityLineItem", "Owner.Email"),
    ),
    "account": ("Id",),
    "contract": ("Id", "AccountId", "Status", "EndDate"),
}
"""What is read whatever the mapping is."""
HISTORIES: Final = {
    "opportunity": ("OpportunityFieldHistory", "OpportunityId"),
    "account": ("AccountHistory", "AccountId"),
    "contract": ("ContractHistory", "ContractId"),
}
"""Where the changes of tracked fields stand, and which field names the record."""
WON_FORECAST: Final = "Closed"
"""The forecast category of won stages in an opportunity's history; lost ones are "Omitted"."""
FIELDS: Final[Fields] = {
    "deal.name": ("opportunity.Name",),
    "deal.kind": ("opportunity.Type",),
    "deal.amount": ("opportunity.Amount",),
    "deal.owner_email": ("owner.Email",),
    "deal.lines.sku": ("line_item.Product2.ProductCode",),
    "deal.lines.name": ("line_item.Product2.Name",),
    "deal.lines.quantity": ("line_item.Quantity",),
    "deal.lines.unit_price": ("line_item.UnitPrice",),
    "client.name": ("account.Name",),
    "client.phone": ("account.Phone",),
    "client.website": ("account.Website",),
    "client.notes": ("account.Description",),
    "client.account_manager_email": ("owner.Email",),
    "site.line1": ("account.BillingStreet",),
    "site.city": ("account.BillingCity",),
    "site.region": ("account.BillingState",),
    "site.postcode": ("account.BillingPostalCode",),
    "site.country": ("account.BillingCountry",),
    "site.phone": ("account.Phone",),
    "contact.name": ("contact.Name",),
    "contact.first_name": ("contact.FirstName",),
    "contact.last_name": ("contact.LastName",),
    "contact.email": ("contact.Email",),
    "contact.phone": ("contact.Phone",),
    "contact.mobile": ("contact.MobilePhone",),
    "contact.job_title": ("contact.Title",),
    "last_service_day": ("contract.EndDate",),
}


class Salesforce:
    """Salesforce's client.

    Args:
        client_id: of the connected app, which may use the client credentials flow.
        client_secret: the app's.
        url: the organisation's own address (``https://example.my.salesforce.com``).
        version: of the API.
        transport: sends the requests; None opens network connections.
    """

    name = "Salesforce"
    words = Words(deal="opportunity", client="account", pipeline="RecordType.Name")
    kinds: Collection[str] = OBJECTS.keys()
    fields = FIELDS

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        url: str,
        version: str = "v60.0",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        grant = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        sign_in = f"{url.rstrip('/')}/services/oauth2/token"
        auth = FetchedToken("Salesforce", sign_in, grant)
        self._api = Api("Salesforce", url, auth, transport=transport)
        self._data = f"/services/data/{version}"

    async def read(self, kind: str, record_id: str, wanted: Wanted) -> Record | None:
        """Read a record together with its account, its owner and its contacts; None where it is gone.

        An account that was merged away comes as the one that it was merged into.
        """
        if not ID.fullmatch(record_id):
            return None
        names = [*OWN[kind], *wanted.get(kind, ())]
        if kind != "account":
            names += ["Account.Id", *(f"Account.{name}" for name in wanted.get("account", ()))]
        if kind == "opportunity":
            people = (f"Contact.{name}" for name in ("Id", *wanted.get("contact", ())))
            names.append(f"({_select(['IsPrimary', *people], 'OpportunityContactRoles')})")
        rows = await self._query(_select(names, OBJECTS[kind], f"Id='{record_id}'"))
        if rows:
            return Record(kind, str(rows[0].get("Id") or record_id), rows[0])
        return await self._survivor(record_id, wanted) if kind == "account" else None

    async def outcome(self, deal: Record, event: Event) -> Outcome:
        """An opportunity knows whether it is won; what it was before stands in its history."""
        del event
        if yes(deal.values.get("IsWon")):
            stamps = (deal.values.get(name) for name in ("LastStageChangeDate", "CloseDate"))
            return Outcome(won=True, at=next((one for one in map(moment_of, stamps) if one), None))
        names = ["StageName", "ForecastCategory", "CreatedDate"]
        condition = f"OpportunityId='{deal.id}' ORDER BY CreatedDate DESC"
        history = await self._history(_select(names, "OpportunityHistory", condition))
        return lost_again(
            (row.get("ForecastCategory") == WON_FORECAST, moment_of(row.get("CreatedDate"))) for row in history
        )

    async def client_of(self, record: Record, wanted: Wanted) -> Record | None:
        """Give the account, which came with the record."""
        del wanted
        if record.object == "account":
            return record
        account = record.values.get("Account")
        if not isinstance(account, Mapping):
            return None
        return Record("account", str(account.get("Id") or record.values.get("AccountId")), account)

    async def contacts_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Give the contacts that have a role in the opportunity, the primary one first; they came with it."""
        del wanted
        roles = at(deal.values, "OpportunityContactRoles.records") or []
        people = [role.get("Contact") or {} for role in sorted(roles, key=lambda role: not yes(role.get("IsPrimary")))]
        # A contact may have several roles.
        found = {str(one.get("Id") or one.get("Email")): one for one in people if one}
        return [Record("contact", str(one.get("Id") or ""), one) for one in found.values()]

    async def owner_of(self, deal: Record) -> Mapping[str, Any]:
        """Give the owner, who came with the opportunity."""
        owner = deal.values.get("Owner")
        return owner if isinstance(owner, Mapping) else {}

    async def lines_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Read the products of the opportunity."""
        if not yes(deal.values.get("HasOpportunityLineItem")):
            return []
        names = ["Id", *wanted.get("line_item", ())]
        rows = await self._query(_select(names, "OpportunityLineItem", f"OpportunityId='{deal.id}'"))
        return [Record("line_item", str(row.get("Id")), row) for row in rows]

    async def label(self, record: Record, name: str) -> str:
        """Picklists hold the names themselves."""
        del record, name
        return ""

    def told(self, event: Event, name: str) -> bool:
        """Messages hold fields, not changes: any may have changed."""
        del event, name
        return True

    async def changes(self, record: Record, name: str) -> Sequence[Change]:
        """Give the time when an opportunity came into its stage; other fields have a history where they are tracked."""
        if name == "StageName" and (since := moment_of(record.values.get("LastStageChangeDate"))):
            return [Change(None, since)]
        history, key = HISTORIES[record.object]
        # A reference ("RecordType.Name") is tracked under its own name.
        condition = f"{key}='{record.id}' AND Field='{name.partition('.')[0]}' ORDER BY CreatedDate DESC"
        rows = await self._history(_select(["OldValue", "CreatedDate"], history, condition))
        return [Change(row.get("OldValue"), moment_of(row.get("CreatedDate"))) for row in rows]

    async def account(self) -> str:
        """Give the organisation's id."""
        rows = await self._query("SELECT Id FROM Organization")
        return str(rows[0]["Id"]) if rows else ""

    async def changed_since(self, moment: datetime, kind: str) -> AsyncIterator[tuple[str, datetime]]:
        """Query by ``LastModifiedDate``."""
        since = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = f"LastModifiedDate>={since} ORDER BY LastModifiedDate"
        for row in await self._query(_select(["Id", "LastModifiedDate"], OBJECTS[kind], condition), patient=True):
            yield str(row["Id"]), moment_of(row.get("LastModifiedDate")) or moment

    async def note(self, deal_id: str, mark: str, body: str, guard: Guard) -> bool:
        """Write a completed task with the mark as its subject, unless the opportunity has one."""
        if not ID.fullmatch(deal_id):
            return False
        known = await self._query(_select(["Id", "Subject"], "Task", f"WhatId='{deal_id}'"))
        if any(row.get("Subject") == mark for row in known):
            return False
        task = {"WhatId": deal_id, "Subject": mark, "Description": body, "Status": "Completed"}
        await self._api.send("POST", f"{self._data}/sobjects/Task", guard=guard, json=task)
        return True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    async def _history(self, soql: str) -> list[Mapping[str, Any]]:
        """Query a history; nothing where none is kept (INVALID_TYPE) or it may not be read."""
        try:
            return await self._query(soql)
        except CrmRefused:
            return []

    async def _survivor(self, record_id: str, wanted: Wanted) -> Record | None:
        soql = _select(["MasterRecordId"], "Account", f"Id='{record_id}'")
        gone = await self._query(soql, "queryAll")
        master = str(gone[0].get("MasterRecordId") or "") if gone else ""
        return await self.read("account", master, wanted) if master and master != record_id else None

    async def _query(self, soql: str, command: str = "query", *, patient: bool = False) -> list[Mapping[str, Any]]:
        ask = self._api.search if patient else self._api.send
        answer = await ask("GET", f"{self._data}/{command}", params={"q": soql})
        rows = list(answer.get("records") or ())
        while following := answer.get("nextRecordsUrl"):
            # The path alone, so that the token goes nowhere else.
            answer = await ask("GET", httpx.URL(following).path)
            rows += answer.get("records") or ()
        return rows


def _select(names: Iterable[str], kind: str, condition: str = "") -> str:
    # Ids are checked before they come here; names are the policy's.
    query = f"SELECT {','.join(dict.fromkeys(names))} FROM {kind}"  # noqa: S608 - as above
    return f"{query} WHERE {condition}" if condition else query
