"""Since when: a churn has the day on which the field got its value, and later edits make no second one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.crm_world import CLIENT_IDS, DEAL_IDS, CrmWorld, told
from tests.memory_run import STARTED
from worker.errors import Ignored
from worker.events import Event
from workflows.crm.records import found_changed
from workflows.policy.sources import RecordRule, Source
from workflows.routes import churn_route

LEFT = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
COLUMN = "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='customertypecode')"
HASH = "3d0fa3429dfa2d3dec265b4fc5dc8258ab66cdf3"


@pytest.fixture
def world() -> CrmWorld:
    return CrmWorld()


@dataclass(frozen=True)
class Churning:
    """How a client churns in one CRM: by which field of which record, and how the CRM keeps that it changed.

    Attributes:
        kind: of record.
        table: the look-alike's, in which it stands.
        value: what the field holds when the client has left.
        keep: lets the CRM remember since when.
        told: what a webhook says when the field itself has changed, as far as the CRM says so.
        other: what it says when another field has changed.
    """

    kind: str
    table: str
    field: str
    value: str
    keep: Callable[[CrmWorld, datetime], None]
    told: dict[str, Any]
    other: dict[str, Any]


def keep_in_changelog(world: CrmWorld, since: datetime) -> None:
    for key, old, new, moment in [
        (HASH, "25", "24", since),
        ("name", "Acme", "Acme Corporation", since + timedelta(days=2)),
        (HASH, None, "25", since - timedelta(days=400)),
    ]:
        changed = {"record": "organizations/1", "field_key": key, "old_value": old, "new_value": new}
        world.crms.plant("pipedrive.changelog", changed | {"time": f"{moment:%Y-%m-%d %H:%M:%S}"})


def keep_in_field_history(world: CrmWorld, since: datetime) -> None:
    account = CLIENT_IDS["salesforce"]
    for name, moment in [
        ("created", since - timedelta(days=400)),
        ("Type", since),
        ("Phone", since + timedelta(days=2)),
    ]:
        changed = {"AccountId": account, "Field": name, "CreatedDate": f"{moment:%Y-%m-%dT%H:%M:%S}.000+0000"}
        world.crms.plant("salesforce.AccountHistory", changed)


def keep_in_audits(world: CrmWorld, since: datetime) -> None:
    for columns, moment in [
        (["name", "customertypecode"], since - timedelta(days=400)),
        (["telephone1", "customertypecode"], since),
        (["telephone1"], since + timedelta(days=2)),
    ]:
        audit = {"_objectid_value": CLIENT_IDS["dynamics"], "columns": columns}
        world.crms.plant("dynamics.audits", audit | {"createdon": f"{moment:%Y-%m-%dT%H:%M:%SZ}"})


def keep_in_timeline(world: CrmWorld, since: datetime) -> None:
    noise: dict[str, Any] = {
        "audited_time": (since + timedelta(days=2)).isoformat(),
        "action": "updated",
        "field_history": None,
    }
    entries: list[dict[str, Any]] = [noise] * 200
    for name, moment, old, new in [
        ("Phone", since + timedelta(days=1), "554", "555"),
        ("Account_Type", since, "Customer", "Left"),
        ("Account_Type", since - timedelta(days=400), None, "Customer"),
    ]:
        change = {"api_name": name, "_value": {"old": old, "new": new}}
        entries.append({"audited_time": moment.isoformat(), "action": "updated", "field_history": [change]})
    world.change("zoho.Accounts", CLIENT_IDS["zoho"], timeline=entries)


CHURNING = {
    "pipedrive": Churning(
        "organization",
        "pipedrive.organizations",
        HASH,
        "24",
        keep_in_changelog,
        {"previous": {HASH: 25}},
        {},
    ),
    "salesforce": Churning(
        "account",
        "salesforce.Account",
        "Type",
        "Left",
        keep_in_field_history,
        {},
        {},
    ),
    "dynamics": Churning(
        "account",
        "dynamics.accounts",
        "customertypecode",
        "9",
        keep_in_audits,
        {"values": {"customertypecode": 9}},
        {"values": {"telephone1": "555"}},
    ),
    "zoho": Churning(
        "account",
        "zoho.Accounts",
        "Account_Type",
        "Left",
        keep_in_timeline,
        {"fields": ["Account_Type"]},
        {"fields": ["Phone"]},
    ),
}


def rule(system: str) -> Source:
    churning = CHURNING[system]
    return Source(churned=(RecordRule(object=churning.kind, field=churning.field, values=(churning.value,)),))


def churn(world: CrmWorld, system: str) -> None:
    churning, account = CHURNING[system], CLIENT_IDS[system]
    if system == "dynamics":
        world.crms.plant("dynamics.accounts", {"accountid": account, "name": "Acme Corporation"})
    world.change(churning.table, account, **{churning.field: churning.value})


def edited(system: str, days: int, **data: Any) -> Event:
    """What a webhook says of an edit, so many days after the first look."""
    happened = told(system, CHURNING[system].kind, CLIENT_IDS[system], **data)
    return replace(happened, id=f"{system}:{days}", occurred_at=STARTED + timedelta(days=days))


@pytest.mark.parametrize("system", CHURNING)
async def test_however_often_a_churned_record_is_edited_it_is_one_churn_of_one_day(
    world: CrmWorld, system: str
) -> None:
    churn(world, system)
    CHURNING[system].keep(world, LEFT)

    events = [await world.hydrate(edited(system, days), rule(system)) for days in (0, 3, 30)]

    assert {event.data["effective_at"] for event in events} == {LEFT.isoformat()}
    assert len({churn_route(event).fact for event in events}) == 1


@pytest.mark.parametrize("system", CHURNING)
async def test_where_nobody_knows_the_day_it_is_one_churn_all_the_same(world: CrmWorld, system: str) -> None:
    churn(world, system)

    events = [await world.hydrate(edited(system, days), rule(system)) for days in (0, 3, 30)]

    assert [event.type for event in events] == ["client.churned"] * 3
    assert not any("effective_at" in event.data for event in events)
    assert len({churn_route(event).fact for event in events}) == 1


async def test_a_churn_lasts_while_one_value_of_the_rule_follows_another(world: CrmWorld) -> None:
    identity, statuses = "8007F000001abcdQAA", ["Expired", "Cancelled", "Expired", "Activated"]
    contract = {"Id": identity, "AccountId": CLIENT_IDS["salesforce"], "Status": statuses[0]}
    world.crms.plant("salesforce.Contract", contract)
    for days, old in enumerate(reversed(statuses[1:])):
        moment = (LEFT + timedelta(days=days)).isoformat()
        changed = {"ContractId": identity, "Field": "Status", "OldValue": old, "CreatedDate": moment}
        world.crms.plant("salesforce.ContractHistory", changed)
    ended = Source(churned=(RecordRule(object="contract", field="Status", values=("Expired", "Cancelled")),))

    event = await world.hydrate(told("salesforce", "contract", identity), ended)

    assert event.data["effective_at"] == LEFT.isoformat()


async def test_a_second_label_beside_the_one_that_churns_changes_nothing(world: CrmWorld) -> None:
    world.change("pipedrive.organizations", 1, label_ids=[24, 25, 26])
    for old, new, days in [("25,24", "24,25,26", 4), ("24", "25,24", 2), ("7,9", "24", 0)]:
        moment = LEFT + timedelta(days=days)
        changed = {"record": "organizations/1", "field_key": "label", "old_value": old, "new_value": new}
        world.crms.plant("pipedrive.changelog", changed | {"time": f"{moment:%Y-%m-%d %H:%M:%S}"})
    labelled = Source(churned=(RecordRule(object="organization", field="label_ids", values=("24",)),))

    event = await world.hydrate(told("pipedrive", "organization", "1"), labelled)

    assert event.data["effective_at"] == LEFT.isoformat()


@pytest.mark.parametrize(
    ("system", "request_"),
    [
        ("pipedrive", "GET /pipedrive/v1/organizations/1/changelog"),
        ("dynamics", "GET /dynamics/api/data/v9.2/audits"),
        (
            "dynamics",
            f"GET /dynamics/api/data/v9.2/{COLUMN}",
        ),
        ("zoho", f"GET /zoho/crm/v7/Accounts/{CLIENT_IDS['zoho']}/__timeline"),
    ],
)
async def test_a_history_that_may_not_be_read_is_none(world: CrmWorld, system: str, request_: str) -> None:
    churn(world, system)
    CHURNING[system].keep(world, LEFT)
    getattr(world.crms.faults, system).forbid = frozenset({request_})

    assert (await world.hydrate(edited(system, 0), rule(system))).data["undated"] is True


@pytest.mark.parametrize("system", ["pipedrive", "dynamics", "zoho"])
async def test_without_a_history_it_is_one_churn_even_if_the_very_field_is_told_again(
    world: CrmWorld, system: str
) -> None:
    churn(world, system)

    events = [await world.hydrate(edited(system, days, **CHURNING[system].told), rule(system)) for days in (0, 3)]

    assert len({churn_route(event).fact for event in events}) == 1


@pytest.mark.parametrize("system", ["dynamics", "zoho"])
async def test_an_event_that_tells_of_another_field_is_no_churn(world: CrmWorld, system: str) -> None:
    churn(world, system)

    event = await world.hydrate(edited(system, 3, **CHURNING[system].other), rule(system))

    assert event.type == "client.updated"


@pytest.mark.parametrize("system", ["dynamics", "zoho"])
async def test_a_record_that_shows_the_client_as_one_again_is_told_by_the_rule_s_own_field(
    world: CrmWorld, system: str
) -> None:
    if system == "dynamics":
        world.crms.plant("dynamics.accounts", {"accountid": CLIENT_IDS["dynamics"], "name": "Acme Corporation"})

    event = await world.hydrate(edited(system, 3, **CHURNING[system].told), rule(system))

    assert (event.type, event.payload["data"].get("stays")) == ("client.updated", True)


@pytest.mark.parametrize("system", CHURNING)
async def test_a_backfill_looks_for_the_records_of_churn_rules(world: CrmWorld, system: str) -> None:
    churn(world, system)
    changed = {"pipedrive": "update_time", "salesforce": "LastModifiedDate", "dynamics": "modifiedon"}
    world.change(
        CHURNING[system].table,
        CLIENT_IDS[system],
        **{changed.get(system, "Modified_Time"): "2026-11-25T09:00:00+00:00"},
    )
    hydration = world.hydration(**{system: rule(system)})

    found = [
        event
        async for event in hydration.changed_since(system, STARTED + timedelta(days=1))
        if event.type == f"{system}.{CHURNING[system].kind}"
    ]

    (event,) = found
    with pytest.raises(Ignored, match="long ago"):
        await hydration.hydrate(event)
    CHURNING[system].keep(world, LEFT)
    assert (await hydration.hydrate(event)).data["effective_at"] == LEFT.isoformat()


@pytest.mark.parametrize("system", CHURNING)
async def test_a_churn_from_before_the_beginning_is_history_however_late_it_is_found(system: str) -> None:
    world = CrmWorld(first_start=LEFT + timedelta(days=1))
    churn(world, system)
    CHURNING[system].keep(world, LEFT)
    found = found_changed(system, "", CHURNING[system].kind, CLIENT_IDS[system], STARTED)

    with pytest.raises(Ignored, match="history"):
        await world.hydrate(found, rule(system))


@pytest.mark.parametrize(("day", "counts"), [("2026-12-31", True), ("2019-05-31", False), (None, False)])
async def test_a_contract_that_is_found_counts_by_its_last_day(day: str | None, *, counts: bool) -> None:
    world, identity = CrmWorld(first_start=LEFT), "8007F000001abcdQAA"
    contract = {"Id": identity, "AccountId": CLIENT_IDS["salesforce"], "Status": "Expired", "EndDate": day}
    world.crms.plant("salesforce.Contract", contract)
    expired = Source(churned=(RecordRule(object="contract", field="Status", values=("Expired",)),))
    found = found_changed("salesforce", "", "contract", identity, STARTED)

    if counts:
        assert (await world.hydrate(found, expired)).data["last_service_day"] == day
    else:
        with pytest.raises(Ignored, match=r"history|long ago"):
            await world.hydrate(found, expired)


async def test_a_lost_deal_is_dated_by_any_field_that_a_rule_names(world: CrmWorld) -> None:
    identity = DEAL_IDS["salesforce"]
    world.change("salesforce.Opportunity", identity, IsWon=False, Outcome__c="Left")
    tracked = {"OpportunityId": identity, "Field": "Outcome__c", "CreatedDate": LEFT.isoformat()}
    world.crms.plant("salesforce.OpportunityFieldHistory", tracked)
    lost = Source(churned=(RecordRule(object="opportunity", field="Outcome__c", values=("Left",)),))

    assert (await world.hydrate(told("salesforce"), lost)).data["effective_at"] == LEFT.isoformat()


async def test_a_search_for_churns_finds_no_updates(world: CrmWorld) -> None:
    found = found_changed("salesforce", "", "account", CLIENT_IDS["salesforce"], STARTED)

    with pytest.raises(Ignored, match="no churn"):
        await world.hydrate(found, rule("salesforce"))
