"""HaloPSA as a sender: won opportunities, onboarding and off-boarding tickets, clients set inactive by hand.

What its webhooks say proves nothing, so that every record is read again. Our own writes raise webhooks too: they are
known by their agent, and by a state that is reached already.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from worker.errors import Ignored
from worker.events import Event
from worker.run import Guard
from workflows.crm.hydrator import canonical
from workflows.crm.mapping import NAMES, Mapper, at, moment_of, text
from workflows.crm.records import Fields, Record, Words, found_changed
from workflows.crm.rules import first_match
from workflows.crm.since import refuse_history
from workflows.crm.wound_down import refuse_wound_down
from workflows.halopsa import Halo, HaloForbidden, HaloNotFound
from workflows.halopsa.models import Choice, WebhookEvent, custom_fields, whole_number
from workflows.policy.sources import RecordRule, Source

Found = tuple[str, str, datetime]
"""Kind and id of a record that may mean something, and when it was last changed."""
PATHS: Final = {"ticket": "/Tickets", "opportunity": "/Opportunities", "client": "/Client"}
LISTED: Final = ("ticket", "opportunity")
"""Kinds of records whose lists tell when they were last changed."""
CLIENT_CHANGED: Final = "alastupdate"
"""Where a client that is read alone tells when it was last changed."""
WON: Final = (RecordRule(object="opportunity", field="status_id", values=("Won",)),)
"""What wins where the policy has no rules: an opportunity with HaloPSA's own status."""
FIELDS: Final[Fields] = {
    "deal.name": ("ticket.summary",),
    "deal.amount": ("ticket.oppvalue",),
    "deal.recurring_amount": ("ticket.oppvalue_monthly",),
    "deal.one_off_amount": ("ticket.oppvalue_oneoff",),
    "client.name": ("client.name", "ticket.oppcompanyname"),
    "client.website": ("client.website",),
    "site.line1": ("ticket.oppaddr1",),
    "site.line2": ("ticket.oppaddr2",),
    "site.city": ("ticket.oppaddr3",),
    "site.region": ("ticket.oppaddr4",),
    "site.postcode": ("ticket.opppostcode",),
    "contact.name": ("ticket.oppcontactname",),
    "contact.email": ("ticket.oppemailaddress",),
    "contact.phone": ("ticket.opptel",),
    "contact.job_title": ("ticket.oppjobtitle",),
}

_log = structlog.stdlib.get_logger("halopsa")


def _now() -> datetime:
    return datetime.now(UTC)


class HaloHydrator:
    """Completes HaloPSA's own events.

    Args:
        halo: HaloPSA, guarded by the request budget.
        policy: what the MSP has decided about this source; a client churns by its rules only.
        first_start: see `workflows.crm.hydrator.CrmHydrator`.
        now: tells the present time.
    """

    words = Words(deal="opportunity", client="client", pipeline="tickettype_id")

    def __init__(
        self,
        halo: Halo,
        policy: Source,
        *,
        first_start: datetime | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._halo = halo
        self._policy = policy
        self._first_start = first_start
        self._now = now
        self._mapper = Mapper(FIELDS, policy.fields, self.words)
        # Where the ticket names the client, the ticket's own client is somebody else: the MSP itself.
        self._client_by_ticket = policy.fields.get("client.name", "").startswith("ticket.")

    async def hydrate(self, event: Event) -> Event:
        """Read the record that an event is about, and return what it means.

        Raises:
            Ignored: it means nothing, or is our own doing.
            RetryLater: HaloPSA cannot be asked now.
            NeedsOperator: it refuses.
        """
        kind, agent = event.type.partition(".")[2], _agent(event)
        if kind not in PATHS:
            raise Ignored(f"HaloPSA's records of the kind {kind!r} start nothing")
        refuse_history(event, self._policy.since or self._first_start)
        if agent and agent in {str(one.id) for one in await self._halo.signed_in.find()}:
            raise Ignored("Parhelion's own agent did it")
        record = await self._read(kind, str(event.data.get("id") or ""))
        if record is None:
            raise Ignored(f"HaloPSA's {kind} is gone, or the API agent may not see it")
        if await self._won(record):
            return await self._deal(event, record)
        if not await first_match(self._policy.churned, record, self):
            raise Ignored(f"no rule of the policy says that this {record.object} means anything")
        return await self._churned(event, record)

    async def label(self, record: Record, name: str) -> str:
        """Say what a status, a ticket type or another entry of a list is called."""
        shown = text(record.values.get(f"{name.removesuffix('_id')}_name"))
        if shown or name not in {"tickettype_id", "status_id"}:
            return shown or ""
        entries: Sequence[Choice]
        if name == "tickettype_id":
            entries = await self._halo.ticket_types.find()
        else:
            entries = await self._halo.statuses.find()
        return next((one.name for one in entries if one.id == whole_number(record.values.get(name))), "")

    async def changed_since(self, moment: datetime) -> AsyncIterator[Event]:
        """Look through the log of deliveries and the changed records for what may mean something.

        Args:
            moment: from when on (UTC).

        Raises:
            RetryLater: HaloPSA cannot be asked now.
            NeedsOperator: it refuses.
        """
        found: dict[tuple[str, str], datetime] = {}
        for kind, identity, changed in [
            *await self._logged_since(moment),
            *await self._listed_since(moment),
            *await self._clients_since(moment),
        ]:
            found[kind, identity] = max(changed, found.get((kind, identity), changed))
        for (kind, identity), changed in found.items():
            yield found_changed("halopsa", "", kind, identity, changed)

    async def note_on_deal(self, event: Event, text: str, guard: Guard) -> bool:
        """Write nothing: HaloPSA has the run's report as a note on the client."""
        del event, text, guard
        return False

    async def aclose(self) -> None:
        """Close nothing: the connections to HaloPSA belong to the process."""

    async def _logged_since(self, moment: datetime) -> list[Found]:
        """Look through the log of deliveries; nothing where the API agent may not see that."""
        try:
            log = await self._halo.webhook_events.find_since("at", moment)
        except HaloForbidden:
            return []
        told = [(*_told(sent), sent) for sent in log if sent.entity_id]
        return [
            (kind, str(sent.entity_id), sent.at or moment)
            for kind, values, sent in told
            if not values or await self._spoken_of(_record(kind, values))
        ]

    async def _listed_since(self, moment: datetime) -> list[Found]:
        """Look through the tickets and opportunities that have changed."""
        rows = [
            (_record(kind, row), moment_of(row.get("last_update")) or moment)
            for kind in LISTED
            if kind in self._ruled()
            for row in await self._halo.rows_changed_since(PATHS[kind], "tickets", moment)
        ]
        return [(record.object, record.id, at) for record, at in rows if await self._spoken_of(record)]

    async def _clients_since(self, moment: datetime) -> list[Found]:
        """Look through the clients that have changed, where rules speak of clients and HaloPSA can be asked so."""
        rows = await self._halo.client_rows_changed_since(moment) if "client" in self._ruled() else []
        if rows is None:
            _log.warning("clients cannot be listed by their last change: only the log of webhooks tells of them")
        found: list[Found] = []
        for row in rows or []:
            listed = _record("client", row)
            # Listings lack most fields, the time of the change among them.
            record = await self._read("client", listed.id) if await self._may_mean(listed) else None
            if record and await self._spoken_of(record):
                found.append(("client", record.id, moment_of(record.values.get(CLIENT_CHANGED)) or moment))
        return found

    async def _may_mean(self, client: Record) -> bool:
        """Whether a rule fits a client as it is listed, or speaks of what listings leave out."""
        rules = [rule for rule in self._policy.churned if rule.object.casefold() == "client"]
        return await self._spoken_of(client) or any(at(client.values, rule.field) is None for rule in rules)

    async def _spoken_of(self, record: Record) -> bool:
        """Whether a rule fits a record."""
        return await self._won(record) or await first_match(self._policy.churned, record, self) is not None

    def _ruled(self) -> set[str]:
        """The kinds of records that rules speak of."""
        return {rule.object.casefold() for rule in (*(self._policy.won or WON), *self._policy.churned)}

    async def _read(self, kind: str, identity: str) -> Record | None:
        """Read a record. Opportunities are tickets, and their messages may say either."""
        try:
            row = await self._halo.row(f"{PATHS[kind]}/{identity}") if identity.isdecimal() else {}
        except HaloNotFound:
            return await self._read_opportunity(identity) if kind == "ticket" else None
        return _record("opportunity" if row.get("is_opportunity") is True else kind, row) if row else None

    async def _read_opportunity(self, identity: str) -> Record | None:
        try:
            return await self._read("opportunity", identity)
        except HaloForbidden:
            # Opportunities take a permission of their own, which not everybody gives.
            return None

    async def _won(self, record: Record) -> bool:
        return await first_match(self._policy.won or WON, record, self) is not None

    async def _deal(self, event: Event, ticket: Record) -> Event:
        client, told = await self._client(ticket), replace(ticket, object="ticket", id="")
        contact = self._mapper.contact(told)
        data = {
            "deal": self._mapper.deal(told, (), client) | {"id": ticket.id},
            "client": self._mapper.client(client, told),
            "sites": self._mapper.site(told, client),
            "contacts": [contact | {"primary": True}] if NAMES & contact.keys() else [],
        }
        return canonical(event, "deal.won", data)

    async def _churned(self, event: Event, record: Record) -> Event:
        told, last_end = replace(record, object="ticket"), None
        if record.object == "client":
            agent_known = bool(_agent(event))
            last_end = await refuse_wound_down(self._halo, int(record.id), self._now(), agent_known=agent_known)
            client = await self._keyed(record)
            # However late it is told, it is one churn with what else tells of the client's last change.
            changed = moment_of(record.values.get(CLIENT_CHANGED))
            event = replace(event, occurred_at=max(event.occurred_at, changed or event.occurred_at))
        else:
            client = await self._client(record)
        named = self._mapper.client(client, told)
        known = {name: named[name] for name in ("id", "name") if name in named}
        more = self._mapper.event(told, client)
        opened = moment_of(record.values.get("dateoccurred"))
        if opened and "last_service_day" not in more:
            # One ticket is one churn, however often it changes.
            more["effective_at"] = opened.isoformat()
        if last_end is not None:
            # HaloPSA does not tell since when a client is inactive; this stays, however often the client is edited.
            more["last_end_note"] = last_end
        return canonical(event, "client.churned", {"client": known, **more})

    async def _client(self, ticket: Record) -> Record:
        """Read the ticket's client; an empty one for a prospect, and where the ticket itself names who is meant."""
        client_id = whole_number(ticket.values.get("client_id"))
        if self._client_by_ticket or not isinstance(client_id, int) or client_id < 1:
            return Record("client", "", {})
        row = await self._halo.row(f"{PATHS['client']}/{client_id}")
        return await self._keyed(_record("client", row))

    async def _keyed(self, client: Record) -> Record:
        """Give a client the CRM's key for an id."""
        return replace(client, id=(await self._halo.clients.get(int(client.id))).key)


def _agent(event: Event) -> str:
    """Give the id of the agent that did it; empty where it is not told."""
    agent = str(event.data.get("agent_id") or "")
    return "" if agent == "0" else agent


def _record(kind: str, row: Mapping[str, Any]) -> Record:
    """Put custom fields beside the usual ones."""
    values = {**custom_fields(row.get("customfields") or []), **row}
    return Record(kind, str(whole_number(row.get("id"))), values)


def _told(sent: WebhookEvent) -> tuple[str, Mapping[str, Any]]:
    """Tell what a logged delivery was about (a ticket where nothing says otherwise), and what it said of it."""
    try:
        body = json.loads(sent.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return "ticket", {}
    kind = next((kind for kind in PATHS if kind in str(body.get("event", "")).lower()), "ticket")
    nested = body.get(kind)
    return kind, nested if isinstance(nested, dict) else {}
