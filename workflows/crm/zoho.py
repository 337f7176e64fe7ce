"""Zoho CRM: deals and accounts, and what belongs to them.

Paths and sign-in: zoho.com/crm/developer, API version 7. The address depends on the data centre (.com, .eu, .in, …)
and is never taken from a notification.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from worker.events import Event
from worker.run import Guard
from workflows.crm.api import Api, CrmRefused, RecordGone
from workflows.crm.mapping import at, moment_of, text
from workflows.crm.records import Change, Fields, Outcome, Record, Wanted, Words, changes_of, lost_again
from workflows.crm.sign_in import FetchedToken

URL, ACCOUNTS_URL = "https://www.zohoapis.com", "https://accounts.zoho.com"
VERSION: Final = "v7"
MODULES: Final = {"deal": "Deals", "account": "Accounts", "contact": "Contacts"}
WON: Final = "closed won"
"""Zoho's forecast type of stages in which a deal is won, and the usual stage of this type."""
PAGE: Final = 200
TIMELINE_PAGES: Final = 50
"""A timeline that is longer, or never ends, is read no further: the latest changes come first."""
REMEMBER_S: Final = 600.0
"""How long the stages are remembered."""
FIELDS: Final[Fields] = {
    "deal.name": ("deal.Deal_Name",),
    "deal.kind": ("deal.Type",),
    "deal.pipeline": ("deal.Pipeline",),
    "deal.amount": ("deal.Amount",),
    "deal.currency": ("deal.Currency",),
    "deal.owner_email": ("owner.email",),
    "client.name": ("account.Account_Name",),
    "client.phone": ("account.Phone",),
    "client.website": ("account.Website",),
    "client.notes": ("account.Description",),
    "client.account_manager_email": ("owner.email",),
    "site.line1": ("account.Billing_Street",),
    "site.city": ("account.Billing_City",),
    "site.region": ("account.Billing_State",),
    "site.postcode": ("account.Billing_Code",),
    "site.country": ("account.Billing_Country",),
    "site.phone": ("account.Phone",),
    "contact.name": ("contact.Full_Name",),
    "contact.first_name": ("contact.First_Name",),
    "contact.last_name": ("contact.Last_Name",),
    "contact.email": ("contact.Email",),
    "contact.phone": ("contact.Phone",),
    "contact.mobile": ("contact.Mobile",),
    "contact.job_title": ("contact.Title",),
    "reason": ("deal.Reason_For_Loss__s",),
}


class Zoho:
    """Zoho CRM's client.

    Args:
        client_id: of the registered application.
        client_secret: the application's.
        refresh_token: what tokens are asked for with.
        url: the API's address in the data centre.
        accounts_url: the sign-in's address in the data centre.
        version: of the API.
        transport: sends the requests; None opens network connections.
        clock: returns seconds that never go back.
    """

    name = "Zoho"
    words = Words(deal="deal", client="account", pipeline="Pipeline")
    kinds: Collection[str] = MODULES.keys()
    fields = FIELDS

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        *,
        url: str = URL,
        accounts_url: str = ACCOUNTS_URL,
        version: str = VERSION,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = signed_in(
            client_id, client_secret, refresh_token, url=url, accounts_url=accounts_url, transport=transport
        )
        self._data = f"/crm/{version}"
        self._clock = clock
        self._types: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def read(self, kind: str, record_id: str, wanted: Wanted) -> Record | None:
        """Read a record, which comes with all its fields; None where it is gone."""
        del wanted
        try:
            answer = await self._api.send("GET", f"{self._data}/{MODULES[kind]}/{quote(record_id, safe='')}")
        except RecordGone:
            return None
        # Zoho answers a read of nothing with an empty 204.
        row = next(iter((answer or {}).get("data") or ()), None)
        return Record(kind, str(row.get("id")), row) if row else None

    async def outcome(self, deal: Record, event: Event) -> Outcome:
        """A deal is won in a stage whose forecast type says so; earlier stages stand in its stage history."""
        del event
        types = await self._forecast_types(deal)
        if _type(types, deal.values.get("Stage")) == WON:
            return Outcome(won=True, at=moment_of(deal.values.get("Closing_Date")))
        history = await self._stage_history(deal)
        return lost_again(
            (_type(types, row.get("Stage")) == WON, moment_of(row.get("Modified_Time"))) for row in history
        )

    async def client_of(self, record: Record, wanted: Wanted) -> Record | None:
        """Read the account."""
        if record.object == "account":
            return record
        account = text(at(record.values, "Account_Name.id"))
        return await self.read("account", account, wanted) if account else None

    async def contacts_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Read the deal's contact."""
        contact = text(at(deal.values, "Contact_Name.id"))
        found = await self.read("contact", contact, wanted) if contact else None
        return [found] if found else []

    async def owner_of(self, deal: Record) -> Mapping[str, Any]:
        """Give the owner, who came with the deal."""
        owner = deal.values.get("Owner")
        return owner if isinstance(owner, Mapping) else {}

    async def lines_of(self, deal: Record, wanted: Wanted) -> Sequence[Record]:
        """Zoho's deals have no line items; its quotes do."""
        del deal, wanted
        return []

    async def label(self, record: Record, name: str) -> str:
        """Choices hold the names themselves."""
        del record, name
        return ""

    def told(self, event: Event, name: str) -> bool:
        """Whether the field changed; a channel may be set up so that it does not say."""
        names = set(_names(event.data.get("fields")))
        return not names or name.partition(".")[0] in names

    async def changes(self, record: Record, name: str) -> Sequence[Change]:
        """Look into a deal's stage history; of other fields into the record's timeline."""
        if (record.object, name) == ("deal", "Stage"):
            history = await self._stage_history(record)
            return changes_of([(row.get("Stage"), moment_of(row.get("Modified_Time"))) for row in history])
        field = name.partition(".")[0]
        return [
            Change(at(change, "_value.old"), moment_of(entry.get("audited_time")))
            for entry in await self._timeline(record)
            for change in entry.get("field_history") or ()
            if change.get("api_name") == field
        ]

    async def account(self) -> str:
        """Give nothing: Zoho's notifications name no organisation."""
        return ""

    async def changed_since(self, moment: datetime, kind: str) -> AsyncIterator[tuple[str, datetime]]:
        """List with ``If-Modified-Since``."""
        since = {"If-Modified-Since": moment.astimezone(UTC).isoformat(timespec="seconds")}
        page, place = 1, {"page": "1"}
        while place:
            params = {"fields": "Modified_Time", "per_page": str(PAGE), **place}
            answer = await self._api.search("GET", f"{self._data}/{MODULES[kind]}", params=params, headers=since)
            for row in (answer or {}).get("data") or ():
                yield str(row["id"]), moment_of(row.get("Modified_Time")) or moment
            page += 1
            # Numbers count for the first 2,000 records only.
            token = text(at(answer, "info.next_page_token"))
            following = {"page_token": token} if token else {"page": str(page)}
            place = following if at(answer, "info.more_records") else {}

    async def note(self, deal_id: str, mark: str, body: str, guard: Guard) -> bool:
        """Write a note with the mark as its title, unless the deal has one."""
        path = f"{self._data}/Deals/{quote(deal_id, safe='')}/Notes"
        if any(row.get("Note_Title") == mark for row in await self._rows(path, {"fields": "Note_Title"})):
            return False
        note = {"Note_Title": mark, "Note_Content": body}
        await self._api.send("POST", path, guard=guard, json={"data": [note]})
        return True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()

    async def _stage_history(self, deal: Record) -> list[Mapping[str, Any]]:
        try:
            return await self._rows(f"{self._data}/Deals/{deal.id}/Stage_History", {"fields": "Stage,Modified_Time"})
        except CrmRefused:
            return []

    async def _timeline(self, record: Record) -> list[Mapping[str, Any]]:
        """Read what happened to a record, the latest first; nothing where the token may not."""
        path, params = f"{self._data}/{MODULES[record.object]}/{record.id}/__timeline", dict[str, str]()
        entries: list[Mapping[str, Any]] = []
        for _ in range(TIMELINE_PAGES):
            try:
                answer = await self._api.send("GET", path, params=params)
            except CrmRefused:
                return []
            entries += at(answer, "__timeline") or ()
            following = text(at(answer, "info.next_page_token"))
            if following is None or not at(answer, "info.more_records"):
                break
            params = {"page_token": following}
        return sorted(entries, key=lambda entry: str(entry.get("audited_time")), reverse=True)

    async def _rows(self, path: str, params: Mapping[str, str]) -> list[Mapping[str, Any]]:
        try:
            answer = await self._api.send("GET", path, params=params)
        except RecordGone:
            return []
        return list((answer or {}).get("data") or ())

    async def _forecast_types(self, deal: Record) -> Mapping[str, str]:
        """Give the forecast type of each stage. They are read anew after a while, and where the deal's is not known."""
        layout = text(at(deal.values, "Layout.id")) or text(at(deal.values, "$layout_id.id")) or ""
        until, types = self._types.get(layout, (0.0, {}))
        if self._clock() >= until or text(deal.values.get("Stage")) not in types:
            types = await self._read_types([layout] if layout else await self._layouts())
            self._types[layout] = self._clock() + REMEMBER_S, types
        return types

    async def _read_types(self, layouts: Sequence[str]) -> dict[str, str]:
        pipelines = [pipeline for layout in layouts for pipeline in await self._settings("pipeline", layout_id=layout)]
        return {
            str(stage.get(name)): str(stage.get("forecast_type") or "").casefold()
            for pipeline in pipelines
            for stage in pipeline.get("maps") or ()
            for name in ("display_value", "actual_value")
        }

    async def _layouts(self) -> list[str]:
        return [str(layout.get("id")) for layout in await self._settings("layouts", module="Deals")]

    async def _settings(self, kind: str, **params: str) -> list[Mapping[str, Any]]:
        try:
            answer = await self._api.send("GET", f"{self._data}/settings/{kind}", params=params)
        except RecordGone:
            return []
        return list((answer or {}).get(kind) or ())


def signed_in(
    client_id: str,
    client_secret: str,
    refresh_token: str,
    *,
    url: str = URL,
    accounts_url: str = ACCOUNTS_URL,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Api:
    """Make the way to Zoho's API; see `Zoho` for what it takes."""
    grant = {"grant_type": "refresh_token", "client_id": client_id, "client_secret": client_secret}
    grant |= {"refresh_token": refresh_token}
    sign_in = f"{accounts_url.rstrip('/')}/oauth/v2/token"
    return Api("Zoho", url, FetchedToken("Zoho", sign_in, grant, scheme="Zoho-oauthtoken"), transport=transport)


def _type(types: Mapping[str, str], stage: Any) -> str:
    shown = text(stage) or ""
    return types.get(shown) or shown.casefold()


def _names(fields: Any) -> Iterator[str]:
    """Find the names of fields in ``[{"<record id>": ["Stage"]}]``."""
    match fields:
        case str():
            yield fields
        case list():
            for one in fields:
                yield from _names(one)
        case dict():
            for one in fields.values():
                yield from _names(one)
