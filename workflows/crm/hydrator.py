"""From "a record has changed" to a canonical event: read it, decide what it means, read what belongs to it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from worker.errors import Ignored, NeedsOperator
from worker.events import Event
from worker.run import Guard
from workflows.crm.api import CrmRefused
from workflows.crm.mapping import NAMES, Mapper, moment_of
from workflows.crm.records import Crm, Outcome, Record, found_changed
from workflows.crm.rules import first_match, ruled_fields
from workflows.crm.since import refuse_history
from workflows.policy.sources import RecordRule, Source

TOLD = "told"
"""Where a canonical event keeps what was told, so that it can be read again."""


class CrmHydrator:
    """Completes one CRM's events.

    Args:
        system: the CRM's word in events ("hubspot").
        crm: its client.
        policy: what the MSP has decided about it.
        first_start: facts from before count as history, unless the policy says otherwise; None: none do.
    """

    def __init__(self, system: str, crm: Crm, policy: Source, *, first_start: datetime | None = None) -> None:
        self._system = system
        self._crm = crm
        self._account: str | None = None
        self._policy = policy
        self._beginning = policy.since or first_start
        self._mapper = Mapper(crm.fields, policy.fields, crm.words)
        self._wanted = self._mapper.wanted(ruled_fields((*policy.won, *policy.churned), crm.words.pipeline))

    async def hydrate(self, event: Event) -> Event:
        """Read the record that an event is about, and return what it means.

        Raises:
            Ignored: it means nothing.
            RetryLater: the CRM cannot be asked now.
            NeedsOperator: it refuses, or a person must decide.
        """
        kind, change = event.type.partition(".")[2], event.data.get("change")
        if change == "deleted":
            raise Ignored(f"{self._crm.name}'s {kind} was deleted: what stands in HaloPSA stays")
        identity = str(event.data.get("merged_into") or event.data.get("id") or "")
        if kind not in self._crm.kinds or not identity:
            raise Ignored(f"{self._crm.name}'s {kind} {identity}: such a record starts nothing")
        refuse_history(event, self._beginning)
        record = await self._crm.read(kind, identity, self._wanted)
        if record is None:
            raise Ignored(f"{self._crm.name}'s {kind} is gone: it was deleted before it could be read")
        if kind != self._crm.words.deal:
            return await self._accounted(await self._other(event, record, merged=change == "merged"))
        if change == "merged":
            raise Ignored("merged deals win nothing by that; the next change of the one that is left counts")
        return await self._accounted(await self._deal(event, record))

    async def changed_since(self, moment: datetime) -> AsyncIterator[Event]:
        """Search the CRM for records that have changed and may mean something.

        Args:
            moment: from when on (UTC).

        Raises:
            NeedsOperator: the CRM refuses.
            RetryLater: it cannot be asked now.
        """
        ruled = (rule.object.casefold() for rule in self._policy.churned)
        for kind in dict.fromkeys([self._crm.words.deal, *(kind for kind in ruled if kind in self._crm.kinds)]):
            async for identity, changed in self._crm.changed_since(moment, kind):
                yield found_changed(self._system, await self._own_account(), kind, identity, changed)

    async def note_on_deal(self, event: Event, text: str, guard: Guard) -> bool:
        """Write a note on the deal of a canonical event, once.

        Returns:
            Whether it was written now.

        Raises:
            RetryLater: the CRM cannot be asked now, or left open whether it wrote.
            NeedsOperator: it refuses.
        """
        deal = str(event.data.get("deal", {}).get("id") or "")
        mark = f"[Parhelion {event.id}]"
        return await self._crm.note(deal, mark, f"{text}\n{mark}", guard)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._crm.aclose()

    async def _deal(self, event: Event, deal: Record) -> Event:
        outcome = await self._crm.outcome(deal, event)
        won = await first_match(self._policy.won, deal, self._crm) is not None if self._policy.won else outcome.won
        if won:
            # Where the policy names a beginning, old deals that are imported or edited start nothing.
            refuse_history(event, self._beginning, outcome.at if self._policy.since else None)
            return await self._won(event, deal, outcome)
        if rule := await first_match(self._policy.churned, deal, self._crm):
            return await self._churned(event, deal, rule)
        if outcome.won_before:
            refuse_history(event, self._beginning, outcome.at)
            # The same reopening whenever it is read, however often the deal changes afterwards.
            return await self._reopened(replace(event, occurred_at=outcome.at or event.occurred_at), deal)
        raise Ignored("the deal is not won")

    async def _won(self, event: Event, deal: Record, outcome: Outcome) -> Event:
        client = await self._client(deal)
        owner = await self._owner(deal)
        contacts = await self._crm.contacts_of(deal, self._wanted)
        lines = await self._lines(deal)
        mapped = self._mapper.deal(deal, lines, client, owner)
        if pipeline := await self._crm.label(deal, self._crm.words.pipeline):
            mapped["pipeline"] = pipeline
        if outcome.at:
            mapped.setdefault("won_at", outcome.at.isoformat())
        people = [self._mapper.contact(contact, client, deal) for contact in contacts]
        people = [person for person in people if NAMES & person.keys()]
        data = {
            "deal": mapped,
            "client": self._mapper.client(client, deal, owner),
            "sites": self._mapper.site(client, deal),
            "contacts": [{**person, "primary": number == 0} for number, person in enumerate(people)],
        }
        return canonical(event, "deal.won", data)

    async def _reopened(self, event: Event, deal: Record) -> Event:
        client = await self._client(deal)
        owner = await self._owner(deal)
        data = {"deal": self._mapper.deal(deal, (), client, owner), "client": self._mapper.client(client, deal, owner)}
        return canonical(event, "deal.reopened", data)

    async def _other(self, event: Event, record: Record, *, merged: bool) -> Event:
        rule = await first_match(self._policy.churned, record, self._crm)
        if rule and not merged and self._crm.told(event, rule.field):
            return await self._churned(event, record, rule)
        if event.data.get("found"):
            raise Ignored(f"this {record.object} means no churn, and nothing else was searched for")
        if record.object != self._crm.words.client:
            raise Ignored(f"no rule of the policy says that this {record.object} means a churn")
        ruled = [one.field for one in self._policy.churned if one.object.casefold() == record.object]
        kept = [name for name in self._wanted[record.object] if self._mapper.is_of_client(name)]
        if not merged and not any(self._crm.told(event, name) for name in (*kept, *ruled)):
            raise Ignored("nothing that HaloPSA keeps has changed")
        merged_ids = event.data.get("merged_ids") or ([event.data.get("id")] if merged else [])
        more = {"merged_ids": merged_ids} if merged_ids else {}
        stays = {"stays": True} if ruled and rule is None else {}
        return canonical(event, "client.updated", {"client": self._mapper.client(record) | more, **stays})

    async def _churned(self, event: Event, record: Record, rule: RecordRule) -> Event:
        since = await self._since(record, rule)
        refuse_history(event, self._beginning, since)
        client = await self._client(record)
        known = self._mapper.client(client)
        named = {name: known[name] for name in ("id", "name") if name in known}
        more = self._mapper.event(record, client)
        last_day = moment_of(more.get("last_service_day"))
        if event.data.get("found"):
            self._refuse_missed(event, rule, since or last_day)
        if since and not last_day:
            # The same churn whenever it is read, however often the record changes afterwards.
            more["effective_at"] = since.isoformat()
        elif not last_day:
            # Even an event that names the very field is no proof of news: senders repeat unchanged fields.
            more["undated"] = True
        return canonical(event, "client.churned", {"client": named, **more})

    async def _since(self, record: Record, rule: RecordRule) -> datetime | None:
        """Say since when a record fits a rule, whichever of the rule's values it has had meanwhile."""
        since = None
        for change in await self._crm.changes(record, rule.field):
            since = change.at
            earlier = replace(record, values={**record.values, rule.field: change.before})
            if not await first_match([rule], earlier, self._crm):
                break
        return since

    def _refuse_missed(self, event: Event, rule: RecordRule, on: datetime | None) -> None:
        """Ignore a churn that a search found, unless it has a day on which it counts.

        Raises:
            Ignored: as above.
        """
        if on is None:
            raise Ignored(f"{self._crm.name} does not show since when {rule.field} has its value: it may be long ago")
        refuse_history(event, self._beginning, on)

    async def _client(self, record: Record) -> Record:
        client = await self._crm.client_of(record, self._wanted)
        if client is None:
            raise NeedsOperator(
                f"{self._crm.name}'s {record.object} {record.id} belongs to no {self._crm.words.client}.",
                mend=f"add the {self._crm.words.client} in {self._crm.name}, then replay the event.",
            )
        return client

    async def _lines(self, deal: Record) -> Sequence[Record]:
        try:
            return await self._crm.lines_of(deal, self._wanted)
        except CrmRefused:
            # Nothing hangs on line items, and the permissions for the rest do not include them.
            return []

    async def _accounted(self, event: Event) -> Event:
        """Say whose record it is: one deal is one fact, whichever way it is told.

        A record that could be read is the token's owner's, whoever told of it and however he writes that.
        """
        account = await self._own_account()
        source = {"system": self._system} | ({"account": account} if account else {})
        return replace(event, payload={**event.payload, "source": source})

    async def _own_account(self) -> str:
        if self._account is None:
            try:
                self._account = await self._crm.account()
            except CrmRefused:
                return ""
        return self._account

    async def _owner(self, deal: Record) -> Record:
        return Record(self._crm.words.owner, "", await self._crm.owner_of(deal))


def canonical(event: Event, kind: str, data: Mapping[str, Any]) -> Event:
    """Make the canonical event that stands for an event which only tells of a change.

    It keeps the id, the time and, under `TOLD`, what was told.
    """
    payload = {
        "type": kind,
        "timestamp": event.occurred_at.astimezone(UTC).isoformat(),
        "source": event.payload.get("source") or {"system": event.source},
        "data": dict(data),
        TOLD: {"type": event.type, "data": event.data},
    }
    return replace(event, type=kind, payload=payload)


def as_told(event: Event) -> Event:
    """Give back the event that a canonical one was made from; one that was made from none comes back as it is.

    What a sender of canonical events puts there does not count.
    """
    told = event.payload.get(TOLD)
    if not isinstance(told, dict) or str(told.get("type")).partition(".")[0] != event.source:
        return event
    payload = {name: value for name, value in event.payload.items() if name != TOLD}
    return replace(event, type=str(told.get("type")), payload=payload | told)
