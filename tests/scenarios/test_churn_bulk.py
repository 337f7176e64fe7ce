"""Hundreds of tickets are closed in a few requests where HaloPSA takes arrays, and singly where it does not."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.memory_run import MemoryRun, Notebook
from tests.scenarios.array_moods import Mood, Moody
from tests.tenant import AFTER, BEFORE, Tenant, event
from worker.errors import NeedsOperator
from workflows.churn_client import churn_client
from workflows.msp import Msp
from workflows.open_tickets import CHUNK
from workflows.policy import ChurnClient, Policy
from workflows.sandbox.faults import Faults, Role

LEAVES = {"client": {"id": "C-77"}, "last_service_day": "2026-12-31", "reason": "moved to another provider"}
MOODS: list[Mood] = ["plain", "last shown", "last written", "refused", "as many as possible", "cut short"]

COMPLAINT = 28
"""A ticket type of the sandbox with a mandatory field."""


def tenant_with_tickets(count: int) -> Tenant:
    """A client with open tickets: every third unassigned, every tenth the parent of the next two, of two types."""
    tenant = Tenant()
    plant = tenant.sandbox.plant
    client = plant("Client", {"name": "Acme", "ref": "C-77"})
    plant("ClientContract", {"client_id": client, "ref": "D-1", "rollingcontract": True})
    parent = 0
    for number in range(count):
        ticket = {"client_id": client, "summary": f"ticket {number}", "tickettype_id": 1 + 2 * (number % 2)}
        agent = {} if number % 3 == 0 else {"agent_id": 3}
        child = {"parent_id": parent} if number % 10 in (1, 2) else {}
        planted = plant("Tickets", ticket | agent | child)
        parent = planted if number % 10 == 0 else parent
    return tenant


def moody(tenant: Tenant, mood: Mood) -> Tenant:
    """Let a tenant treat arrays in its own way."""
    tenant.wire._inner = Moody(tenant.wire._inner, mood)
    return tenant


def open_ones(tenant: Tenant) -> list[int]:
    return [row["id"] for row in tenant.rows("Tickets", hasbeenclosed=False)]


def assert_wound_down(tenant: Tenant) -> None:
    """No ticket is open, and each bears the reason once."""
    assert open_ones(tenant) == []
    noted = [action["ticket_id"] for action in tenant.rows("Actions")]
    assert sorted(noted) == sorted(row["id"] for row in tenant.rows("Tickets"))


async def test_717_tickets_on_pages_of_100_are_all_closed_each_with_the_reason() -> None:
    tenant = tenant_with_tickets(717)
    notebook = Notebook()
    result = await tenant.finish(event("client.churned", LEAVES), notebook)

    assert_wound_down(tenant)
    assert all("moved to another provider" in action["note"] for action in tenant.rows("Actions"))
    assert len(result.closed_ticket_ids) == 717
    assert list(notebook.remarks.values())[-1] == "717 tickets are dealt with"


async def test_500_tickets_take_at_most_60_requests_where_arrays_are_taken_whole() -> None:
    tenant = tenant_with_tickets(500)
    await tenant.finish(event("client.churned", LEAVES))

    assert_wound_down(tenant)
    assert len(tenant.wire.calls) <= 60


async def test_an_answer_that_shows_the_last_record_alone_is_no_reason_to_go_singly() -> None:
    tenant = moody(tenant_with_tickets(500), "last shown")
    await tenant.finish(event("client.churned", LEAVES))

    assert_wound_down(tenant)
    assert len(tenant.wire.calls) <= 60


@pytest.mark.parametrize("mood", ["refused", "last written"])
async def test_500_tickets_take_at_most_two_requests_each_and_40_where_arrays_are_not_taken(mood: Mood) -> None:
    tenant = moody(tenant_with_tickets(500), mood)
    await tenant.finish(event("client.churned", LEAVES))

    assert_wound_down(tenant)
    assert len(tenant.wire.calls) <= 2 * 500 + 40


@pytest.mark.parametrize("switches", [{"arrays": False}, {"array_cap": 20}])
async def test_a_tenant_that_takes_no_such_arrays_costs_no_more_than_going_singly(switches: dict[str, Any]) -> None:
    tenant = tenant_with_tickets(200)
    tenant.sandbox.faults = Faults(**switches)
    await tenant.finish(event("client.churned", LEAVES))

    assert_wound_down(tenant)
    assert len(tenant.wire.calls) <= 2 * 200 + 40


@pytest.mark.parametrize("refusal", ["whole", "partial"])
async def test_one_bad_ticket_of_a_chunk_costs_that_chunk_alone(refusal: str) -> None:
    tenant = tenant_with_tickets(500)
    tenant.sandbox.faults = Faults.model_validate({"array_refusal": refusal})
    (client,) = tenant.rows("Client", ref="C-77")
    bad = tenant.sandbox.plant("Tickets", {"client_id": client["id"], "summary": "bad", "tickettype_id": COMPLAINT})

    with pytest.raises(NeedsOperator, match=rf"Ticket {bad}: .*Please enter"):
        await tenant.finish(event("client.churned", LEAVES))
    assert open_ones(tenant) == [bad]
    assert len(tenant.wire.calls) <= 60 + 2 * CHUNK


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("arrays", [True, False])
async def test_a_day_on_which_everything_is_unpleasant_leaves_no_ticket_open(arrays: bool, seed: int) -> None:
    tenant = tenant_with_tickets(60)
    tenant.sandbox.faults = Faults.unpleasant(seed=seed, arrays=arrays, search_latency_ms=0)
    notebook = Notebook()
    for _ in range(10):
        with suppress(AssertionError):  # so many claims end one call of finish
            await tenant.finish(event("client.churned", LEAVES), notebook)
            break

    assert_wound_down(tenant)


async def test_what_a_lost_answer_closed_is_not_touched_again() -> None:
    tenant = tenant_with_tickets(10)
    tenant.sandbox.faults = Faults(role=Role(may_edit_closed=False))
    calm = tenant_with_tickets(10)
    await calm.finish(event("client.churned", LEAVES))
    tenant.wire.mishaps = {calm.wire.calls.index("POST /api/Tickets") + 1: "answer lost"}
    await tenant.finish(event("client.churned", LEAVES))

    assert_wound_down(tenant)
    assert tenant.wire.calls.count("POST /api/Tickets") == calm.wire.calls.count("POST /api/Tickets")


async def test_no_parent_is_in_one_array_with_its_child() -> None:
    tenant = tenant_with_tickets(0)
    (client,) = tenant.rows("Client", ref="C-77")
    parent = 0
    for number in range(8):
        fields = {"client_id": client["id"], "summary": f"level {number}", "agent_id": 3, "parent_id": parent}
        parent = tenant.sandbox.plant("Tickets", fields)
    notebook = Notebook()
    await tenant.finish(event("client.churned", LEAVES), notebook)

    assert_wound_down(tenant)
    assert not [step for step in notebook.steps if step.startswith("reasons:")]


@pytest.mark.parametrize("mood", MOODS)
async def test_refused_tickets_are_named_and_all_others_closed(mood: Mood) -> None:
    tenant = tenant_with_tickets(2 * CHUNK)
    stuck = [row["id"] for row in tenant.rows("Tickets") if row["summary"] in ("ticket 5", "ticket 66")]
    other = tenant.sandbox.plant("Client", {"name": "Other"})
    for parent in stuck:
        tenant.sandbox.plant("Tickets", {"client_id": other, "summary": "child", "parent_id": parent})
    moody(tenant, mood)
    notebook = Notebook()

    with pytest.raises(NeedsOperator) as failure:
        await tenant.finish(event("client.churned", LEAVES), notebook)
    words = str(failure.value)
    assert all(f"Ticket {ticket}: " in words for ticket in stuck)
    assert words.count("Please close all child Tickets") == 2
    assert [row["id"] for row in tenant.rows("Tickets", hasbeenclosed=False) if row["client_id"] != other] == stuck
    assert tenant.rows("ClientContract", ref="D-1")[0]["end_date"] == "2026-12-31T00:00:00"

    for child in tenant.rows("Tickets", client_id=other):
        tenant.change("Tickets", child["id"], hasbeenclosed=True, status_id=9)
    result = await tenant.finish(event("client.churned", LEAVES), notebook)
    closed = tenant.rows("Tickets", client_id=tenant.rows("Client", ref="C-77")[0]["id"])
    assert all(row["hasbeenclosed"] for row in closed)
    assert sorted(result.closed_ticket_ids) == sorted(row["id"] for row in closed)
    assert sorted(action["ticket_id"] for action in tenant.rows("Actions")) == sorted(row["id"] for row in closed)


class Meanwhile(httpx.AsyncBaseTransport):
    """Lets something happen at the tenant before its first array of tickets is written."""

    def __init__(self, tenant: Tenant, **planted: Any) -> None:
        self._tenant = tenant
        self._inner = tenant.wire._inner
        self._planted = planted

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path == "/api/Tickets" and self._planted:
            self._tenant.sandbox.plant("Tickets", self._planted)
            first = self._tenant.rows("Tickets", summary="ticket 4")[0]
            self._tenant.sandbox.store["Tickets"].remove(self._tenant.sandbox.store["Tickets"].rows[first["id"]])
            self._planted = {}
        return await self._inner.handle_async_request(request)


async def test_a_ticket_that_comes_meanwhile_is_closed_and_one_that_goes_is_no_refusal() -> None:
    tenant = tenant_with_tickets(20)
    (client,) = tenant.rows("Client", ref="C-77")
    tenant.wire._inner = Meanwhile(tenant, client_id=client["id"], summary="late")
    await tenant.finish(event("client.churned", LEAVES))

    assert open_ones(tenant) == []
    (late,) = tenant.rows("Tickets", summary="late")
    assert tenant.rows("Actions", ticket_id=late["id"])


async def test_more_tickets_than_a_step_may_keep_are_closed_round_by_round() -> None:
    tenant = tenant_with_tickets(1300)
    notebook = Notebook(clock=datetime(2027, 1, 1, tzinfo=UTC))
    run = MemoryRun(notebook)
    policy = Policy(churn_client=ChurnClient(max_open_tickets=2000))
    await churn_client(run, Msp(tenant.connection.for_run(run), policy), event("client.churned", LEAVES))

    assert_wound_down(tenant)
    assert max(len(result) for result in notebook.steps.values()) < 64_000


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
@pytest.mark.parametrize("mood", MOODS)
async def test_whatever_goes_wrong_with_one_request_each_ticket_has_its_reason_once(kind: str, mood: Mood) -> None:
    clean = moody(tenant_with_tickets(8), mood)
    await clean.finish(event("client.churned", LEAVES))
    closing = [number for number, call in enumerate(clean.wire.calls, 1) if call.endswith(("Actions", "Tickets"))]
    for number in closing:
        tenant = moody(tenant_with_tickets(8), mood)
        tenant.wire.mishaps = {number: kind}
        await tenant.finish(event("client.churned", LEAVES))

        where = f"{kind} at request {number}, {clean.wire.calls[number - 1]}"
        assert open_ones(tenant) == [], where
        noted = [action["ticket_id"] for action in tenant.rows("Actions")]
        assert len(noted) == len(set(noted)) == 8, where
