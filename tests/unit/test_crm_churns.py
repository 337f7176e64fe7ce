"""Which records say that a client leaves, and on which day."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.crm_world import CLIENT_IDS, DEAL_IDS, KINDS, CrmWorld, told
from tests.memory_run import STARTED
from worker.errors import Ignored
from workflows.policy.sources import RecordRule, Source

CHURNED_DEAL = Source(
    churned=(RecordRule(object="deal", field="dealstage", values=("Churned",), pipeline="Renewals"),),
)
FORMER = RecordRule(object="company", field="lifecyclestage", values=("Former customer",))
LIFECYCLE = {"id": "lifecyclestage", "options": [{"label": "Former customer", "value": "87654321"}]}
HASH = "3d0fa3429dfa2d3dec265b4fc5dc8258ab66cdf3"
STATUS_FIELD = {"field_code": HASH, "options": [{"id": 24, "label": "Left us"}, {"id": 25, "label": "With us"}]}


@pytest.fixture
def world() -> CrmWorld:
    return CrmWorld()


async def test_a_lost_renewal_is_a_churn_where_the_policy_says_so(world: CrmWorld) -> None:
    world.change(
        "hubspot.deals", DEAL_IDS["hubspot"], dealstage="93718813", pipeline="44915201", closed_lost_reason="too dear"
    )

    event = await world.hydrate(told("hubspot"), CHURNED_DEAL)

    assert event.type == "client.churned"
    assert event.data == {
        "client": {"id": CLIENT_IDS["hubspot"], "name": "Acme Corporation"},
        "reason": "too dear",
        "effective_at": STARTED.isoformat(),
    }


async def test_a_churn_is_dated_by_when_the_field_got_its_value(world: CrmWorld) -> None:
    world.crms.plant("hubspot.properties.companies", LIFECYCLE)
    world.change("hubspot.companies", CLIENT_IDS["hubspot"], lifecyclestage="87654321")
    entries = [("87654321", "2026-11-20"), ("87654321", "2026-11-19"), ("customer", "2024-01-01")]
    history = [{"value": value, "timestamp": f"{day}T00:00:00.000Z"} for value, day in entries]
    world.crms.tables["hubspot.companies"][CLIENT_IDS["hubspot"]]["history"] = {"lifecyclestage": history}
    event = told("hubspot", "company", CLIENT_IDS["hubspot"], values={"lifecyclestage": "87654321"})

    churned = await world.hydrate(event, Source(churned=(FORMER,)))
    assert churned.data["effective_at"] == "2026-11-19T00:00:00+00:00"

    with pytest.raises(Ignored, match="history"):
        await world.hydrate(event, Source(churned=(FORMER,), since=datetime(2026, 11, 20, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("system", "table", "values", "field", "value"),
    [
        ("pipedrive", "pipedrive.deals", {"status": "lost", "lost_time": "2026-11-20T09:00:00Z"}, "status", "lost"),
        (
            "salesforce",
            "salesforce.Opportunity",
            {"IsWon": False, "StageName": "Gone", "LastStageChangeDate": "2026-11-20T09:00:00.000+0000"},
            "StageName",
            "Gone",
        ),
        (
            "dynamics",
            "dynamics.opportunities",
            {"statecode": 2, "actualclosedate": "2026-11-20T09:00:00Z"},
            "statecode",
            "2",
        ),
        ("zoho", "zoho.Deals", {"Stage": "Closed Lost", "stages": ["Closed Lost"]}, "Stage", "Closed Lost"),
    ],
)
async def test_a_lost_deal_is_dated_by_when_it_was_lost(  # noqa: PLR0917 - a row of the table
    world: CrmWorld, system: str, table: str, values: dict[str, Any], field: str, value: str
) -> None:
    world.change(table, DEAL_IDS[system], **values)
    rule = RecordRule(object=KINDS[system], field=field, values=(value,))

    event = await world.hydrate(told(system), Source(churned=(rule,)))

    assert event.type == "client.churned"
    day = "2026-11-23" if system == "zoho" else "2026-11-20"
    assert event.data["effective_at"] == f"{day}T09:00:00+00:00"


async def test_the_same_stage_in_another_pipeline_is_no_churn(world: CrmWorld) -> None:
    world.change("hubspot.deals", DEAL_IDS["hubspot"], dealstage="93718813", pipeline="default")
    world.crms.tables["hubspot.deals"][DEAL_IDS["hubspot"]]["history"] = {"dealstage": ["93718813"]}

    with pytest.raises(Ignored):
        await world.hydrate(told("hubspot"), CHURNED_DEAL)


async def test_a_lifecycle_stage_churns_by_its_label(world: CrmWorld) -> None:
    world.crms.plant("hubspot.properties.companies", LIFECYCLE)
    world.change("hubspot.companies", CLIENT_IDS["hubspot"], lifecyclestage="87654321")
    event = told("hubspot", "company", CLIENT_IDS["hubspot"], values={"lifecyclestage": "87654321"})

    assert (await world.hydrate(event, Source(churned=(FORMER,)))).type == "client.churned"


async def test_another_change_of_a_churned_company_is_no_new_churn(world: CrmWorld) -> None:
    world.crms.plant("hubspot.properties.companies", LIFECYCLE)
    world.change("hubspot.companies", CLIENT_IDS["hubspot"], lifecyclestage="87654321")
    event = told("hubspot", "company", CLIENT_IDS["hubspot"], values={"phone": "555"})

    assert (await world.hydrate(event, Source(churned=(FORMER,)))).type == "client.updated"


async def test_a_cancelled_subscription_churns_its_company(world: CrmWorld) -> None:
    subscription = {"id": "41112146008", "properties": {"hs_status": "canceled"}}
    world.crms.plant("hubspot.subscriptions", subscription | {"associations": {"companies": [CLIENT_IDS["hubspot"]]}})
    rule = RecordRule(object="subscription", field="hs_status", values=("canceled", "expired"))
    event = told("hubspot", "subscription", "41112146008", values={"hs_status": "canceled"})

    assert (await world.hydrate(event, Source(churned=(rule,)))).type == "client.churned"
    with pytest.raises(Ignored, match="no rule"):
        await world.hydrate(event)


async def test_an_organisation_churns_by_the_label_of_a_custom_field(world: CrmWorld) -> None:
    world.crms.plant("pipedrive.organizationFields", {"id": 1, **STATUS_FIELD})
    rule = RecordRule(object="organization", field=HASH, values=("Left us",))
    event = told("pipedrive", "organization", "1", previous={"update_time": "2026"})

    assert (await world.hydrate(event, Source(churned=(rule,)))).type == "client.churned"


async def test_an_expired_contract_churns_its_account_on_its_last_day(world: CrmWorld) -> None:
    identity = "8007F000001abcdQAA"
    contract = {"Id": identity, "AccountId": CLIENT_IDS["salesforce"], "Status": "Expired", "EndDate": "2026-12-31"}
    world.crms.plant("salesforce.Contract", contract)
    rule = RecordRule(object="contract", field="Status", values=("Expired", "Cancelled"))

    event = await world.hydrate(told("salesforce", "contract", identity), Source(churned=(rule,)))

    assert event.type == "client.churned"
    assert event.data["last_service_day"] == "2026-12-31"
