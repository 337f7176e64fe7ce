"""HubSpot: deals and what belongs to them.

Paths, types of associations and limits: developers.hubspot.com, "CRM API" (v3) and "Associations" (v4).
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from worker.errors import NeedsOperator
from worker.events import Event
from worker.run import Guard
from workflows.crm.api import Api, RecordGone
from workflows.crm.mapping import as_html, at, moment_of, number, text
from workflows.crm.records import Change, Fields, Outcome, Record, Wanted, Words, changes_of, lost_again
from workflows.crm.sign_in import FixedToken

URL: Final = "https://api.hubapi.com"
PATHS: Final = {
    "deal": "deals",
    "company": "companies",
    "contact": "contacts",
    "line_item": "line_items",
    "subscription": "subscriptions",
    "note": "notes",
}
PRIMARY_COMPANY: Final = 5
"""HubSpot's type of the association of a deal with its primary company."""
NOTE_OF_DEAL: Final = 214
BATCH: Final = 100
"""HubSpot reads no more records at once."""
SEARCHED: Final = 10_000
"""HubSpot shows no more of one search."""
MODIFIED: Final = "hs_lastmodifieddate"
REMEMBER_S: Final = 600.0
"""How long pipelines are remembered."""
WON: Final = 1.0
"""The probability of stages in which a deal is won, whatever they are called."""
FIELDS: Final[Fields] = {
    "deal.name": ("deal.dealname",),
    "deal.kind": ("deal.dealtype",),
    "deal.pipeline": ("deal.pipeline",),
    "deal.amount": ("deal.amount",),
    "deal.recurring_amount": ("deal.hs_mrr",),
    "deal.currency": ("deal.deal_currency_code",),
    "deal.owner_email": ("owner.email",),
    "deal.lines.sku": ("line_item.hs_sku",),
    "deal.lines.name": ("line_item.name",),
    "deal.lines.quantity": ("line_item.quantity",),
    "deal.lines.unit_price": ("line_item.price",),
    "deal.lines.recurring": ("line_item.recurringbillingfrequency",),
    "client.name": ("company.name",),
    "client.phone": ("company.phone",),
    "client.website": ("company.website", "company.domain"),
    "client.domains": ("company.domain",),
    "client.notes": ("company.description",),
    "client.account_manager_email": ("owner.email",),
    "site.line1": ("company.address",),
    "site.line2": ("company.address2",),
    "site.city": ("company.city",),
    "site.region": ("company.state",),
    "site.postcode": ("company.zip",),
    "site.country": ("company.country",),
    "site.phone": ("company.phone",),
    "contact.first_name": ("contact.firstname",),
    "contact.last_name": ("contact.lastname",),
    "contact.email": ("contact.email",),
    "contact.phone": ("contact.phone",),
    "contact.mobile": ("contact.mobilephone",),
    "contact.job_title": ("contact.jobtitle",),
    "reason": ("deal.closed_lost_reason",),
}
DECIDING: Final = {"deal": ("dealstage", "pipeline", "closedate", "hubspot_owner_id", "hs_is_closed_won")}


class HubSpot:
    """HubSpot's client.

    Args:
        token: of a private app, or an OAuth token.
        url: HubSpot's address.
        version: the version in the paths of objects; the dated ones look alike ("2026-03").
        transport: sends the requests; None opens network connections.
        clock: returns seconds that never go back.
    """

    name = "HubSpot"
    words = Words(deal="deal", client="company")
    kinds: Collection[str] = PATHS.keys()
    fields = FIELDS

    def __init__(
        self,
        token: str,
        *,
        url: str = URL,
        version: str = "v3",
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = Api("HubSpot", url, FixedToken("Authorization", f"Bearer {token}"), transport=transport)
        dated = version[:1].isdigit()
        self._objects = f"/crm/objects/{version}" if dated else f"/crm/{version}/objects"
        self._links = self._objects if dated else "/crm/v4/objects"
        self._clock = clock
        self._pipelines: dict[str, Mapping[str, Any]] = {}
        self._until = 0.0

    async def read(self, kind: str, record_id: str, wanted: Wanted) -> Record | None:
        """Read a record with the ids of what belongs to it; None where it is gone or archived."""
        params = {"properties": _properties(kind, wanted)}
        if kind == "deal":
            params |= {"associations": "companies,contacts,line_items", "propertiesWithHistory": "dealstage"}
        elif kind == "subscription":
            params |= {"associations": "companies"}
        try:
            row = await self._api.send(
                "GET", f"{self._objects}/{PATHS[kind]}/{quote(record_id, safe='')}", params=params
            )
        except RecordGone:
            return None
        return None if row.get("archived") else _record(kind, row)

    async def outcome(self, deal: Record, event: Event) -> Outcome:
        """A deal is won in a stage of probability 1; what it was before stands in the history of its stage."""
        del event
        pipeline = text(deal.values.get("pipeline")) or ""
        stage = await self._stage(pipeline, text(deal.values.get("dealstage")) or "")
        chance = number(at(stage, "metadata.probability"))
        won = chance == WON if chance is not None else text(deal.values.get("hs_is_closed_won")) == "true"
        if won:
            return Outcome(won, at=moment_of(deal.values.get("closedate")))
        past = [
            (await self._stage(pipeline, str(one.get("value"))), one.get("timestamp")) for one in deal.values["stages"]
        ]
        return lost_again((number(at(held, "metadata.probability")) == WON, moment_of(since)) for held, since in past)

    async def client_of(self, record: Record, wanted: Wanted) -> Record | None:
        """Read the primary company, or the only one.

        Raises:
            NeedsOperator: there are several and none is the primary one.
        """
        if record.object == "company":
            return record
        ids = record.links.get("companies", ())
        chosen = ids[0] if len(ids) == 1 else await self._primary(record)
        return next(iter(await self._batch("company", [chosen] if chosen else [], wanted)), None)

    async def contacts_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Read the contacts, those with an e-mail address first."""
        contacts = await self._batch("contact", deal.links.get("contacts", ()), wanted)
        return sorted(contacts, key=lambda contact: not contact.values.get("email"))

    async def owner_of(self, deal: Record) -> Mapping[str, Any]:
        """Read the owner; one who has left is not found."""
        owner = text(deal.values.get("hubspot_owner_id"))
        if owner is None:
            return {}
        try:
            return dict(await self._api.send("GET", f"/crm/v3/owners/{owner}"))
        except RecordGone:
            return {}

    async def lines_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Read the line items."""
        return await self._batch("line_item", deal.links.get("line_items", deal.links.get("line items", ())), wanted)

    async def label(self, record: Record, name: str) -> str:
        """Look the label of a stage, a pipeline or another choice up."""
        value = text(record.values.get(name)) or ""
        pipeline = text(record.values.get("pipeline")) or ""
        if record.object == "deal" and name == "dealstage":
            return str((await self._stage(pipeline, value)).get("label") or "")
        if record.object == "deal" and name == "pipeline":
            return str((await self._pipeline(pipeline)).get("label") or "")
        try:
            found = await self._api.send("GET", f"/crm/v3/properties/{PATHS[record.object]}/{name}")
        except RecordGone:
            return ""
        labels = {str(one.get("value")): str(one.get("label")) for one in found.get("options") or ()}
        return labels.get(value, "")

    def told(self, event: Event, name: str) -> bool:
        """Whether the property changed; a workflow's record and a restored one tell of none."""
        values = event.data.get("values") or {}
        return len(values) != 1 or name in values

    async def changes(self, record: Record, name: str) -> Sequence[Change]:
        """Look into the property's history."""
        path = f"{self._objects}/{PATHS[record.object]}/{record.id}"
        row = await self._api.send("GET", path, params={"propertiesWithHistory": name})
        past = at(row, f"propertiesWithHistory.{name}") or []
        return changes_of([(one.get("value"), moment_of(one.get("timestamp"))) for one in past])

    async def account(self) -> str:
        """Give the portal's id."""
        return text((await self._api.send("GET", "/account-info/v3/details")).get("portalId")) or ""

    async def changed_since(self, moment: datetime, kind: str) -> AsyncIterator[tuple[str, datetime]]:
        """Search by ``hs_lastmodifieddate``; what changed in the last seconds may not be found yet."""
        async for row in self._searched(kind, moment):
            yield str(row["id"]), _modified(row) or moment

    async def note(self, deal_id: str, mark: str, body: str, guard: Guard) -> bool:
        """Write a note, unless the deal has one with the mark."""
        params = {"properties": "dealname", "associations": "notes"}
        path = f"{self._objects}/deals/{quote(deal_id, safe='')}"
        deal = _record("deal", await self._api.send("GET", path, params=params))
        known = await self._batch("note", deal.links.get("notes", ()), {"note": ["hs_note_body"]})
        if any(as_html(mark) in str(note.values.get("hs_note_body")) for note in known):
            return False
        kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": NOTE_OF_DEAL}
        note = {
            "properties": {
                "hs_note_body": as_html(body),
                "hs_timestamp": str(int(datetime.now(UTC).timestamp() * 1000)),
            },
            "associations": [{"to": {"id": deal_id}, "types": [kind]}],
        }
        await self._api.send("POST", f"{self._objects}/notes", guard=guard, json=note)
        return True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    async def _primary(self, record: Record) -> str:
        try:
            path = f"{self._links}/{PATHS[record.object]}/{record.id}/associations/companies"
            linked = (await self._api.send("GET", path)).get("results") or ()
        except RecordGone:
            return ""
        kinds = {str(one["toObjectId"]): one.get("associationTypes") or () for one in linked}
        primary = [one for one, types in kinds.items() if any(kind.get("typeId") == PRIMARY_COMPANY for kind in types)]
        if not primary and len(kinds) > 1:
            raise NeedsOperator(
                f"HubSpot's {record.object} {record.id} has several companies ({', '.join(kinds)}), none primary.",
                mend="mark the deal's primary company in HubSpot, then replay the event.",
            )
        return next(iter([*primary, *kinds]), "")

    async def _batch(self, kind: str, ids: Sequence[str], wanted: Wanted) -> list[Record]:
        rows: list[Mapping[str, Any]] = []
        for first in range(0, len(ids), BATCH):
            inputs = [{"id": one} for one in ids[first : first + BATCH]]
            body = {"properties": list(wanted.get(kind, ())), "inputs": inputs}
            answer = await self._api.send("POST", f"{self._objects}/{PATHS[kind]}/batch/read", json=body)
            rows += answer.get("results") or ()
        # A merged record comes under the id of what it has become.
        places = {one: place for place, one in enumerate(ids)}
        found = [_record(kind, row) for row in rows if not row.get("archived")]
        return sorted(found, key=lambda record: places.get(record.id, len(ids)))

    async def _stage(self, pipeline: str, stage: str) -> Mapping[str, Any]:
        """Find a stage; in another pipeline where the deal's own has none of that id. Ids may come again in each."""
        if (found := _found(await self._pipeline(pipeline), stage)) is None:
            elsewhere = (_found(one, stage) for one in self._pipelines.values())
            found = next((one for one in elsewhere if one), {})
        return found

    async def _pipeline(self, pipeline: str) -> Mapping[str, Any]:
        """Find a pipeline of deals. They are read anew after a while, and where one is not known."""
        if pipeline not in self._pipelines or self._clock() > self._until:
            answer = await self._api.send("GET", "/crm/v3/pipelines/deals")
            self._pipelines = {str(one["id"]): one for one in answer.get("results") or ()}
            self._until = self._clock() + REMEMBER_S
        return self._pipelines.get(pipeline, {})

    async def _searched(self, kind: str, moment: datetime) -> AsyncIterator[Mapping[str, Any]]:
        after: str | None = None
        while True:
            since = {"propertyName": MODIFIED, "operator": "GTE", "value": str(int(moment.timestamp() * 1000))}
            body: dict[str, Any] = {
                "filterGroups": [{"filters": [since]}],
                "sorts": [{"propertyName": MODIFIED, "direction": "ASCENDING"}],
                "properties": [MODIFIED],
                "limit": BATCH,
            }
            body |= {"after": after} if after else {}
            answer = await self._api.search("POST", f"{self._objects}/{PATHS[kind]}/search", json=body)
            rows = answer.get("results") or []
            for row in rows:
                yield row
            after = text(at(answer, "paging.next.after"))
            last = _modified(rows[-1]) if rows else None
            if after is None or last is None:
                return
            if int(after) >= SEARCHED and last > moment:
                moment, after = last, None


def _properties(kind: str, wanted: Wanted) -> str:
    return ",".join(dict.fromkeys((*wanted.get(kind, ()), *DECIDING.get(kind, ()))))


def _record(kind: str, row: Mapping[str, Any]) -> Record:
    history = (row.get("propertiesWithHistory") or {}).get("dealstage") or ()
    values = {**(row.get("properties") or {}), "stages": history}
    links = {name: _ids(held) for name, held in (row.get("associations") or {}).items()}
    return Record(kind, str(row.get("id")), values, links)


def _found(pipeline: Mapping[str, Any], stage: str) -> Mapping[str, Any] | None:
    return next((one for one in pipeline.get("stages") or () if str(one.get("id")) == stage), None)


def _ids(held: Any) -> Sequence[str]:
    # A record that is linked in several ways is listed several times.
    return list(dict.fromkeys(str(one["id"]) for one in held.get("results") or ()))


def _modified(row: Mapping[str, Any]) -> datetime | None:
    return moment_of((row.get("properties") or {}).get(MODIFIED) or row.get("updatedAt"))
