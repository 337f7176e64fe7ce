"""The contracts of won deals: made, renewed or extended, with what the deal and the policy say."""

import pytest

from tests.memory_run import Asleep, Notebook
from tests.scenarios.won_deals import Fields, contracts, further, next_deal, onboarded, policy
from tests.tenant import DAYS, Tenant, event
from workflows.sandbox import Faults


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


async def test_a_renewal_goes_on_from_the_running_contract(tenant: Tenant, deal: Fields) -> None:
    await onboarded(tenant, deal)
    await further(tenant, next_deal(deal, "renewal", contract={"term_months": 24}))

    first, second = contracts(tenant)["D-1001"], contracts(tenant)["D-1002"]
    assert second["previouscontract"] == first["id"]
    assert (second["start_date"][:10], second["end_date"][:10]) == ("2027-12-01", "2029-11-30")
    assert first["end_date"][:10] == "2027-11-30"


async def test_a_renewal_of_what_rolls_on_says_so(tenant: Tenant, deal: Fields) -> None:
    del deal["deal"]["contract"]["term_months"]
    first = await onboarded(tenant, deal)
    result = await further(tenant, next_deal(deal, "renewal"))

    assert result.remarks == [f"contract {first.contract_id} rolls on beside its successor: end it"]
    notes = [note["note"] for note in tenant.rows("CRMNote", client_id=first.client_id)]
    assert notes[1].startswith("Renewal, won deal D-1002 More\n")


@pytest.mark.parametrize("answer", [{"create_new": True}, {"use": "first"}])
async def test_of_several_running_contracts_a_person_names_the_one_that_is_renewed(
    tenant: Tenant, deal: Fields, answer: Fields
) -> None:
    first = await onboarded(tenant, deal)
    await further(tenant, next_deal(deal, "addition"))
    renewal = next_deal(deal, "renewal", id="D-1003")
    with pytest.raises(Asleep, match="Which contract of Acme Corporation"):
        await tenant.claim(event("deal.won", renewal), Notebook())

    used = {"use": first.contract_id} if "use" in answer else answer
    await further(tenant, renewal, which_contract=used)
    assert contracts(tenant)["D-1003"]["previouscontract"] == used.get("use", 0)
    assert (await further(tenant, renewal)).contract_id == contracts(tenant)["D-1003"]["id"]


async def test_a_deal_may_extend_the_running_contract(tenant: Tenant, deal: Fields) -> None:
    first = await onboarded(tenant, deal)
    tenant.policy = policy(deals={"renewal": {"contract": "extend"}})
    result = await further(tenant, next_deal(deal, "renewal", contract={"term_months": 12}))
    again = await further(tenant, next_deal(deal, "renewal", contract={"term_months": 12}))

    assert result.contract_id == again.contract_id == first.contract_id
    (contract,) = contracts(tenant).values()
    assert (contract["ref"], contract["end_date"][:10]) == ("D-1001", "2028-11-30")


async def test_only_a_running_contract_is_extended(tenant: Tenant, deal: Fields) -> None:
    deal["deal"]["contract"] = {"starts_on": "2020-01-01", "ends_on": "2020-12-31"}
    await onboarded(tenant, deal)
    tenant.policy = policy(deals={"renewal": {"contract": "extend"}})
    await further(tenant, next_deal(deal, "renewal"))

    assert list(contracts(tenant)) == ["D-1001", "D-1002"]


async def test_a_project_touches_no_contract_unless_the_policy_says_so(tenant: Tenant, deal: Fields) -> None:
    await onboarded(tenant, deal)
    assert (await further(tenant, next_deal(deal, "project"))).contract_id is None
    tenant.policy = policy(deals={"project": {"contract": "create", "contract_type_id": 7}})
    await further(tenant, next_deal(deal, "project"))

    assert contracts(tenant)["D-1002"]["contracttype"] == 7


async def test_a_contract_gets_what_the_deal_and_else_the_policy_says(tenant: Tenant, deal: Fields) -> None:
    sla = tenant.sandbox.store.reference["SLA"][0]
    tenant.policy = policy(
        halopsa={"billing_periods": {"Monthly": 2, "yearly": 5}},
        deals={
            "new": {
                "contract_type_id": 3,
                "pdf_template_id": 4,
                "billing_period": "yearly",
                "billing_plan_id": 6,
                "sla": "nothing of the kind",
            }
        },
    )
    deal["deal"] |= {
        "recurring_amount": 2400.0,
        "po_number": "PO-7",
        "lines": [{"sku": "MS-USER", "name": "Managed user", "quantity": 40, "unit_price": 60.0, "recurring": True}],
    }
    deal["deal"]["contract"] |= {"billing_period": "monthly", "notice_days": 30, "sla": sla["name"].upper()}
    result = await onboarded(tenant, deal)

    contract = contracts(tenant)["D-1001"]
    assert (contract["contracttype"], contract["billingperiod"], contract["periodchargeamount"]) == (3, 2, 2400.0)
    assert (contract["sla_id"], contract["pdftemplate_id"]) == (sla["id"], 4)
    assert contract["billingplans"] == [{"plan_id": 6}]
    assert contract["note"].splitlines() == [
        "Acme, managed services",
        "Purchase order: PO-7",
        "Notice: 30 days",
        "40 × Managed user at 60",  # noqa: RUF001 - the sign for "times"
    ]
    assert result.remarks == []


async def test_what_halopsa_does_not_have_for_a_contract_is_remarked(tenant: Tenant, deal: Fields) -> None:
    deal["deal"]["contract"] |= {"billing_period": "fortnightly", "type": "Managed", "sla": "Platinum"}
    result = await onboarded(tenant, deal)

    assert [remark.partition(":")[0] for remark in result.remarks] == [
        "contract type Managed not set",
        "SLA Platinum not set",
        "billing period fortnightly not set",
    ]


async def test_the_lines_of_a_deal_make_its_amount(tenant: Tenant, deal: Fields) -> None:
    deal["deal"]["lines"] = [
        {"name": "User", "quantity": 3, "unit_price": 10.5, "recurring": True},
        {"name": "Setup", "unit_price": 500},
        {"name": "Free", "recurring": True},
    ]
    await onboarded(tenant, deal)

    assert contracts(tenant)["D-1001"]["periodchargeamount"] == 31.5
