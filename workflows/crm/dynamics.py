"""Dynamics 365 (Dataverse): opportunities and accounts, and what belongs to them.

Paths and states: learn.microsoft.com, "Use the Microsoft Dataverse Web API" and the tables opportunity and account.
"""

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from worker.events import Event
from worker.run import Guard
from workflows.crm.api import Api, CrmRefused, RecordGone
from workflows.crm.mapping import at, moment_of, text
from workflows.crm.records import Change, Fields, Outcome, Record, Wanted, Words
from workflows.crm.sign_in import FetchedToken

LOGIN_URL: Final = "https://login.microsoftonline.com"
ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SETS: Final = {"opportunity": "opportunities", "account": "accounts"}
OWN: Final = {
    "opportunity": ("opportunityid", "statecode", "statuscode", "actualclosedate"),
    "account": ("accountid", "merged", "_masterid_value"),
}
"""What is read whatever the mapping is."""
OPEN, WON = "0", "1"
"""Values of an opportunity's statecode; 2 is lost."""
LABEL: Final = "OData.Community.Display.V1.FormattedValue"
FIELDS: Final[Fields] = {
    "deal.name": ("opportunity.name",),
    "deal.amount": ("opportunity.actualvalue", "opportunity.estimatedvalue"),
    "deal.owner_email": ("owner.internalemailaddress",),
    "deal.lines.name": ("line_item.productname",),
    "deal.lines.quantity": ("line_item.quantity",),
    "deal.lines.unit_price": ("line_item.priceperunit",),
    "client.name": ("account.name",),
    "client.email": ("account.emailaddress1",),
    "client.phone": ("account.telephone1",),
    "client.website": ("account.websiteurl",),
    "client.notes": ("account.description",),
    "client.account_manager_email": ("owner.internalemailaddress",),
    "site.line1": ("account.address1_line1",),
    "site.line2": ("account.address1_line2",),
    "site.city": ("account.address1_city",),
    "site.region": ("account.address1_stateorprovince",),
    "site.postcode": ("account.address1_postalcode",),
    "site.country": ("account.address1_country",),
    "site.phone": ("account.telephone1",),
    "contact.name": ("contact.fullname",),
    "contact.first_name": ("contact.firstname",),
    "contact.last_name": ("contact.lastname",),
    "contact.email": ("contact.emailaddress1",),
    "contact.phone": ("contact.telephone1",),
    "contact.mobile": ("contact.mobilephone",),
    "contact.job_title": ("contact.jobtitle",),
}


class Dynamics:
    """Dynamics' client.

    Args:
        tenant: the directory (tenant) id in Microsoft Entra.
        client_id: of the registered application, which is an application user in Dynamics.
        client_secret: the application's.
        url: the organisation's address (``https://example.crm.dynamics.com``).
        login_url: where tokens are granted.
        version: of the API.
        transport: sends the requests; None opens network connections.
    """

    name = "Dynamics"
    words = Words(deal="opportunity", client="account")
    kinds: Collection[str] = SETS.keys()
    fields = FIELDS

    def __init__(
        self,
        tenant: str,
        client_id: str,
        client_secret: str,
        *,
        url: str,
        login_url: str = LOGIN_URL,
        version: str = "v9.2",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        grant = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        grant |= {"scope": f"{url.rstrip('/')}/.default"}
        sign_in = f"{login_url.rstrip('/')}/{tenant}/oauth2/v2.0/token"
        auth = FetchedToken("Dynamics", sign_in, grant)
        headers = {"OData-Version": "4.0", "OData-MaxVersion": "4.0", "Prefer": f'odata.include-annotations="{LABEL}"'}
        self._api = Api("Dynamics", url, auth, transport=transport, headers=headers)
        self._data = f"/api/data/{version}"
        self._numbers: dict[tuple[str, str], str] = {}

    async def read(self, kind: str, record_id: str, wanted: Wanted) -> Record | None:
        """Read a record, an opportunity together with account, contacts and owner; None where it is gone.

        An account that was merged away comes as the one that it was merged into.
        """
        if not ID.fullmatch(record_id):
            return None
        params = {"$select": _columns(kind, wanted)}
        if kind == "opportunity":
            account, contact = _columns("account", wanted), ",".join(["contactid", *wanted.get("contact", ())])
            params["$expand"] = (
                f"customerid_account($select={account}),parentaccountid($select={account}),"
                f"customerid_contact($select={contact}),parentcontactid($select={contact}),"
                "owninguser($select=internalemailaddress,fullname)"
            )
        try:
            row = await self._api.send("GET", f"{self._data}/{SETS[kind]}({record_id})", params=params)
        except RecordGone:
            return None
        master = str(row.get("_masterid_value") or "") if row.get("merged") else ""
        if master and master != record_id:
            return await self.read(kind, master, wanted)
        return Record(kind, str(row.get(f"{kind}id") or record_id), row)

    async def outcome(self, deal: Record, event: Event) -> Outcome:
        """An opportunity has a state; its closings say what it was before.

        Where they do not, one that is told to be open now was closed before.
        """
        state = text(deal.values.get("statecode"))
        if state == WON:
            return Outcome(won=True, at=moment_of(deal.values.get("actualclosedate")))
        closings = await self._closings(deal)
        if not closings:
            return Outcome(won=False, won_before=state == OPEN and text(at(event.data, "values.statecode")) == OPEN)
        win = next((one for one in closings if text(one.get("opportunitystatecode")) == WON), None)
        # A closing is cancelled, and so modified, when its opportunity is reopened (Microsoft Learn, OpportunityClose).
        return Outcome(won=False, won_before=win is not None, at=moment_of(win.get("modifiedon")) if win else None)

    async def client_of(self, record: Record, wanted: Wanted) -> Record | None:
        """Give the account, which came with the opportunity: its customer, or the customer's."""
        del wanted
        if record.object == "account":
            return record
        account = record.values.get("customerid_account") or record.values.get("parentaccountid")
        if not isinstance(account, Mapping):
            return None
        return Record("account", str(account.get("accountid") or record.values.get("_customerid_value")), account)

    async def contacts_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Give the opportunity's contact, who came with it."""
        del wanted
        person = deal.values.get("parentcontactid") or deal.values.get("customerid_contact")
        return [Record("contact", str(person.get("contactid") or ""), person)] if isinstance(person, Mapping) else []

    async def owner_of(self, deal: Record) -> Mapping[str, Any]:
        """Give the owner, who came with the opportunity."""
        owner = deal.values.get("owninguser")
        return owner if isinstance(owner, Mapping) else {}

    async def lines_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Read the products of the opportunity."""
        path = f"{self._data}/opportunities({deal.id})/product_opportunities"
        params = {"$select": ",".join(["opportunityproductid", *wanted.get("line_item", ())])}
        rows = (await self._api.send("GET", path, params=params)).get("value") or ()
        return [Record("line_item", str(row.get("opportunityproductid")), row) for row in rows]

    async def label(self, record: Record, name: str) -> str:
        """Give the label of a choice, which comes with the record."""
        return str(record.values.get(f"{name}@{LABEL}") or "")

    def told(self, event: Event, name: str) -> bool:
        """Whether the column came along; above 256 KB none do."""
        values = event.data.get("values") or {}
        return not values or name in values

    async def changes(self, record: Record, name: str) -> Sequence[Change]:
        """Give the time when an opportunity was closed; of other columns that of the latest audit."""
        closed = moment_of(record.values.get("actualclosedate")) if name in {"statecode", "statuscode"} else None
        if closed:
            return [Change(None, closed)]
        # RetrieveRecordChangeHistory tells no times over the Web API: Microsoft Learn, "Retrieve audit data".
        params = {"$select": "createdon,attributemask", "$filter": f"_objectid_value eq {record.id}"}
        audits = await self._history("audits", params | {"$orderby": "createdon desc"})
        number = await self._number(record.object, name) if audits else ""
        masked = [audit for audit in audits if number in str(audit.get("attributemask") or "").split(",")]
        return [Change(None, moment_of(audit.get("createdon"))) for audit in masked] if number else []

    async def account(self) -> str:
        """Give the organisation's id."""
        return text((await self._api.send("GET", f"{self._data}/WhoAmI")).get("OrganizationId")) or ""

    async def changed_since(self, moment: datetime, kind: str) -> AsyncIterator[tuple[str, datetime]]:
        """List by ``modifiedon``."""
        since = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = f"{self._data}/{SETS[kind]}"
        params = {"$select": f"{kind}id,modifiedon", "$filter": f"modifiedon ge {since}", "$orderby": "modifiedon"}
        while params:
            page = await self._api.search("GET", path, params=params)
            for row in page.get("value") or ():
                yield str(row[f"{kind}id"]), moment_of(row.get("modifiedon")) or moment
            # The parameters alone, so that the token goes nowhere else.
            params = dict(httpx.URL(page.get("@odata.nextLink") or "").params)

    async def note(self, deal_id: str, mark: str, body: str, guard: Guard) -> bool:
        """Write a note with the mark as its subject, unless the opportunity has one."""
        if not ID.fullmatch(deal_id):
            return False
        params = {"$select": "subject", "$filter": f"_objectid_value eq {deal_id}"}
        known = (await self._api.send("GET", f"{self._data}/annotations", params=params)).get("value") or ()
        if any(row.get("subject") == mark for row in known):
            return False
        link = {"objectid_opportunity@odata.bind": f"/opportunities({deal_id})"}
        note = {"subject": mark, "notetext": body, **link}
        await self._api.send("POST", f"{self._data}/annotations", guard=guard, json=note)
        return True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    async def _closings(self, deal: Record) -> list[Mapping[str, Any]]:
        """List the closings that say whether the opportunity was won by them, the latest first."""
        params = {"$select": "opportunitystatecode,modifiedon", "$filter": f"_opportunityid_value eq {deal.id}"}
        closings = await self._history("opportunitycloses", params | {"$orderby": "createdon desc"})
        # The column belongs to the closing's form, so that a program may leave it out.
        return [closing for closing in closings if text(closing.get("opportunitystatecode"))]

    async def _number(self, kind: str, name: str) -> str:
        """Look the number up by which audits name a column, once; empty where there is none."""
        if (kind, name) not in self._numbers:
            path = f"{self._data}/EntityDefinitions(LogicalName='{kind}')/Attributes(LogicalName='{name}')"
            try:
                column = await self._api.send("GET", path, params={"$select": "ColumnNumber"})
            except CrmRefused:
                return ""
            self._numbers[kind, name] = text(column.get("ColumnNumber")) or ""
        return self._numbers[kind, name]

    async def _history(self, table: str, params: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """List rows of a table; none where there is no such table or it may not be read."""
        try:
            return list((await self._api.send("GET", f"{self._data}/{table}", params=params)).get("value") or ())
        except CrmRefused:
            return []


def _columns(kind: str, wanted: Wanted) -> str:
    return ",".join(dict.fromkeys((*OWN[kind], *wanted.get(kind, ()))))
