"""What a read record means: won, reopened, churned, updated, or nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.crm_world import CLIENT_IDS, DEAL_IDS, KINDS, RECORDS, CrmWorld, told
from tests.memory_run import STARTED
from worker.errors import Ignored, NeedsOperator
from workflows.policy.sources import RecordRule, Source


@pytest.fixture
def world() -> CrmWorld:
    return CrmWorld()


LOST: dict[str, tuple[str, dict[str, Any]]] = {
    "hubspot": ("hubspot.deals", {"dealstage": "closedlost"}),
    "pipedrive": ("pipedrive.deals", {"status": "lost"}),
    "salesforce": ("salesforce.Opportunity", {"IsWon": False}),
    "dynamics": ("dynamics.opportunities", {"statecode": 2}),
    "zoho": ("zoho.Deals", {"Stage": "Closed Lost", "stages": ["Closed Lost", "Proposal"]}),
}


def lose(world: CrmWorld, system: str) -> None:
    table, values = LOST[system]
    world.change(table, DEAL_IDS[system], **values)
    if system == "hubspot":
        world.crms.tables[table][DEAL_IDS[system]]["history"] = {"dealstage": ["closedlost", "contractsent"]}


@pytest.mark.parametrize("system", RECORDS)
async def test_a_lost_deal_means_nothing_without_a_rule(world: CrmWorld, system: str) -> None:
    lose(world, system)

    with pytest.raises(Ignored, match="not won"):
        await world.hydrate(told(system))


async def test_a_hubspot_deal_that_was_won_before_is_reopened(world: CrmWorld) -> None:
    world.change("hubspot.deals", DEAL_IDS["hubspot"], dealstage="contractsent")
    entries = [("contractsent", 23), ("other", 21), ("closedwon", 20), ("contractsent", 10)]
    history = [{"value": value, "timestamp": f"2026-11-{day}T00:00:00Z"} for value, day in entries]
    world.crms.tables["hubspot.deals"][DEAL_IDS["hubspot"]]["history"] = {"dealstage": history}

    event = await world.hydrate(told("hubspot"))

    assert (event.type, event.occurred_at) == ("deal.reopened", datetime(2026, 11, 21, tzinfo=UTC))
    assert event.payload["timestamp"] == "2026-11-21T00:00:00+00:00"
    assert event.data["deal"]["id"] == DEAL_IDS["hubspot"]
    assert event.data["client"]["id"] == CLIENT_IDS["hubspot"]


async def test_a_pipedrive_deal_that_was_won_before_is_reopened(world: CrmWorld) -> None:
    world.change("pipedrive.deals", 8, status="open", won_time=None)

    assert (await world.hydrate(told("pipedrive", previous={"status": "won"}))).type == "deal.reopened"


async def test_a_salesforce_opportunity_that_was_won_before_is_reopened(world: CrmWorld) -> None:
    identity = DEAL_IDS["salesforce"]
    world.change("salesforce.Opportunity", identity, IsWon=False, IsClosed=False)
    for category, day in (("Pipeline", 10), ("Closed", 20), ("Pipeline", 21), ("Forecast", 22)):
        entry = {"OpportunityId": identity, "ForecastCategory": category, "CreatedDate": f"2026-11-{day}T00:00:00Z"}
        world.crms.plant("salesforce.OpportunityHistory", entry)

    event = await world.hydrate(told("salesforce"))

    assert (event.type, event.occurred_at) == ("deal.reopened", datetime(2026, 11, 21, tzinfo=UTC))


async def test_a_dynamics_opportunity_whose_state_becomes_open_is_reopened(world: CrmWorld) -> None:
    world.change("dynamics.opportunities", DEAL_IDS["dynamics"], statecode=0)

    assert (await world.hydrate(told("dynamics", values={"statecode": 0}))).type == "deal.reopened"


@pytest.mark.parametrize("layout", [{"id": "1", "name": "Standard"}, None])
async def test_a_zoho_deal_is_won_in_a_stage_that_was_made_after_the_start(
    world: CrmWorld, layout: dict[str, str] | None
) -> None:
    hydration = world.hydration()
    await hydration.hydrate(told("zoho"))
    (pipeline,) = world.crms.rows("zoho.pipeline")
    pipeline["maps"].append({"display_value": "Signed", "actual_value": "Signed", "forecast_type": "Closed Won"})
    world.change("zoho.Deals", DEAL_IDS["zoho"], Stage="Signed", stages=["Signed"], Layout=layout)

    assert (await hydration.hydrate(told("zoho"))).type == "deal.won"


async def test_a_zoho_deal_that_was_won_before_is_reopened(world: CrmWorld) -> None:
    world.change("zoho.Deals", DEAL_IDS["zoho"], Stage="Proposal", stages=["Proposal", "Closed Won"])

    assert (await world.hydrate(told("zoho"))).type == "deal.reopened"


@pytest.mark.parametrize("system", RECORDS)
async def test_what_was_told_does_not_count_but_what_is_read(world: CrmWorld, system: str) -> None:
    event = await world.hydrate(told(system, values={"dealstage": "closedlost", "status": "lost", "statecode": 2}))

    assert event.type == "deal.won"


async def test_a_stage_wins_by_its_probability_whatever_it_is_called(world: CrmWorld) -> None:
    (pipeline,) = [row for row in world.crms.rows("hubspot.pipelines") if row["id"] == "default"]
    pipeline["stages"][0]["metadata"]["probability"] = "1.0"
    pipeline["stages"][1]["metadata"]["probability"] = "0.0"
    world.change("hubspot.deals", DEAL_IDS["hubspot"], dealstage="contractsent")
    assert (await world.hydrate(told("hubspot"))).type == "deal.won"

    world.change("hubspot.deals", DEAL_IDS["hubspot"], dealstage="closedwon")
    assert (await world.hydrate(told("hubspot"))).type == "deal.reopened"


async def test_the_same_stage_id_may_mean_something_else_in_each_pipeline(world: CrmWorld) -> None:
    stage = {"id": "closedwon", "label": "Gone", "metadata": {"isClosed": "true", "probability": "0.0"}}
    world.crms.plant("hubspot.pipelines", {"id": "p2", "label": "Other", "stages": [stage]})
    assert (await world.hydrate(told("hubspot"))).type == "deal.won"

    world.change("hubspot.deals", DEAL_IDS["hubspot"], pipeline="p2")
    with pytest.raises(Ignored):
        await world.hydrate(told("hubspot"))


async def test_a_policy_decides_what_is_won(world: CrmWorld) -> None:
    signed = Source(won=(RecordRule(object="opportunity", field="StageName", values=("signed",)),))
    world.change("salesforce.Opportunity", DEAL_IDS["salesforce"], IsWon=False)
    assert (await world.hydrate(told("salesforce"), signed)).type == "deal.won"

    world.change("salesforce.Opportunity", DEAL_IDS["salesforce"], StageName="Closed Won", IsWon=True)
    with pytest.raises(Ignored):
        await world.hydrate(told("salesforce"), signed)


async def test_a_changed_company_is_an_update_where_halopsa_keeps_what_changed(world: CrmWorld) -> None:
    event = await world.hydrate(told("hubspot", "company", CLIENT_IDS["hubspot"], values={"phone": "555-123-4567"}))

    assert event.type == "client.updated"
    assert event.data["client"]["phone"] == "555-123-4567"
    with pytest.raises(Ignored, match="HaloPSA keeps"):
        await world.hydrate(told("hubspot", "company", CLIENT_IDS["hubspot"], values={"hs_lead_status": "NEW"}))


@pytest.mark.parametrize("system", RECORDS)
async def test_a_deleted_record_means_nothing_and_is_not_read(world: CrmWorld, system: str) -> None:
    with pytest.raises(Ignored, match="deleted"):
        await world.hydrate(told(system, change="deleted"))

    assert not world.crms.requests


@pytest.mark.parametrize("system", RECORDS)
async def test_a_record_that_is_gone_by_now_means_nothing(world: CrmWorld, system: str) -> None:
    gone = {"salesforce": "0067F000009zzzzQAA", "dynamics": "d1f1f0a0-8c57-ec11-8f8f-000d3aa2331c"}.get(system, "99999")

    with pytest.raises(Ignored, match="gone"):
        await world.hydrate(told(system, record=gone))


async def test_an_archived_deal_is_gone(world: CrmWorld) -> None:
    world.crms.tables["hubspot.deals"][DEAL_IDS["hubspot"]]["archived"] = True

    with pytest.raises(Ignored, match="gone"):
        await world.hydrate(told("hubspot"))


async def test_merged_deals_win_nothing(world: CrmWorld) -> None:
    with pytest.raises(Ignored, match="merged"):
        await world.hydrate(told("hubspot", change="merged", merged_ids=["7"]))


async def test_a_merged_organisation_is_an_update_of_the_one_that_is_left(world: CrmWorld) -> None:
    event = await world.hydrate(told("pipedrive", "organization", "2", change="merged", merged_into="1"))

    assert event.type == "client.updated"
    assert event.data["client"] | {"id": "1", "merged_ids": ["2"]} == event.data["client"]


async def test_an_account_that_was_merged_away_is_read_as_the_one_that_is_left(world: CrmWorld) -> None:
    old = "0017F000009oldAQAI"
    world.crms.plant("salesforce.Account", {"Id": old, "IsDeleted": True, "MasterRecordId": CLIENT_IDS["salesforce"]})

    event = await world.hydrate(told("salesforce", "account", old))

    assert event.data["client"]["id"] == CLIENT_IDS["salesforce"]


@pytest.mark.parametrize("system", ["hubspot", "pipedrive", "salesforce", "dynamics", "zoho"])
async def test_a_won_deal_without_a_company_needs_a_person(world: CrmWorld, system: str) -> None:
    table = LOST[system][0]
    row = world.crms.tables[table][DEAL_IDS[system]]
    for name in ("org_id", "AccountId", "customerid_account", "Account_Name"):
        row.pop(name, None)
    row["associations"] = {}

    with pytest.raises(NeedsOperator, match="belongs to no"):
        await world.hydrate(told(system))


async def test_the_primary_company_counts_and_without_one_a_person_decides(world: CrmWorld) -> None:
    deal = world.crms.tables["hubspot.deals"][DEAL_IDS["hubspot"]]
    world.crms.plant("hubspot.companies", {"id": "5", "properties": {"name": "Acme Reseller"}})
    deal["associations"]["companies"] = ["5", CLIENT_IDS["hubspot"]]
    assert (await world.hydrate(told("hubspot"))).data["client"]["name"] == "Acme Corporation"

    deal["primary_company"] = None
    with pytest.raises(NeedsOperator, match=f"5, {CLIENT_IDS['hubspot']}"):
        await world.hydrate(told("hubspot"))


async def test_a_company_that_is_named_twice_is_one(world: CrmWorld) -> None:
    await world.hydrate(told("hubspot"))

    assert not any("associations" in request for request in world.crms.requests)


async def test_a_company_is_found_where_the_deal_comes_without_associations(world: CrmWorld) -> None:
    deal = world.crms.tables["hubspot.deals"][DEAL_IDS["hubspot"]]
    deal["hidden_associations"] = True

    assert (await world.hydrate(told("hubspot"))).data["client"]["id"] == CLIENT_IDS["hubspot"]


async def test_a_company_that_was_merged_away_comes_as_what_it_has_become(world: CrmWorld) -> None:
    company = world.crms.tables["hubspot.companies"][CLIENT_IDS["hubspot"]]
    world.crms.tables["hubspot.companies"]["5"] = company
    world.crms.tables["hubspot.deals"][DEAL_IDS["hubspot"]]["associations"]["companies"] = ["5"]

    assert (await world.hydrate(told("hubspot"))).data["client"]["id"] == CLIENT_IDS["hubspot"]


async def test_line_items_that_the_token_may_not_see_are_left_out(world: CrmWorld) -> None:
    del world.crms.tables["hubspot.line_items"]
    world.crms.faults.hubspot.forbid = frozenset({"POST /hubspot/crm/v3/objects/line_items/batch/read"})

    event = await world.hydrate(told("hubspot"))

    assert event.type == "deal.won"
    assert event.data["deal"]["lines"] == []


@pytest.mark.parametrize(
    ("system", "account"),
    [
        ("hubspot", "62515"),
        ("pipedrive", "8087566"),
        ("salesforce", "00D7F00000107XsUAI"),
        ("dynamics", "4ef5b371-e89e-e711-8122-000d3aa2331c"),
        ("zoho", ""),
    ],
)
async def test_an_event_is_of_the_account_that_is_read_whatever_its_sender_says(
    world: CrmWorld, system: str, account: str
) -> None:
    for source in ({"system": system}, {"system": system, "account": account.upper()}):
        event = told(system)
        event.payload["source"] = source

        assert (await world.hydrate(event)).account == account


async def test_one_fact_stays_one_where_the_token_may_not_ask_whose_it_is(world: CrmWorld) -> None:
    """A search cannot tell the portal then, and a delivery does: both must mean the same deal."""
    world.crms.faults.hubspot.forbid = frozenset({"GET /hubspot/account-info/v3/details"})
    delivered, hydration = told("hubspot"), world.hydration()
    assert delivered.account
    (found,) = [event async for event in hydration.changed_since("hubspot", STARTED)]

    assert (await hydration.hydrate(delivered)).origin == (await hydration.hydrate(found)).origin == "hubspot"


async def test_an_owner_who_has_left_is_left_out(world: CrmWorld) -> None:
    world.change("hubspot.deals", DEAL_IDS["hubspot"], hubspot_owner_id="1")
    world.change("pipedrive.deals", 8, owner_id=1)

    for system in ("hubspot", "pipedrive"):
        assert "account_manager_email" not in (await world.hydrate(told(system))).data["client"]


@pytest.mark.parametrize("system", RECORDS)
async def test_changes_from_before_the_first_start_are_history(system: str) -> None:
    world = CrmWorld(first_start=STARTED + timedelta(seconds=1))

    with pytest.raises(Ignored, match="history"):
        await world.hydrate(told(system))

    assert not world.crms.requests


async def test_a_deal_that_was_won_before_the_beginning_that_the_policy_names_is_history(world: CrmWorld) -> None:
    since = Source(since=STARTED)
    world.change("hubspot.deals", DEAL_IDS["hubspot"], closedate="2026-11-23")
    assert (await world.hydrate(told("hubspot"), since)).type == "deal.won"

    world.change("hubspot.deals", DEAL_IDS["hubspot"], closedate="2019-05-01T00:00:00Z")
    with pytest.raises(Ignored, match="history"):
        await world.hydrate(told("hubspot"), since)


@pytest.mark.parametrize("system", RECORDS)
async def test_a_completed_event_can_be_completed_anew(world: CrmWorld, system: str) -> None:
    hydration = world.hydration()
    event = await hydration.hydrate(told(system))
    assert await hydration.hydrate(event) == event

    lose(world, system)
    with pytest.raises(Ignored, match="not won"):
        await hydration.hydrate(replace(event, type=f"{system}.{KINDS[system]}"))
    assert event.payload["told"]["type"] == f"{system}.{KINDS[system]}"


async def test_a_canonical_event_is_left_as_it_is(world: CrmWorld) -> None:
    event = told("standard", "won")

    assert await world.hydration().hydrate(event) is event


async def test_what_a_sender_of_canonical_events_says_was_told_does_not_count(world: CrmWorld) -> None:
    event = told("token", "won")
    event.payload["told"] = {"type": "hubspot.deal", "data": {"id": DEAL_IDS["hubspot"]}}

    assert await world.hydration().hydrate(event) is event


async def test_a_kind_of_record_that_nobody_reads_means_nothing(world: CrmWorld) -> None:
    with pytest.raises(Ignored, match="ticket"):
        await world.hydrate(told("hubspot", "ticket", "1"))
