"""Pipedrive: deals and what belongs to them.

Paths: developers.pipedrive.com, API reference version 2, and version 1 where 2 has nothing yet (users, notes,
changelogs).
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from worker.events import Event
from worker.run import Guard
from workflows.crm.api import Api, CrmRefused, RecordGone
from workflows.crm.mapping import as_html, at, moment_of, text
from workflows.crm.records import Change, Fields, Outcome, Record, Wanted, Words, lost_again
from workflows.crm.sign_in import FixedToken

URL: Final = "https://{domain}.pipedrive.com"
PATHS: Final = {"deal": "deals", "organization": "organizations", "person": "persons"}
FIELD_PATHS: Final = {"deal": "dealFields", "organization": "organizationFields", "person": "personFields"}
CUSTOM_KEY_LENGTH: Final = 40
LOGGED: Final = {"label_ids": "label", "owner_id": "user_id"}
"""What version 1, and so a changelog, calls fields."""
PAGE: Final = 500
WON: Final = "won"
FIELDS: Final[Fields] = {
    "deal.name": ("deal.title",),
    "deal.pipeline": ("deal.pipeline_id",),
    "deal.amount": ("deal.value",),
    "deal.recurring_amount": ("deal.mrr",),
    "deal.currency": ("deal.currency",),
    "deal.owner_email": ("user.email",),
    "deal.lines.sku": ("product.code",),
    "deal.lines.name": ("product.name",),
    "deal.lines.quantity": ("product.quantity",),
    "deal.lines.unit_price": ("product.item_price",),
    "deal.lines.recurring": ("product.billing_frequency",),
    "client.name": ("organization.name",),
    "client.website": ("organization.website",),
    "client.account_manager_email": ("user.email",),
    "site.line1": ("organization.address.street", "organization.address.value"),
    "site.line2": ("organization.address.subpremise",),
    "site.city": ("organization.address.locality",),
    "site.region": ("organization.address.admin_area_level_1",),
    "site.postcode": ("organization.address.postal_code",),
    "site.country": ("organization.address.country",),
    "contact.name": ("person.name",),
    "contact.first_name": ("person.first_name",),
    "contact.last_name": ("person.last_name",),
    "contact.email": ("person.email",),
    "contact.phone": ("person.phone",),
    "contact.mobile": ("person.mobile",),
    "contact.job_title": ("person.job_title",),
    "reason": ("deal.lost_reason",),
}


class Pipedrive:
    """Pipedrive's client.

    Args:
        token: an API token.
        domain: the company's, as in ``https://<domain>.pipedrive.com``.
        url: Pipedrive's address; None makes it from the domain.
        transport: sends the requests; None opens network connections.
    """

    name = "Pipedrive"
    words = Words(
        deal="deal", client="organization", contact="person", owner="user", line="product", pipeline="pipeline_id"
    )
    kinds: Collection[str] = PATHS.keys()
    fields = FIELDS

    def __init__(
        self,
        token: str,
        domain: str = "api",
        *,
        url: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        address = url or URL.format(domain=domain)
        self._api = Api("Pipedrive", address, FixedToken("x-api-token", token), transport=transport)

    async def read(self, kind: str, record_id: str, wanted: Wanted) -> Record | None:
        """Read a record, which comes with all its fields; None where it is gone or deleted."""
        del wanted
        row = await self._one(f"/api/v2/{PATHS[kind]}/{quote(record_id, safe='')}")
        return None if row is None or row.get("is_deleted") or row.get("deleted") else _record(kind, row)

    async def outcome(self, deal: Record, event: Event) -> Outcome:
        """A deal has a status; what it was before stands in its changelog, else in what was told."""
        if deal.values.get("status") == WON:
            return Outcome(won=True, at=moment_of(deal.values.get("won_time")))
        changes = await self._logged(deal, "status")
        if not changes:
            return Outcome(won=False, won_before=at(event.data, "previous.status") == WON)
        past = [(change.get("new_value") == WON, moment_of(change.get("time"))) for change in changes]
        return lost_again([*past, (changes[-1].get("old_value") == WON, None)])

    async def client_of(self, record: Record, wanted: Wanted) -> Record | None:
        """Read the organisation."""
        if record.object == "organization":
            return record
        organisation = reference(record.values.get("org_id"))
        return await self.read("organization", organisation, wanted) if organisation else None

    async def contacts_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Read the deal's contact person."""
        person = reference(deal.values.get("person_id"))
        found = await self.read("person", person, wanted) if person else None
        return [found] if found else []

    async def owner_of(self, deal: Record) -> Mapping[str, Any]:
        """Read the owner."""
        owner = reference(deal.values.get("owner_id") or deal.values.get("user_id"))
        return (await self._one(f"/v1/users/{owner}") if owner else None) or {}

    async def lines_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Read the deal's products."""
        del wanted
        try:
            answer = await self._api.send("GET", f"/api/v2/deals/{deal.id}/products")
        except RecordGone:
            return []
        return [Record("product", str(row.get("id")), row) for row in answer.get("data") or ()]

    async def label(self, record: Record, name: str) -> str:
        """Look the name of a pipeline or of a choice up, which records hold as ids."""
        value = text(record.values.get(name)) or ""
        if name == "pipeline_id":
            pipeline = await self._one(f"/api/v2/pipelines/{value}") if value else None
            return str((pipeline or {}).get("name") or "")
        fields = (await self._api.send("GET", f"/api/v2/{FIELD_PATHS[record.object]}")).get("data") or ()
        found: Mapping[str, Any] = next((one for one in fields if name in {one.get("field_code"), one.get("key")}), {})
        labels = {str(one.get("id")): str(one.get("label")) for one in found.get("options") or ()}
        return ";".join(labels.get(one, one) for one in value.split(";")) if labels else ""

    def told(self, event: Event, name: str) -> bool:
        """Whether the field changed; of custom fields and addresses the event does not say so."""
        previous = event.data.get("previous") or {}
        return not previous or name in previous or "." in name or len(name) == CUSTOM_KEY_LENGTH

    async def changes(self, record: Record, name: str) -> Sequence[Change]:
        """Give the time when a deal was lost, else look into the record's changelog."""
        lost = moment_of(record.values.get("lost_time")) if (record.object, name) == ("deal", "status") else None
        if lost:
            return [Change(None, lost)]
        several = isinstance(record.values.get(name), list)
        return [
            Change(_split(one.get("old_value")) if several else one.get("old_value"), moment_of(one.get("time")))
            for one in await self._logged(record, name)
        ]

    async def account(self) -> str:
        """Give the company's id."""
        return text((await self._one("/v1/users/me") or {}).get("company_id")) or ""

    async def changed_since(self, moment: datetime, kind: str) -> AsyncIterator[tuple[str, datetime]]:
        """List by ``updated_since``."""
        since = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        params = {"updated_since": since, "sort_by": "update_time", "limit": str(PAGE)}
        async for row in self._pages(f"/api/v2/{PATHS[kind]}", params, patient=True):
            yield str(row["id"]), moment_of(row.get("update_time")) or moment

    async def note(self, deal_id: str, mark: str, body: str, guard: Guard) -> bool:
        """Write a note, unless the deal has one with the mark."""
        if not deal_id.isdecimal():
            return False
        params = {"deal_id": deal_id, "limit": str(PAGE), "sort": "add_time DESC"}
        known = (await self._api.send("GET", "/v1/notes", params=params)).get("data") or ()
        if any(as_html(mark) in str(note.get("content")) for note in known):
            return False
        note = {"deal_id": int(deal_id), "content": as_html(body)}
        await self._api.send("POST", "/v1/notes", guard=guard, json=note)
        return True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    async def _logged(self, record: Record, name: str) -> list[Mapping[str, Any]]:
        """List what changed a field, the latest first; nothing where the token may not read the changelog."""
        try:
            path = f"/v1/{PATHS[record.object]}/{record.id}/changelog"
            log = [entry async for entry in self._pages(path, {"limit": str(PAGE)})]
        except CrmRefused:
            return []
        field = name.partition(".")[0]
        changes = [
            entry
            for entry in log
            if entry.get("field_key") in {field, LOGGED.get(field)} and entry.get("new_value") != entry.get("old_value")
        ]
        return sorted(changes, key=lambda entry: str(entry.get("time")), reverse=True)

    async def _pages(
        self, path: str, params: Mapping[str, str], *, patient: bool = False
    ) -> AsyncIterator[Mapping[str, Any]]:
        ask = self._api.search if patient else self._api.send
        cursor: dict[str, str] = {}
        while True:
            page = await ask("GET", path, params={**params, **cursor})
            for row in page.get("data") or ():
                yield row
            following = text(at(page, "additional_data.next_cursor"))
            if following in {None, cursor.get("cursor")}:
                return
            cursor = {"cursor": following}

    async def _one(self, path: str) -> dict[str, Any] | None:
        try:
            answer = await self._api.send("GET", path)
        except RecordGone:
            return None
        data = answer.get("data")
        return data if isinstance(data, dict) else None


def reference(value: Any) -> str:
    """Read a reference: an id, or in version 1 an object that holds it as ``value``."""
    held = value.get("value", value.get("id")) if isinstance(value, Mapping) else value
    return text(held) or ""


def _record(kind: str, row: Mapping[str, Any]) -> Record:
    """Put custom fields beside the usual ones, and the parts of a person and of an address where they can be mapped."""
    custom = row.get("custom_fields") or {}
    values = {**row, **{name: _plain(value) for name, value in custom.items()}}
    if kind == "person":
        values |= {"email": _main(row, "email"), "phone": _main(row, "phone"), "mobile": _labelled(row, "mobile")}
    if isinstance(address := row.get("address"), Mapping):
        street = " ".join(one for part in ("street_number", "route") if (one := text(address.get(part))))
        values["address"] = {**address, "street": street}
    elif address:
        values["address"] = {"value": address}
    return Record(kind, str(row.get("id")), values)


def _plain(value: Any) -> Any:
    return value.get("value", value) if isinstance(value, Mapping) else value


def _split(value: Any) -> list[str]:
    """Read several values, between which version 1 puts commas."""
    return str(value or "").split(",")


def _entries(row: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    # Version 2 has "emails" and "phones", version 1 "email" and "phone".
    held = row.get(f"{name}s") or row.get(name)
    return [one for one in held if isinstance(one, Mapping)] if isinstance(held, list) else [{"value": held}]


def _main(row: Mapping[str, Any], name: str) -> Any:
    entries = _entries(row, name)
    return next(iter(sorted(entries, key=lambda one: not one.get("primary"))), {}).get("value")


def _labelled(row: Mapping[str, Any], label: str) -> Any:
    return next((one.get("value") for one in _entries(row, "phone") if one.get("label") == label), None)
