"""A client that comes back."""

import copy
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine

from tests.memory_run import STARTED, Asleep, Notebook
from tests.tenant import AFTER, BEFORE, DAYS, Tenant, event
from worker.errors import NeedsOperator, NotYet
from workflows.routes import churn_route
from workflows.sandbox import Faults

LEAVES = {"client": {"id": "C-77"}, "last_service_day": "2026-11-22", "reason": "moved on"}
ENTITIES = ("Client", "Site", "Users", "ClientContract", "RecurringInvoice", "Asset")


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


@dataclass(frozen=True)
class Acme:
    """A client with everything that its end touches, by the ids of HaloPSA."""

    client: int
    contact: int
    rolling: int
    endless: int
    invoice: int
    asset: int
    ticket: int


def plant(tenant: Tenant) -> Acme:
    put = tenant.sandbox.plant
    client = int(put("Client", tenant.keyed("C-77", name="Acme Corporation")))
    site = put("Site", {"client_id": client, "name": "Depot"})
    person = {"client_id": client, "site_id": site, "name": "John Smith", "emailaddress": "john@acme.example.com"}
    contact = put("Users", person)
    if tenant.dialect == "v2":
        tenant.change("Users", contact, web_access_level=2)
    put("Asset", {"client_id": client, "inventory_number": "LT-0", "assettype_id": 1})
    runs = {"client_id": client, "start_date": "2026-01-01T00:00:00"}
    return Acme(
        client,
        contact,
        put("ClientContract", {**runs, "ref": "D-1", "end_date": "2027-06-30T00:00:00", "rollingcontract": True}),
        put("ClientContract", {**runs, "ref": "D-2"}),
        put("RecurringInvoice", {"client_id": client, "total": 10.0}),
        put("Asset", {"client_id": client, "inventory_number": "LT-1", "assettype_id": 1}),
        put("Tickets", {"client_id": client, "site_id": site, "summary": "Move"}),
    )


def ends_everything(tenant: Tenant) -> None:
    rules = tenant.policy.churn_client.model_copy(update={"recurring_invoices": "end", "assets": "retire"})
    tenant.policy = tenant.policy.model_copy(update={"churn_client": rules})


def records(tenant: Tenant) -> dict[str, list[dict[str, Any]]]:
    """What belongs to clients, without the flags that writes leave on it in the look-alike."""
    flags = ("details", "_dontaddnewfields")
    return {
        entity: [{name: row[name] for name in row if not name.endswith(flags)} for row in tenant.rows(entity)]
        for entity in ENTITIES
    }


def back(**more: Any) -> Any:
    return event("client.reactivated", {"client": {"id": "C-77"}}, **more)


async def leave(tenant: Tenant, on: str = "2026-11-22") -> None:
    await tenant.finish(event("client.churned", LEAVES | {"last_service_day": on}))
    by_another_run(tenant)


def by_another_run(tenant: Tenant) -> None:
    """Let the notes so far be those of other runs than the next one."""
    for note in tenant.rows("CRMNote"):
        tenant.change("CRMNote", note["id"], note=note["note"].replace("run r-1", f"run r-0{note['id']}"))


@pytest.fixture
def acme(tenant: Tenant) -> Acme:
    ends_everything(tenant)
    return plant(tenant)


async def test_after_a_win_back_everything_is_as_before_and_tickets_stay_closed(tenant: Tenant, acme: Acme) -> None:
    before = records(tenant)
    await leave(tenant)
    assert records(tenant) != before

    result = await tenant.finish(back(timestamp="2026-12-01T09:00:00Z"))

    assert records(tenant) == before
    assert all(ticket["hasbeenclosed"] for ticket in tenant.rows("Tickets"))
    assert (result.client_id, result.was_inactive, result.stays) == (acme.client, True, [])
    note = tenant.rows("CRMNote", client_id=acme.client)[-1]["note"]
    assert note.startswith("Brought back after its end")
    assert f"contract {acme.endless}: changed: end: 2026-11-22 → nothing" in note
    assert "closed tickets stay closed" in note


async def test_a_client_that_is_back_may_leave_again_on_a_day_that_nobody_knows(tenant: Tenant, acme: Acme) -> None:
    tenant.change("Client", acme.client, inactive=True)
    notebook = Notebook()
    left = event("client.churned", {"client": {"id": "C-77"}, "undated": True}, source={"system": "salesforce"})

    await tenant.finish(back(), notebook)

    assert ("churn_client", churn_route(left).fact) in [(flow, fact) for flow, fact, _ in notebook.halted]


async def test_what_a_person_has_changed_since_stays(tenant: Tenant, acme: Acme) -> None:
    await leave(tenant)
    tenant.change("ClientContract", acme.rolling, end_date="2026-12-24T00:00:00")
    assets = tenant.sandbox.store["Asset"]
    assets.remove(assets.rows[acme.asset])

    result = await tenant.finish(back())

    (contract,) = tenant.rows("ClientContract", id=acme.rolling)
    assert (contract["end_date"], contract["rollingcontract"]) == ("2026-12-24T00:00:00", False)
    assert [one.ids for one in result.stays] == [[acme.rolling]]
    note = tenant.rows("CRMNote", client_id=acme.client)[-1]["note"]
    assert f"contract {acme.rolling}: left: somebody has changed it since the client's end" in note
    assert f"asset {acme.asset}: left: not there any more" in note


async def test_assets_come_back_from_the_client_that_got_them(tenant: Tenant, acme: Acme) -> None:
    rules = {"assets": "reassign", "reassign_assets_to": "Example MSP"}
    churn = tenant.policy.churn_client.model_copy(update=rules)
    tenant.policy = tenant.policy.model_copy(update={"churn_client": churn})
    await leave(tenant)
    assert tenant.rows("Asset", id=acme.asset)[0]["client_id"] == 1

    await tenant.finish(back())

    assert tenant.rows("Asset", id=acme.asset)[0]["client_id"] == acme.client


async def test_what_nobody_knows_is_named_and_the_rest_brought_back(tenant: Tenant, acme: Acme) -> None:
    await leave(tenant)
    for note in tenant.rows("CRMNote"):
        tenant.change("CRMNote", note["id"], note=note["note"].replace('"rolling":[true,', '"rolling":[null,'))

    result = await tenant.finish(back())

    (contract,) = tenant.rows("ClientContract", id=acme.rolling)
    assert (contract["end_date"], contract["rollingcontract"]) == ("2027-06-30T00:00:00", False)
    assert f"contract {acme.rolling}: nothing says what rolling was before" in result.remarks


async def test_a_client_that_somebody_made_active_is_not_written_to(tenant: Tenant, acme: Acme) -> None:
    await leave(tenant)
    tenant.change("Client", acme.client, inactive=False)
    before = len(tenant.wire.calls)

    result = await tenant.finish(back())

    assert "POST /api/Client" not in tenant.wire.calls[before:]
    assert result.brought_back
    assert tenant.rows("CRMNote", client_id=acme.client)[-1]["note"].count(f"client {acme.client}: found") == 1


async def test_a_client_is_brought_back_once(tenant: Tenant, acme: Acme) -> None:
    await leave(tenant)
    await tenant.finish(back())
    by_another_run(tenant)
    tenant.change("ClientContract", acme.rolling, end_date="2026-11-22T00:00:00", rollingcontract=False)
    before = records(tenant)

    result = await tenant.finish(back(timestamp="2026-12-02T09:00:00Z"))

    assert records(tenant) == before
    assert result.remarks == ["an earlier run has brought it back already"]


async def test_a_second_end_is_undone_too(tenant: Tenant, acme: Acme) -> None:
    before = records(tenant)
    for day in ("2026-11-22", "2026-12-31"):
        await leave(tenant, day)
        await tenant.finish(back())
        by_another_run(tenant)

    assert records(tenant) == before
    assert acme.client


async def test_a_client_that_left_by_hand_becomes_active_and_a_person_looks_at_the_rest(
    tenant: Tenant, acme: Acme
) -> None:
    before = records(tenant)
    tenant.change("Client", acme.client, inactive=True)

    result = await tenant.finish(back())

    assert records(tenant) == before
    assert result.remarks == ["nothing says what its end changed: look at what belongs to it"]


async def test_a_client_that_nobody_knows_may_still_come(tenant: Tenant) -> None:
    with pytest.raises(NotYet, match="C-77"):
        await tenant.finish(back())


async def test_a_late_return_asks_before_it_undoes_what_a_later_event_did(tenant: Tenant, acme: Acme) -> None:
    await leave(tenant)
    notebook, before = Notebook(newer="r-9"), records(tenant)

    with pytest.raises(Asleep):
        await tenant.claim(back(), notebook)

    assert "run r-9 of a later event changed it" in notebook.questions[0]
    assert records(tenant) == before
    assert acme.client


async def test_what_halopsa_refuses_is_named_and_the_rest_brought_back(tenant: Tenant, acme: Acme) -> None:
    await leave(tenant)
    tenant.sandbox.faults = Faults(refuse={"POST /api/ClientContract": "The contract is locked"})
    notebook = Notebook()

    with pytest.raises(NeedsOperator, match=f"Back contract: contract {acme.rolling}: .*The contract is locked"):
        await tenant.finish(back(), notebook)

    assert tenant.rows("Client", id=acme.client)[0]["inactive"] is False
    assert tenant.rows("RecurringInvoice", id=acme.invoice)[0]["disabled"] is False
    tenant.sandbox.faults = Faults()
    await tenant.finish(back(), notebook)
    assert tenant.rows("ClientContract", id=acme.rolling)[0]["rollingcontract"] is True


@pytest.mark.parametrize("dropped", ["end_date", "rollingcontract"])
async def test_what_halopsa_drops_in_silence_is_named(tenant: Tenant, acme: Acme, dropped: str) -> None:
    await leave(tenant)
    tenant.sandbox.faults = Faults(drop_fields=frozenset({f"ClientContract.{dropped}"}))

    with pytest.raises(NeedsOperator, match=f"still shows as after the client's end: contract {acme.rolling}"):
        await tenant.finish(back())


@pytest.mark.parametrize("mishap", [*BEFORE, *AFTER])
@time_machine.travel(STARTED, tick=False)  # reports bear the time
async def test_whatever_goes_wrong_once_the_client_is_back_the_same(dialect: Any, mishap: str) -> None:
    gone = Tenant(dialect=dialect)
    ends_everything(gone)
    plant(gone)
    await leave(gone)

    def tenant_that_was_left() -> Tenant:
        tenant = Tenant(copy.deepcopy(gone.sandbox))
        tenant.policy = gone.policy
        return tenant

    clean = tenant_that_was_left()
    await clean.finish(back())
    for number in range(1, len(clean.wire.calls) + 1):
        tenant = tenant_that_was_left()
        tenant.wire.mishaps = {number: mishap}
        await tenant.finish(back())
        assert tenant.picture() == clean.picture(), f"{mishap} at {number}, {clean.wire.calls[number - 1]}"
