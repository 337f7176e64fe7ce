"""A client set inactive by hand is one churn, whether HaloPSA's message of it comes early, late, or never."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.world import World
from tests.memory_run import STARTED, Notebook, Reading
from tests.tenant import Tenant, event
from webhooks.sending import json_delivery
from webhooks.sources import halopsa
from worker.backfill import Backfill, Outcome
from worker.events import Event
from worker.inbox import Inbox
from worker.jobs import encode_doorbell
from worker.journal.backfills import Backfills
from worker.journal.scripts import Scripts
from workflows.crm import HaloHydrator
from workflows.hydration import Hydration
from workflows.policy.sources import RecordRule, Source
from workflows.registry import WORKFLOWS

SET_INACTIVE = Source(churned=(RecordRule(object="client", field="inactive", values=("true",)),))


class Office:
    """A tenant in which somebody sets a client inactive, and a real inbox."""

    def __init__(self, world: World) -> None:
        self.tenant = Tenant()
        self.now = STARTED
        self.acme = int(self.tenant.sandbox.plant("Client", self.tenant.keyed("C-77", name="Acme Corporation")))
        self.tenant.sandbox.plant("Tickets", {"client_id": self.acme, "summary": "open", "tickettype_id": 1})
        self.edited(STARTED, inactive=True)
        halo = self.tenant.connection.for_run(Reading())
        hydration = Hydration({"halopsa": HaloHydrator(halo, SET_INACTIVE, now=lambda: self.now)})
        self.inbox = Inbox(world.journal, world.reader, WORKFLOWS, hydration.hydrate)
        backfills = Backfills(Scripts(world.redis, encode_doorbell()), "worker-1")
        self.backfill = Backfill(hydration, self.inbox, world.reader, backfills, WORKFLOWS)

    def edited(self, at: datetime, **values: Any) -> None:
        """Change the client as a person would."""
        self.tenant.change("Client", self.acme, alastupdate=f"{at:%Y-%m-%dT%H:%M:%S}", **values)

    async def search(self) -> tuple[Outcome, list[str]]:
        """Ask HaloPSA what was missed, and give the runs that this starts."""
        outcome = await self.backfill.make("halopsa", STARTED - timedelta(hours=1), tell=print)
        return outcome, [run for missed in outcome.missed for run in await self.inbox.route(missed.id)]

    async def deliver(self, told_at: datetime | None, *, batch: bool = False) -> list[str]:
        """Take in what HaloPSA tells of the client now; give the runs that this starts."""
        message = {"event": "client updated", "object_id": self.acme, "agent_id": 3, "at": f"{self.now}"}
        message |= {"timestamp": f"{told_at:%Y-%m-%dT%H:%M:%S.000Z}"} if told_at else {}
        url = "https://hooks.msp.example/webhooks/halopsa"
        (told,) = halopsa.events(json_delivery([message] if batch else message, url, self.now))
        assert isinstance(told, Event)
        await self.inbox.accept([told])
        return await self.inbox.route(told.id)


@pytest.fixture
async def office(world: World) -> Office:
    return Office(world)


@pytest.mark.parametrize("batch", [False, True])
async def test_a_message_that_comes_after_the_search_starts_nothing(office: Office, *, batch: bool) -> None:
    outcome, runs = await office.search()
    assert ([missed.type for missed in outcome.missed], len(runs)) == (["client.churned"], 1)

    office.now += timedelta(days=2)
    assert await office.deliver(STARTED, batch=batch) == []
    assert await office.search() == (Outcome("halopsa", outcome.since, changed=1, known=1), [])


async def test_what_a_message_told_was_not_missed(office: Office) -> None:
    assert len(await office.deliver(STARTED)) == 1

    outcome, _ = await office.search()
    assert (outcome.changed, outcome.known, outcome.missed) == (1, 1, [])


async def test_a_message_that_is_older_than_the_last_edit_starts_nothing_either(office: Office) -> None:
    office.now += timedelta(days=3)
    office.edited(office.now, website="https://acme.example.com")
    _, runs = await office.search()
    assert len(runs) == 1

    assert await office.deliver(STARTED) == []


async def test_nor_does_one_that_says_not_when_after_the_churn(office: Office) -> None:
    await office.tenant.finish(event("client.churned", {"client": {"id": "C-77"}}), Notebook())
    office.now += timedelta(days=3)
    office.edited(office.now, website="https://acme.example.com")
    assert await office.deliver(None) == []
    outcome, _ = await office.search()
    assert (outcome.changed, outcome.meaningless, outcome.missed) == (1, 1, [])
