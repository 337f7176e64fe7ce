"""What a won deal is: new, an addition, a renewal, a project, or nothing to do."""

from typing import Any

import pytest

from tests.memory_run import Asleep, Notebook
from tests.scenarios.won_deals import Fields, contracts, further, next_deal, onboarded, policy
from tests.tenant import DAYS, Tenant, event
from workflows.sandbox import Faults


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


async def test_an_ignored_deal_asks_nothing_of_halopsa(tenant: Tenant, deal: Fields) -> None:
    tenant.policy = policy(deals={"rules": [{"kind": "ignore", "name": "*test*"}]})
    deal["deal"]["name"] = "A Test deal"
    result = await tenant.finish(event("deal.won", deal))

    assert (result.kind, result.client_id, tenant.wire.calls) == ("ignore", None, [])


async def test_an_unmapped_deal_of_an_unknown_client_is_a_new_one(tenant: Tenant, deal: Fields) -> None:
    deal["deal"]["kind"] = "whatever the CRM says"

    assert (await tenant.finish(event("deal.won", deal))).kind == "new"


@pytest.mark.parametrize(
    ("answer", "kind", "refs"),
    [
        (None, "addition", ["D-1001", "D-1002"]),
        ({"kind": "addition"}, "addition", ["D-1001", "D-1002"]),
        ("Project", "project", ["D-1001"]),
        ({"kind": "ignore"}, "ignore", ["D-1001"]),
        ({"kind": "new"}, "new", ["D-1001", "D-1002"]),
    ],
)
async def test_an_unmapped_deal_of_a_known_client_waits_for_a_person(
    tenant: Tenant, deal: Fields, answer: Any, kind: str, refs: list[str]
) -> None:
    await onboarded(tenant, deal)
    before = tenant.picture()
    with pytest.raises(Asleep, match=r"What is deal D-1002 'More' of Acme Corporation"):
        await tenant.claim(event("deal.won", next_deal(deal)), Notebook())
    assert tenant.picture() == before

    assert (await further(tenant, next_deal(deal), deal_kind=answer)).kind == kind
    assert list(contracts(tenant)) == refs


async def test_a_word_that_is_no_kind_is_asked_for_again(tenant: Tenant, deal: Fields) -> None:
    await onboarded(tenant, deal)
    notebook = Notebook(answers={"deal-kind": {"kind": "upsell"}})
    with pytest.raises(Asleep):
        await tenant.claim(event("deal.won", next_deal(deal)), notebook)

    assert notebook.questions[-1].startswith("deal-kind:2: ")


async def test_the_policy_may_say_what_unmapped_deals_are(tenant: Tenant, deal: Fields) -> None:
    await onboarded(tenant, deal)
    tenant.policy = policy(deals={"unmapped": "project"})

    assert (await further(tenant, next_deal(deal))).kind == "project"


async def test_a_rule_of_the_policy_goes_before_the_events_word(tenant: Tenant, deal: Fields) -> None:
    await onboarded(tenant, deal)
    tenant.policy = policy(deals={"rules": [{"kind": "project", "pipeline": "renewals", "source": "hubspot"}]})
    data = next_deal(deal, "addition", pipeline="Renewals")

    hubspot = event("deal.won", data, source={"system": "hubspot", "account": "1"})
    assert (await tenant.finish(hubspot, Notebook())).kind == "project"
    assert (await further(tenant, data | {"deal": data["deal"] | {"id": "D-3"}})).kind == "addition"


async def test_a_deal_won_again_is_no_riddle(tenant: Tenant, deal: Fields) -> None:
    first = await tenant.finish(event("deal.won", deal))
    again = await tenant.finish(event("deal.won", deal), Notebook())

    assert (again.kind, again.contract_id) == ("new", first.contract_id)


@pytest.mark.parametrize("kind", ["addition", "renewal", "project"])
async def test_only_a_new_deal_makes_a_client(tenant: Tenant, deal: Fields, kind: str) -> None:
    before = tenant.picture()
    with pytest.raises(Asleep, match="whose deal is not a new one"):
        await tenant.claim(event("deal.won", next_deal(deal, kind)), Notebook())
    assert tenant.picture() == before

    result = await further(tenant, next_deal(deal, kind), which_client={"create_new": True})
    assert (result.kind, result.client_created) == (kind, True)


async def test_an_addition_adds_a_contract_and_leaves_sites_and_contacts(tenant: Tenant, deal: Fields) -> None:
    first = await onboarded(tenant, deal)
    state = {name: len(rows) for name, rows in tenant.sandbox.state().items() if name in {"Site", "Users"}}
    data = next_deal(deal, "addition", contract={"starts_on": "2027-02-01", "ends_on": "2027-05-31"})
    data |= {"sites": [{"key": "x", "name": "Elsewhere"}], "contacts": [{"name": "Ada", "email": "ada@x.example"}]}
    result = await further(tenant, data)

    assert (result.client_id, result.contact_ids, result.site_ids) == (first.client_id, [], first.site_ids)
    assert {name: len(rows) for name, rows in tenant.sandbox.state().items() if name in state} == state
    contract = contracts(tenant)["D-1002"]
    assert (contract["start_date"][:10], contract["end_date"][:10], contract["rollingcontract"]) == (
        "2027-02-01",
        "2027-05-31",
        False,
    )
    assert contract["previouscontract"] == 0


async def test_the_kick_off_is_opened_once_with_what_its_type_needs(tenant: Tenant, deal: Fields) -> None:
    kind = tenant.sandbox.store.reference["TicketType"][0]
    team = tenant.sandbox.store.reference["Team"][0]
    tenant.policy = policy(
        ticket_types={kind["name"].upper(): {"open_fields": {"category_1": "Onboarding", "impact": 2}}},
        deals={
            "new": {
                "kickoff": {
                    "ticket_type": kind["name"],
                    "summary": "Onboarding of {client.name}",
                    "details": "From {deal.contract.starts_on}",
                    "team": team["name"],
                    "fields": {"impact": 3},
                }
            }
        },
    )
    first = await onboarded(tenant, deal)
    again = await further(tenant, deal)

    (ticket,) = tenant.rows("Tickets", client_id=first.client_id)
    assert first.ticket_id == again.ticket_id == ticket["id"]
    assert (ticket["summary"], ticket["details"]) == ("Onboarding of Acme Corporation [deal D-1001]", "From 2026-12-01")
    assert (ticket["team"], ticket["category_1"], ticket["impact"]) == (team["name"], "Onboarding", 3)
