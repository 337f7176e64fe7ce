from datetime import timedelta
from typing import Any

import pytest

from tests.memory_run import STARTED, Reading
from tests.tenant import Tenant, event
from worker.errors import Ignored
from worker.events import Event
from workflows.crm import HaloHydrator
from workflows.hydration import Hydration
from workflows.policy.sources import RecordRule, Source
from workflows.sandbox.halopsa.reference import API_AGENT, WON_STATUS

ONBOARDING, OFFBOARDING = 31, 32
TYPES = [{"id": ONBOARDING, "name": "New client"}, {"id": OFFBOARDING, "name": "Client leaves"}]
POLICY = Source(
    won=(
        RecordRule(object="ticket", field="tickettype_id", values=("New client",)),
        RecordRule(object="opportunity", field="status_id", values=("Won",)),
    ),
    churned=(
        RecordRule(object="ticket", field="tickettype_id", values=("Client leaves",)),
        RecordRule(object="client", field="inactive", values=("true",)),
    ),
)
NEW_CLIENT = {"client.name": "ticket.CFNewClientName", "client.id": "ticket.CFExternalId"}


class World:
    def __init__(self, tenant: Tenant, policy: Source = POLICY) -> None:
        self.tenant = tenant
        hydrator = HaloHydrator(tenant.connection.for_run(Reading()), policy, now=lambda: STARTED)
        self.hydration = Hydration({"halopsa": hydrator})
        self.client = tenant.sandbox.plant(
            "Client", tenant.keyed("C-77", name="Acme Corporation", website="https://acme.example.com")
        )

    async def hydrate(self, kind: str, record: int, **data: Any) -> Event:
        return await self.hydration.hydrate(told(kind, record, **data))


def told(kind: str, record: int, **data: Any) -> Event:
    given = {"id": str(record), "change": "changed", "values": {}, "previous": {}, "event": "", "agent_id": "3", **data}
    payload = {"type": f"halopsa.{kind}", "source": {"system": "halopsa"}, "data": given}
    return Event("halopsa:1", "halopsa", f"halopsa.{kind}", STARTED, payload)


@pytest.fixture
def world() -> World:
    tenant = Tenant()
    for kind in TYPES:
        tenant.sandbox.plant("TicketType", {**tenant.sandbox.state()["TicketType"][0], **kind})
    return World(tenant)


def plant(world: World, entity: str, **fields: Any) -> int:
    return int(world.tenant.sandbox.plant(entity, {"summary": "Acme", **fields}))


async def test_a_won_opportunity_of_a_prospect_is_a_deal(world: World) -> None:
    prospect = {"oppcompanyname": "Northwind", "oppcontactname": "Ann Lee", "oppemailaddress": "ann@northwind.example"}
    record = plant(world, "Opportunities", status_id=WON_STATUS, oppvalue=2400.0, **prospect)

    found = await world.hydrate("ticket", record)

    assert found.type == "deal.won"
    assert found.data["deal"] == {"id": str(record), "name": "Acme", "amount": 2400.0, "lines": []}
    assert found.data["client"] == {"name": "Northwind"}
    (contact,) = found.data["contacts"]
    assert contact == {"name": "Ann Lee", "email": "ann@northwind.example", "primary": True}


async def test_an_opportunity_of_a_client_names_it_by_its_key(world: World) -> None:
    record = plant(world, "Opportunities", status_id=WON_STATUS, client_id=world.client)

    found = await world.hydrate("ticket", record)

    assert found.data["client"] == {
        "id": "C-77",
        "name": "Acme Corporation",
        "website": "https://acme.example.com",
    }


async def test_an_open_opportunity_means_nothing(world: World) -> None:
    record = plant(world, "Opportunities", status_id=1)

    with pytest.raises(Ignored):
        await world.hydrate("ticket", record)


async def test_an_onboarding_ticket_names_the_new_client_in_its_custom_fields() -> None:
    tenant = Tenant()
    tenant.sandbox.plant("TicketType", {**tenant.sandbox.state()["TicketType"][0], **TYPES[0]})
    for number, name in ((301, "CFNewClientName"), (302, "CFExternalId")):
        tenant.sandbox.plant("FieldInfo", {"id": number, "name": name, "label": name, "typeid": 1})
    world = World(tenant, POLICY.model_copy(update={"fields": NEW_CLIENT}))
    named = [{"id": 301, "name": "CFNewClientName", "value": "Northwind Ltd"}]
    named.append({"id": 302, "name": "CFExternalId", "value": "crm-000123"})
    record = plant(world, "Tickets", tickettype_id=ONBOARDING, client_id=world.client, customfields=named)

    found = await world.hydrate("ticket", record)

    assert found.data["client"] == {"id": "crm-000123", "name": "Northwind Ltd"}


async def test_an_offboarding_ticket_is_one_churn_however_often_it_changes(world: World) -> None:
    record = plant(world, "Tickets", tickettype_id=OFFBOARDING, client_id=world.client)

    found = await world.hydrate("ticket", record)

    assert found.type == "client.churned"
    assert found.data == {
        "client": {"id": "C-77", "name": "Acme Corporation"},
        "effective_at": STARTED.isoformat(),
    }


async def test_a_client_set_inactive_by_hand_has_churned(world: World) -> None:
    plant(world, "Tickets", tickettype_id=1, client_id=world.client)
    world.tenant.change("Client", world.client, inactive=True)

    found = await world.hydrate("client", world.client)

    assert found.type == "client.churned"
    assert found.data["client"] == {"id": "C-77", "name": "Acme Corporation"}


async def test_what_parhelion_itself_did_means_nothing(world: World) -> None:
    plant(world, "Tickets", tickettype_id=1, client_id=world.client)
    world.tenant.change("Client", world.client, inactive=True)

    with pytest.raises(Ignored, match="own agent"):
        await world.hydrate("client", world.client, agent_id=str(API_AGENT))


async def test_a_churn_that_parhelion_made_starts_no_second_one(world: World) -> None:
    plant(world, "Tickets", tickettype_id=1, client_id=world.client)
    await world.tenant.finish(event("client.churned", {"client": {"id": "C-77", "name": "Acme Corporation"}}))
    assert world.tenant.rows("Client", id=world.client)[0]["inactive"]

    for agent in ("", "3", str(API_AGENT)):
        with pytest.raises(Ignored):
            await world.hydrate("client", world.client, agent_id=agent)


async def test_a_client_that_has_nothing_open_is_wound_down_already(world: World) -> None:
    world.tenant.change("Client", world.client, inactive=True)

    with pytest.raises(Ignored, match="nothing to wind down"):
        await world.hydrate("client", world.client)


@pytest.mark.parametrize(
    ("last", "ours"),
    [
        ("Parhelion run r-1: changes 1 of 1", True),
        ("Parhelion run r-1: leaving", False),
        ("Parhelion run r-2: report", False),
    ],
)
async def test_a_churn_under_way_is_known_by_its_note_where_no_agent_is_told(
    world: World, last: str, *, ours: bool
) -> None:
    plant(world, "Tickets", tickettype_id=1, client_id=world.client)
    for note in ("Parhelion run r-1: leaving", last):
        world.tenant.sandbox.plant("CRMNote", {"client_id": world.client, "note": note})
    world.tenant.change("Client", world.client, inactive=True)

    if ours:
        with pytest.raises(Ignored, match="winding"):
            await world.hydrate("client", world.client, agent_id="")
    else:
        assert (await world.hydrate("client", world.client, agent_id="")).type == "client.churned"


async def test_a_ticket_that_is_gone_is_gone_where_opportunities_are_forbidden_too(world: World) -> None:
    world.tenant.sandbox.faults.forbid = frozenset({"GET /api/Opportunities/{id}"})

    with pytest.raises(Ignored, match="gone"):
        await world.hydrate("ticket", 99999)


async def test_the_backfill_goes_without_a_log_that_it_may_not_see(world: World) -> None:
    world.tenant.sandbox.faults.forbid = frozenset({"GET /api/WebhookEvent"})
    won = plant(world, "Opportunities", status_id=WON_STATUS)

    found = [event async for event in world.hydration.changed_since("halopsa", STARTED - timedelta(hours=1))]

    assert [event.data["id"] for event in found] == [str(won)]


@pytest.mark.parametrize("kind", ["ticket", "client"])
async def test_a_record_that_is_gone_means_nothing(world: World, kind: str) -> None:
    with pytest.raises(Ignored, match="gone"):
        await world.hydrate(kind, 99999)


async def test_the_backfill_finds_what_the_rules_speak_of(world: World) -> None:
    won = plant(world, "Opportunities", status_id=WON_STATUS)
    plant(world, "Opportunities", status_id=1)
    leaving = plant(world, "Tickets", tickettype_id=OFFBOARDING, client_id=world.client)
    plant(world, "Tickets", tickettype_id=1, client_id=world.client)
    bodies = {
        4242: '{"event": "ticket status changed"}',
        4243: '{"event": "ticket status changed", "ticket": {"id": 4243, "tickettype_id": 1}}',
        4244: '{"event": "ticket status changed", "ticket": {"id": 4244, "tickettype_id": 32}}',
        4245: "not JSON",
    }
    for identity, body in bodies.items():
        logged = {"webhook_id": "w-1", "entity_id": identity, "requestbody": body}
        world.tenant.sandbox.plant("WebhookEvent", logged)

    found = [event async for event in world.hydration.changed_since("halopsa", STARTED - timedelta(hours=1))]

    assert {(event.type, event.data["id"]) for event in found} == {
        ("halopsa.opportunity", str(won)),
        ("halopsa.ticket", "4242"),
        ("halopsa.ticket", "4244"),
        ("halopsa.ticket", "4245"),
        ("halopsa.ticket", str(leaving)),
    }


@pytest.mark.parametrize("readable", [True, False])
async def test_where_notes_cannot_be_read_the_last_change_dates_a_churn(world: World, *, readable: bool) -> None:
    plant(world, "Tickets", tickettype_id=1, client_id=world.client)
    changed = STARTED + timedelta(hours=1)
    world.tenant.change("Client", world.client, inactive=True, alastupdate=changed.isoformat())
    if not readable:
        world.tenant.sandbox.faults.forbid = frozenset({"GET /api/CRMNote"})

    found = await world.hydrate("client", world.client)

    assert (found.occurred_at, found.data.get("last_end_note")) == (changed, 0 if readable else None)
