"""A churn that a person must agree to does nothing before, and reads everything anew afterwards."""

from redis.asyncio import Redis

from tests.chaos.laboratory import HELD_CLOCK, laboratory
from tests.chaos.tenants import MONDAY, churned, tenant_with_a_client
from worker.assemble import DOORBELL
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
