"""Acme's deal in five CRMs, and the clients that read it."""

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import httpx

from tests.memory_run import STARTED
from worker.events import Event
from workflows.crm import Crm, CrmHydrator, Dynamics, HubSpot, Pipedrive, Salesforce, Zoho
from workflows.hydration import Hydration
from workflows.policy.sources import Source
from workflows.sandbox import Sandbox, sandbox_app
from workflows.sandbox.crm.crms import TOKEN, Crms

BASE = "http://crm.test"
DEAL_IDS = {
    "hubspot": "18342601337",
    "pipedrive": "8",
    "salesforce": "0067F000003pmdQQAQ",
    "dynamics": "b1f1f0a0-8c57-ec11-8f8f-000d3aa2331c",
    "zoho": "5725767000003000064",
}
KINDS = {"hubspot": "deal", "pipedrive": "deal", "salesforce": "opportunity", "dynamics": "opportunity", "zoho": "deal"}
CLIENT_IDS = {
    "hubspot": "9045672210",
    "pipedrive": "1",
    "salesforce": "0017F000007ydJgQAI",
    "dynamics": "a1f1f0a0-8c57-ec11-8f8f-000d3aa2331c",
    "zoho": "5725767000003000001",
}
PERSON = "c1f1f0a0-8c57-ec11-8f8f-000d3aa2331c"
SALESFORCE_PERSON = "0037F00000TTTTTQAA"

HUBSPOT: dict[str, list[dict[str, Any]]] = json.loads(
    files("workflows.sandbox.crm").joinpath("acme.json").read_text(encoding="utf-8")
)
PIPEDRIVE: dict[str, list[dict[str, Any]]] = {
    "pipedrive.users": [{"id": 12415231, "email": "jane@msp.example"}],
    "pipedrive.organizations": [
        {
            "id": 1,
            "name": "Acme Corporation",
            "website": "https://acme.example.com",
            "address": {
                "value": "123 Main Street, Springfield, IL 62701, USA",
                "street_number": "123",
                "route": "Main Street",
                "subpremise": "Suite 500",
                "locality": "Springfield",
                "admin_area_level_1": "IL",
                "postal_code": "62701",
                "country": "United States",
            },
            "custom_fields": {"3d0fa3429dfa2d3dec265b4fc5dc8258ab66cdf3": 24},
            "update_time": "2026-11-23T09:00:00Z",
        }
    ],
    "pipedrive.persons": [
        {
            "id": 8,
            "name": "John Smith",
            "first_name": "John",
            "last_name": "Smith",
            "emails": [{"value": "john.smith@acme.example.com", "primary": True, "label": "work"}],
            "phones": [{"value": "555-123-4568", "primary": True, "label": "work"}],
            "job_title": "IT Director",
        }
    ],
    "pipedrive.deals": [
        {
            "id": 8,
            "title": "Acme - Managed IT",
            "status": "won",
            "value": 24000,
            "currency": "GBP",
            "org_id": 1,
            "person_id": 8,
            "owner_id": 12415231,
            "pipeline_id": 1,
            "won_time": "2026-11-23T09:00:00Z",
            "update_time": "2026-11-23T09:00:00Z",
        }
    ],
}
SALESFORCE: dict[str, list[dict[str, Any]]] = {
    "salesforce.User": [{"Id": "0057F000001", "Email": "jane@msp.example"}],
    "salesforce.Account": [
        {
            "Id": "0017F000007ydJgQAI",
            "Name": "Acme Corporation",
            "Website": "https://acme.example.com",
            "Phone": "555-123-4567",
            "Description": "Enterprise client",
            "BillingStreet": "123 Main Street\nSuite 500",
            "BillingCity": "Springfield",
            "BillingState": "IL",
            "BillingPostalCode": "62701",
            "BillingCountry": "United States",
            "Type": "Customer",
        }
    ],
    "salesforce.Contact": [
        {
            "Id": SALESFORCE_PERSON,
            "FirstName": "John",
            "LastName": "Smith",
            "Email": "john.smith@acme.example.com",
            "Phone": "555-123-4568",
            "Title": "IT Director",
        }
    ],
    "salesforce.OpportunityContactRole": [
        {"Id": "1", "OpportunityId": "0067F000003pmdQQAQ", "ContactId": SALESFORCE_PERSON, "IsPrimary": True}
    ],
    "salesforce.Opportunity": [
        {
            "Id": "0067F000003pmdQQAQ",
            "Name": "Acme - Managed IT",
            "StageName": "Signed",
            "IsWon": True,
            "IsClosed": True,
            "Amount": 24000.0,
            "CloseDate": "2026-11-23",
            "AccountId": "0017F000007ydJgQAI",
            "OwnerId": "0057F000001",
            "HasOpportunityLineItem": False,
            "LastModifiedDate": "2026-11-23T09:00:00.000+0000",
        }
    ],
}
DYNAMICS: dict[str, list[dict[str, Any]]] = {
    "dynamics.opportunities": [
        {
            "opportunityid": "b1f1f0a0-8c57-ec11-8f8f-000d3aa2331c",
            "name": "Acme - Managed IT",
            "statecode": 1,
            "statecode@OData.Community.Display.V1.FormattedValue": "Won",
            "actualvalue": 24000.0,
            "actualclosedate": "2026-11-23",
            "modifiedon": "2026-11-23T09:00:00Z",
            "customerid_account": {
                "accountid": "a1f1f0a0-8c57-ec11-8f8f-000d3aa2331c",
                "name": "Acme Corporation",
                "websiteurl": "https://acme.example.com",
                "telephone1": "555-123-4567",
                "description": "Enterprise client",
                "address1_line1": "123 Main Street",
                "address1_line2": "Suite 500",
                "address1_city": "Springfield",
                "address1_stateorprovince": "IL",
                "address1_postalcode": "62701",
                "address1_country": "United States",
            },
            "parentcontactid": {
                "contactid": PERSON,
                "firstname": "John",
                "lastname": "Smith",
                "emailaddress1": "john.smith@acme.example.com",
                "telephone1": "555-123-4568",
                "jobtitle": "IT Director",
            },
            "owninguser": {"internalemailaddress": "jane@msp.example", "fullname": "Jane Doe"},
        }
    ],
}
ZOHO: dict[str, list[dict[str, Any]]] = {
    "zoho.Accounts": [
        {
            "id": "5725767000003000001",
            "Account_Name": "Acme Corporation",
            "Website": "https://acme.example.com",
            "Phone": "555-123-4567",
            "Description": "Enterprise client",
            "Billing_Street": "123 Main Street\nSuite 500",
            "Billing_City": "Springfield",
            "Billing_State": "IL",
            "Billing_Code": "62701",
            "Billing_Country": "United States",
        }
    ],
    "zoho.Contacts": [
        {
            "id": "5725767000003000002",
            "First_Name": "John",
            "Last_Name": "Smith",
            "Email": "john.smith@acme.example.com",
            "Phone": "555-123-4568",
            "Title": "IT Director",
        }
    ],
    "zoho.Deals": [
        {
            "id": "5725767000003000064",
            "Deal_Name": "Acme - Managed IT",
            "Stage": "Closed Won",
            "Amount": 24000,
            "Closing_Date": "2026-11-23",
            "Layout": {"id": "1", "name": "Standard"},
            "Account_Name": {"id": "5725767000003000001", "name": "Acme Corporation"},
            "Contact_Name": {"id": "5725767000003000002", "name": "John Smith"},
            "Owner": {"id": "3", "name": "Jane Doe", "email": "jane@msp.example"},
            "stages": ["Closed Won", "Proposal"],
        }
    ],
}
RECORDS = {"hubspot": HUBSPOT, "pipedrive": PIPEDRIVE, "salesforce": SALESFORCE, "dynamics": DYNAMICS, "zoho": ZOHO}
CONTACT = {
    "first_name": "John",
    "last_name": "Smith",
    "email": "john.smith@acme.example.com",
    "phone": "555-123-4568",
    "job_title": "IT Director",
    "primary": True,
}


class CrmWorld:
    """The CRMs' look-alikes with Acme's deal in them, and what reads them."""

    def __init__(self, *, first_start: datetime | None = None, sandbox: Sandbox | None = None) -> None:
        self.sandbox = sandbox or Sandbox(clock=lambda: STARTED)
        self.transport = httpx.ASGITransport(sandbox_app(self.sandbox))
        self.first_start = first_start
        for tables in RECORDS.values():
            for table, rows in tables.items():
                for row in rows:
                    self.crms.plant(table, copy.deepcopy(row))

    @property
    def crms(self) -> Crms:
        return self.sandbox.crms

    def change(self, table: str, identity: Any, **values: Any) -> None:
        """Change a record as a person would."""
        row = self.crms.tables[table][str(identity)]
        held = row["properties"] if table.startswith("hubspot") and "properties" in row else row
        held.update(values)

    def crm(self, system: str) -> Crm:
        there = f"{BASE}/{system}"
        match system:
            case "hubspot":
                return HubSpot(TOKEN, url=there, transport=self.transport)
            case "pipedrive":
                return Pipedrive(TOKEN, url=there, transport=self.transport)
            case "salesforce":
                return Salesforce("app", "sandbox-secret", url=there, transport=self.transport)
            case "dynamics":
                return Dynamics("t", "app", "sandbox-secret", url=there, login_url=there, transport=self.transport)
        return Zoho("app", "sandbox-secret", "refresh", url=there, accounts_url=there, transport=self.transport)

    def hydration(self, **policy: Source) -> Hydration:
        return Hydration(
            {
                system: CrmHydrator(
                    system, self.crm(system), policy.get(system, Source()), first_start=self.first_start
                )
                for system in RECORDS
            }
        )

    async def hydrate(self, event: Event, policy: Source | None = None) -> Event:
        return await self.hydration(**{event.source: policy or Source()}).hydrate(event)


def told(system: str, kind: str = "", record: str = "", **data: Any) -> Event:
    """The event that a system's webhook makes: ids only."""
    kind = f"{system}.{kind or KINDS[system]}" if system in RECORDS else f"deal.{kind}"
    given: Mapping[str, Any] = {
        "id": record or DEAL_IDS.get(system, "1"),
        "change": "changed",
        "values": {},
        "previous": {},
    }
    source = {"system": system, "account": "62515"}
    payload = {"type": kind, "timestamp": STARTED.isoformat(), "source": source, "data": {**given, **data}}
    return Event(f"{system}:1", system, kind, STARTED.astimezone(UTC), payload)
