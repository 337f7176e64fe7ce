"""A churn that a person must agree to does nothing before, and reads everything anew afterwards."""

from datetime import timedelta

from redis.asyncio import Redis

from tests.chaos.laboratory import HELD_CLOCK, laboratory
from tests.chaos.tenants import MONDAY, churned, tenant_with_a_client
from worker.assemble.store import DOORBELL
from worker.journal.scripts import Scripts
from worker.journal.verbs import Operator, Verbs


async def test_a_client_with_child_clients_is_wound_down_when_a_person_agrees(redis: Redis, valkey: str) -> None:
    sandbox = tenant_with_a_client()
    (client,) = [row for row in sandbox.state()["Client"] if row["name"] == "Client 77"]
    sandbox.plant("Client", {"name": "Client 77 North", "client_to_invoice": client["id"]})
    async with laboratory(redis, valkey, sandbox, now=int(MONDAY.timestamp() * 1000)) as lab:
        await lab.deliver(churned())
        await lab.look()
        (run,) = await lab.runs()
        assert "other clients belong to it" in run["waiting_for"]

        sandbox.plant("Tickets", {"summary": "new", "client_id": client["id"]})
        verbs = Verbs(Scripts(redis, DOORBELL, clock=HELD_CLOCK))
        await verbs.decide(run["id"], Operator("ada", "they go as well"), approved=True)
        await lab.run_to_the_end()

        (run,) = await lab.runs()
        assert run["state"] == "succeeded", run["error"]
        assert len(run["result"]["closed_ticket_ids"]) == 4


async def test_a_churn_without_a_day_ends_contracts_on_the_day_of_the_yes(redis: Redis, valkey: str) -> None:
    async with laboratory(redis, valkey, tenant_with_a_client(), now=int(MONDAY.timestamp() * 1000)) as lab:
        await lab.deliver(churned(leaves=None))
        (client,) = [row for row in lab.sandbox.state()["Client"] if row["name"] == "Client 77"]
        lab.sandbox.plant("Client", {"name": "Client 77 North", "client_to_invoice": client["id"]})
        await lab.look()
        (run,) = await lab.runs()
        assert run["state"] == "waiting"

        assert lab._calendar
        lab._calendar.shift(timedelta(days=4))
        await lab.at(lab.course.now + 4 * 24 * 3600 * 1000)
        verbs = Verbs(Scripts(redis, DOORBELL, clock=HELD_CLOCK))
        await verbs.decide(run["id"], Operator("ada", "they go"), approved=True)
        await lab.run_to_the_end()

        (run,) = await lab.runs()
        assert run["state"] == "succeeded", run["error"]
        assert run["result"]["last_service_day"] == "2026-11-27"
        assert lab.sandbox.state()["ClientContract"][0]["end_date"] == "2026-11-27T00:00:00"
