"""Clients set inactive by hand are found by asking, also where no message told of them and no log holds one."""

from datetime import timedelta
from typing import Any

import pytest

from tests.memory_run import STARTED, Reading
from tests.tenant import Tenant
from workflows.crm import HaloHydrator
from workflows.policy.sources import RecordRule, Source

INACTIVE = RecordRule(object="client", field="inactive", values=("true",))
SINCE = STARTED - timedelta(hours=1)


async def found(tenant: Tenant, *rules: RecordRule) -> dict[str, Any]:
    """Ask what has changed; give the records that may mean something, and when they were changed."""
    tenant.wire.requests.clear()
    hydrator = HaloHydrator(tenant.connection.for_run(Reading()), Source(churned=rules), now=lambda: STARTED)
    return {f"{event.type} {event.data['id']}": event.occurred_at async for event in hydrator.changed_since(SINCE)}


def asked_for_clients(tenant: Tenant) -> list[dict[str, str]]:
    return [dict(request.url.params) for request in tenant.wire.requests if request.url.path == "/api/Client"]


def left(tenant: Tenant, minutes_ago: int, **fields: Any) -> int:
    """A client that somebody changed so long ago."""
    planted: int = tenant.sandbox.plant("Client", tenant.keyed("C-77", name=f"Acme {minutes_ago}"))
    at = STARTED - timedelta(minutes=minutes_ago)
    tenant.change("Client", planted, alastupdate=f"{at:%Y-%m-%dT%H:%M:%S.000}", **fields)
    return planted


async def test_a_client_set_inactive_without_a_message_is_found_where_halopsa_looks_at_the_date(
    tenant: Tenant,
) -> None:
    acme = left(tenant, 30, inactive=True)
    left(tenant, 31)
    left(tenant, 90, inactive=True)

    seen = await found(tenant, INACTIVE)

    assert seen == ({f"halopsa.client {acme}": STARTED - timedelta(minutes=30)} if tenant.dialect == "v2" else {})
    proof, *asked = asked_for_clients(tenant)
    assert proof == {
        "lastupdatefromdate": "2099-01-01T00:00:00",
        "includeinactive": "true",
        "pageinate": "true",
        "page_no": "1",
        "page_size": "1",
    }
    assert [one["lastupdatefromdate"] for one in asked] == ["2026-11-23T08:00:00"] * (tenant.dialect == "v2")


async def test_where_halopsa_ignores_the_date_the_log_alone_tells(tenant: Tenant) -> None:
    tenant.sandbox.faults.ignore = frozenset({"lastupdatefromdate"})
    left(tenant, 30, inactive=True)
    logged = left(tenant, 31, inactive=True)
    body = f'{{"event": "client updated", "object_id": {logged}}}'
    tenant.sandbox.plant("WebhookEvent", {"webhook_id": "w-1", "entity_id": logged, "requestbody": body})

    assert await found(tenant, INACTIVE) == {f"halopsa.client {logged}": STARTED}
    assert len(asked_for_clients(tenant)) == 1


async def test_what_the_log_told_too_is_found_once(tenant: Tenant) -> None:
    acme = left(tenant, 30, inactive=True)
    for minutes, body in ((40, '{"event": "client updated"}'), (20, '{"event": "client updated"}')):
        at = STARTED - timedelta(minutes=minutes)
        logged = {"entity_id": acme, "requestbody": body, "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}"}
        tenant.sandbox.plant("WebhookEvent", logged)

    assert await found(tenant, INACTIVE) == {f"halopsa.client {acme}": STARTED - timedelta(minutes=20)}


async def test_where_halopsa_refuses_the_date_the_log_alone_tells(tenant: Tenant) -> None:
    tenant.sandbox.faults.refuse = {"GET /api/Client": "The value '2099-01-01T00:00:00' is not valid."}
    left(tenant, 30, inactive=True)

    assert await found(tenant, INACTIVE) == {}


async def test_clients_are_not_asked_for_where_no_rule_speaks_of_them(tenant: Tenant) -> None:
    left(tenant, 30, inactive=True)
    offboarding = RecordRule(object="ticket", field="tickettype_id", values=("32",))

    assert await found(tenant, offboarding) == {}
    assert asked_for_clients(tenant) == []


@pytest.mark.parametrize(("status", "leaves"), [("Left", True), ("Here", False)])
async def test_a_rule_may_speak_of_what_lists_leave_out(tenant: Tenant, status: str, *, leaves: bool) -> None:
    tenant.sandbox.plant("FieldInfo", {"id": 201, "name": "CFStatus", "label": "Status", "typeid": 2})
    acme = left(tenant, 30, customfields=[{"id": 201, "name": "CFStatus", "value": status}])
    by_field = RecordRule(object="client", field="CFStatus", values=("Left",))

    seen = await found(tenant, by_field)

    assert list(seen) == [f"halopsa.client {acme}"] * (leaves and tenant.dialect == "v2")


async def test_a_year_of_old_deliveries_costs_two_requests(tenant: Tenant) -> None:
    for hours in range(1, 501):
        at = STARTED - timedelta(hours=hours, minutes=1)
        logged = {"entity_id": 1, "requestbody": "", "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}"}
        tenant.sandbox.plant("WebhookEvent", logged)

    assert await found(tenant) == {}
    assert tenant.wire.calls == ["GET /api/WebhookEvent"] * 2 + ["GET /api/Opportunities"]


@pytest.mark.parametrize("ignored", ["order", "orderdesc"])
async def test_where_the_order_is_ignored_all_deliveries_are_read(tenant: Tenant, ignored: str) -> None:
    tenant.sandbox.faults.ignore = frozenset({ignored})
    for hours in (*range(300, 0, -1), 0):
        at = STARTED - timedelta(hours=hours, minutes=1)
        logged = {"entity_id": 1000 + hours, "requestbody": "", "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}"}
        tenant.sandbox.plant("WebhookEvent", logged)

    assert list(await found(tenant)) == ["halopsa.ticket 1000"]


async def test_where_the_order_is_ignored_all_tickets_are_read(tenant: Tenant) -> None:
    tenant.sandbox.faults.ignore = frozenset({"order", "orderdesc"})
    client_id = left(tenant, 90)
    for number in range(150):
        changed = STARTED - timedelta(minutes=30 if number == 0 else 1000 - number)
        planted = {"id": 3000 + number, "client_id": client_id, "summary": "Acme", "tickettype_id": 32}
        tenant.change("Tickets", tenant.sandbox.plant("Tickets", planted), last_update=f"{changed:%Y-%m-%dT%H:%M:%S}")
    offboarding = RecordRule(object="ticket", field="tickettype_id", values=("32",))

    assert list(await found(tenant, offboarding)) == ["halopsa.ticket 3000"]
