"""A client that somebody sets inactive in HaloPSA is asked about once, and leaves anew once it was there again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.chaos.laboratory import HELD_CLOCK, Laboratory, laboratory
from tests.chaos.tenants import MONDAY, churned, new_tenant
from tests.memory_run import Reading
from tests.tenant import Tenant
from worker.assemble.store import DOORBELL
from worker.errors import Ignored
from worker.events import Event
from worker.journal.scripts import Scripts
from worker.journal.verbs import Operator, Verbs
from workflows.crm import HaloHydrator
from workflows.policy.sources import RecordRule, Source

SET_INACTIVE = Source(churned=(RecordRule(object="client", field="inactive", values=("true",)),))
TERM = {"ref": "D-77", "end_date": "2027-06-30T00:00:00"}


class Office:
    """A worker, and a client that people change in HaloPSA. Its contract runs on, so that its end is asked about."""

    def __init__(self, lab: Laboratory, verbs: Verbs) -> None:
        self.lab, self.verbs = lab, verbs
        self.tenant = Tenant(lab.sandbox)
        self.client = self.plant("Client", {"name": "Client 77", "ref": "C-77"})
        self.contract = self.plant("ClientContract", {"client_id": self.client, **TERM})
        self.ticket = self.plant("Tickets", {"summary": "Move", "client_id": self.client, "agent_id": 1})

    def plant(self, entity: str, fields: dict[str, Any]) -> int:
        return int(self.lab.sandbox.plant(entity, fields))

    async def edit(self, days: int, **fields: Any) -> None:
        """Somebody changes the client, and HaloPSA tells of it without saying who it was."""
        now = MONDAY + timedelta(days=days)
        self.tenant.change("Client", self.client, alastupdate=now.isoformat(), **fields)
        told = {"type": "halopsa.client", "source": {"system": "halopsa"}, "data": {"id": str(self.client)}}
        event = Event(f"halopsa:{days}", "halopsa", "halopsa.client", now, told)
        hydrator = HaloHydrator(self.tenant.connection.for_run(Reading()), SET_INACTIVE, now=lambda: now)
        with suppress(Ignored):
            await self.lab.deliver(await hydrator.hydrate(event))
        await self.lab.look()

    async def decide(self, *, approved: bool) -> None:
        (waiting,) = [run for run in await self.lab.runs() if run["state"] == "waiting"]
        await self.verbs.decide(waiting["id"], Operator("jane", "asked them"), approved=approved)
        await self.lab.look()

    async def states(self) -> list[str]:
        return [run["state"] for run in await self.lab.runs()]


@pytest.fixture
async def office(redis: Redis, valkey: str) -> AsyncIterator[Office]:
    async with laboratory(redis, valkey, new_tenant(), now=int(MONDAY.timestamp() * 1000)) as lab:
        yield Office(lab, Verbs(Scripts(redis, DOORBELL, clock=HELD_CLOCK)))


async def test_an_edit_while_its_run_waits_starts_no_second_one(office: Office) -> None:
    await office.edit(0, inactive=True)
    assert await office.states() == ["waiting"]

    for days in (1, 3, 30):
        await office.edit(days, website="https://new.example.com")
    assert await office.states() == ["waiting"]


async def rejected(office: Office) -> None:
    await office.decide(approved=False)


async def cancelled(office: Office) -> None:
    (waiting,) = await office.lab.runs()
    await office.verbs.cancel(waiting["id"], Operator("jane", "they stay"))


@pytest.mark.parametrize("stopped", [rejected, cancelled])
async def test_an_end_by_hand_after_a_churn_that_people_stopped_is_none_of_ours(
    office: Office, stopped: Callable[[Office], Awaitable[None]]
) -> None:
    await office.lab.deliver(churned(leaves=None))
    await office.lab.look()
    await stopped(office)
    ended = await office.states()
    office.tenant.change("ClientContract", office.contract, end_date="2026-12-20T00:00:00")

    await office.edit(30, inactive=True)
    assert len(ended) == 1
    assert len(await office.states()) == 2


async def test_a_client_that_people_took_back_leaves_anew_and_is_wound_down_once_each_time(office: Office) -> None:
    await office.edit(0, inactive=True)
    await office.decide(approved=True)
    assert await office.states() == ["succeeded"]
    await office.edit(3, website="https://new.example.com")
    assert await office.states() == ["succeeded"]

    office.tenant.change("Client", office.client, inactive=False)
    office.tenant.change("ClientContract", office.contract, **TERM, active=True)
    for days in (10, 12, 14):
        await office.edit(days, inactive=True)
    assert await office.states() == ["succeeded", "waiting"]
    await office.decide(approved=True)
    assert await office.states() == ["succeeded", "succeeded"]
