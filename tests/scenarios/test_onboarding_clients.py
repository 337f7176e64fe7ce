"""The client of a won deal: what is kept of it, what it becomes, and under whom it stands."""

import pytest

from tests.memory_run import Asleep, Notebook
from tests.scenarios.won_deals import Fields, further, next_deal, onboarded, policy
from tests.tenant import DAYS, Tenant, event
from worker.errors import NeedsOperator, NotYet
from workflows.sandbox import Faults


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


async def test_a_client_is_classified_and_billed_as_its_deal_says(deal: Fields) -> None:
    tenant = Tenant(dialect="v2")
    customer, partner = ("Customer", "Partner")
    types = {row["name"]: row["id"] for row in tenant.sandbox.store.reference["Lookup"] if row["lookupid"] == 33}
    relations = {row["name"]: row["id"] for row in tenant.sandbox.store.reference["Lookup"] if row["lookupid"] == 89}
    currencies = {row["code"]: row["id"] for row in tenant.sandbox.store.reference["Currency"]}
    code = next(iter(currencies))
    tenant.sandbox.plant("Client", {"name": "Umbrella", "default_currency_code": 2})
    relation = next(iter(relations))
    tenant.policy = policy(
        clients={
            "types": {"reseller": partner},
            "relationships": {"Reseller": relation},
            "account_managers": {"owner@crm.example": "jane@msp.example"},
            "custom_fields": {"CFSource": "deal {deal.id}"},
        }
    )
    deal["client"] |= {
        "type": "Reseller",
        "tax_number": "GB 123",
        "payment_terms_days": 14,
        "currency": code,
        "account_manager_email": None,
        "custom_fields": {"Wrong": 1},
    }
    deal["deal"]["owner_email"] = "Owner@crm.example"
    result = await onboarded(tenant, deal)

    (client,) = tenant.rows("Client", name="Acme Corporation")
    assert client["customertype"] == types[partner] != types[customer]
    assert client["customer_relationship"] == [{"id": str(relations[relation]), "name": relation}]
    assert (client["tax_number"], client["paymentterms"]) == ("GB 123", 14)
    assert (client["default_currency_code"], client["accountmanagertech"]) == (currencies[code], 3)
    assert result.remarks == ["custom field Wrong not set: HaloPSA's names begin with CF"]


async def test_everything_that_an_event_may_say_costs_no_more_than_eight_requests_and_the_note(deal: Fields) -> None:
    tenant = Tenant(dialect="v2")
    deal["client"] |= {"type": "Customer", "currency": "GBP", "payment_terms_days": 30, "tax_number": "GB1"}
    deal["deal"]["contract"] |= {"billing_period": "monthly", "notice_days": 30}
    result = await onboarded(tenant, deal)

    assert len(tenant.wire.calls) == 9
    assert tenant.rows("Client", id=result.client_id)[0]["customertype"] == 1
    assert result.remarks == []


async def test_the_guides_client_is_billed_in_its_words(deal: Fields) -> None:
    tenant = Tenant(dialect="guide")
    deal["client"] |= {"tax_number": "GB 123", "payment_terms_days": 14, "currency": "GBP"}
    await onboarded(tenant, deal)

    (client,) = tenant.rows("Client", name="Acme Corporation")
    assert (client["taxcode"], client["payment_terms"], client["currency_code"]) == ("GB 123", 14, "GBP")


@pytest.mark.parametrize("kind", ["new", ""])
async def test_a_prospect_becomes_a_customer_and_gets_what_it_lacks(deal: Fields, kind: str) -> None:
    tenant = Tenant(dialect="v2")
    types = {row["name"]: row["id"] for row in tenant.sandbox.store.reference["Lookup"] if row["lookupid"] == 33}
    prospect = {"name": "Acme Corporation", "customertype": types["Prospect"], "notes": "Met in May"}
    known = tenant.sandbox.plant("Client", prospect)
    deal["deal"]["kind"] = kind
    deal["client"] |= {"payment_terms_days": 30}
    result = await tenant.finish(event("deal.won", deal))

    assert (result.client_id, result.kind) == (known, "new")
    (client,) = tenant.rows("Client", id=known)
    assert (client["customertype"], client["notes"], client["paymentterms"]) == (types["Customer"], "Met in May", 30)
    (note,) = tenant.rows("CRMNote", client_id=known)
    assert f"type_id: {types['Prospect']} → {types['Customer']}" in note["note"]


async def test_a_partner_stays_one(deal: Fields) -> None:
    tenant = Tenant(dialect="v2")
    types = {row["name"]: row["id"] for row in tenant.sandbox.store.reference["Lookup"] if row["lookupid"] == 33}
    known = tenant.sandbox.plant("Client", {"name": "Acme Corporation", "customertype": types["Partner"]})
    await onboarded(tenant, deal)

    assert tenant.rows("Client", id=known)[0]["customertype"] == types["Partner"]


async def test_a_late_deal_does_not_bring_back_a_client_that_has_left_since(tenant: Tenant, deal: Fields) -> None:
    tenant.policy = policy(onboard_client={"inactive_client": "reactivate"})
    tenant.sandbox.plant("Client", tenant.keyed(key="C-77", name="Acme Corporation", inactive=True))
    before = tenant.picture()

    with pytest.raises(Asleep, match="run r-2 of a later event changed it"):
        await tenant.claim(event("deal.won", next_deal(deal, "new")), Notebook(newer="r-2"))
    assert tenant.picture() == before


@pytest.mark.parametrize("reference", ["C-1", "ACME group"])
async def test_a_child_stands_under_its_parent(tenant: Tenant, deal: Fields, reference: str) -> None:
    parent = tenant.sandbox.plant("Client", tenant.keyed(key="C-1", name="Acme Group", website="acme.example.com"))
    deal["client"]["parent_id"] = reference
    result = await onboarded(tenant, deal)

    (child,) = tenant.rows("Client", id=result.client_id)
    assert child["client_to_invoice"] == parent
    if tenant.dialect == "guide":
        assert child["toplevel_id"] == parent
    else:
        assert child["toplevel_id"] == tenant.rows("Client", id=parent)[0]["toplevel_id"]


async def test_a_child_may_pay_for_itself_or_let_another_pay(tenant: Tenant, deal: Fields) -> None:
    parent = tenant.sandbox.plant("Client", tenant.keyed(key="C-1", name="Umbrella"))
    payer = tenant.sandbox.plant("Client", tenant.keyed(key="C-2", name="Initech"))
    deal["client"] |= {"parent_id": "C-1", "invoice_to": "C-77"}
    first = await onboarded(tenant, deal)
    assert tenant.rows("Client", id=first.client_id)[0]["client_to_invoice"] == 0
    other = {"id": "C-99", "name": "Globex", "parent_id": "C-1", "invoice_to": "Initech"}
    second = await further(tenant, next_deal(deal, "new") | {"client": other, "contacts": []})

    assert tenant.rows("Client", id=second.client_id)[0]["client_to_invoice"] == payer != parent


async def test_a_parent_is_waited_for(tenant: Tenant, deal: Fields) -> None:
    deal["client"]["parent_id"], deal["deal"]["kind"] = "C-1", "new"
    notebook = Notebook()
    before = tenant.picture()
    with pytest.raises(NotYet, match="does not have the parent of 'Acme Corporation', 'C-1', yet"):
        await tenant.finish(event("deal.won", deal), notebook)
    assert tenant.picture() == before

    parent = tenant.sandbox.plant("Client", tenant.keyed(key="C-1", name="Umbrella"))
    result = await tenant.finish(event("deal.won", deal), notebook)
    assert tenant.rows("Client", id=result.client_id)[0]["client_to_invoice"] == parent


@pytest.mark.parametrize("reference", ["C-77", "acme corporation"])
async def test_no_client_is_its_own_parent(tenant: Tenant, deal: Fields, reference: str) -> None:
    deal["client"]["parent_id"] = reference

    with pytest.raises(NeedsOperator, match="its own parent"):
        await onboarded(tenant, deal)


async def test_no_hierarchy_goes_round(tenant: Tenant, deal: Fields) -> None:
    top = await onboarded(tenant, deal)
    middle = tenant.sandbox.plant("Client", tenant.keyed(key="C-1", name="Umbrella", client_to_invoice=top.client_id))
    tenant.sandbox.plant("Client", tenant.keyed(key="C-2", name="Initech", client_to_invoice=middle))
    data = next_deal(deal, "new") | {"client": deal["client"] | {"parent_id": "C-2"}}
    before = tenant.picture()

    with pytest.raises(NeedsOperator, match="would stand under itself"):
        await further(tenant, data)
    assert tenant.picture() == before
