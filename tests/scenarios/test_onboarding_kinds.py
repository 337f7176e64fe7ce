"""What a won deal brings by its kind: contracts, tickets and assets, under a client that its data describes."""

from typing import Any

import pytest

from tests.memory_run import Asleep, MemoryRun, Notebook
from tests.tenant import DAYS, Tenant, event
from worker.errors import NeedsOperator, NotYet
from worker.events import Event
from worker.run import Guard
from workflows.msp import Msp
from workflows.onboard_client import Onboarded, onboard_client
from workflows.policy import Policy
from workflows.sandbox import Faults
from workflows.sandbox.halopsa.dialects import DialectName

Fields = dict[str, Any]


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


def policy(**sections: Any) -> Policy:
    return Policy.model_validate(sections)


def next_deal(deal: Fields, kind: str = "", **of_deal: Any) -> Fields:
    """A further deal of the same client."""
    return deal | {"deal": {"id": "D-1002", "name": "More", "kind": kind, **of_deal}}


async def onboarded(tenant: Tenant, deal: Fields) -> Any:
    deal["deal"].setdefault("kind", "new")
    return await tenant.finish(event("deal.won", deal))


async def further(tenant: Tenant, data: Fields, **answers: Any) -> Any:
    given = {step.replace("_", "-"): answer for step, answer in answers.items()}
    return await tenant.finish(event("deal.won", data), Notebook(run=f"r-{data['deal']['id']}", answers=given))


def contracts(tenant: Tenant) -> dict[str, Fields]:
    return {row["ref"]: row for row in tenant.rows("ClientContract")}


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


async def test_the_portal_is_open_only_to_those_who_ask_for_it(deal: Fields) -> None:
    tenant = Tenant(dialect="v2")
    tenant.policy = policy(contacts={"portal_access_level": 3})
    deal["contacts"].append({"name": "Ada", "email": "ada@acme.example.com", "portal_access": True})
    await onboarded(tenant, deal)

    assert {user["name"]: user["web_access_level"] for user in tenant.rows("Users") if "@" in user["emailaddress"]} == {
        "John Smith": 0,
        "Ada": 3,
    }


@pytest.mark.parametrize("allowed", [True, False])
async def test_welcome_mails_go_to_new_contacts_that_ask_for_one_if_the_policy_lets_them(
    deal: Fields, *, allowed: bool
) -> None:
    tenant = Tenant(dialect="v2")
    tenant.policy = policy(onboard_client={"welcome_mail": allowed})
    deal["contacts"][0]["send_welcome"] = True
    deal["contacts"].append({"name": "Ada", "email": "ada@acme.example.com"})
    await onboarded(tenant, deal)

    mails = tenant.sandbox.state()["mails"]
    assert [mail["to"] for mail in mails] == (["john.smith@acme.example.com"] if allowed else [])
    await further(tenant, next_deal(deal, "new"))
    assert tenant.sandbox.state()["mails"] == mails


async def test_a_welcome_in_doubt_is_left_to_a_person(deal: Fields) -> None:
    tenant = Tenant(dialect="v2")
    tenant.policy = policy(onboard_client={"welcome_mail": True})
    deal["contacts"][0]["send_welcome"] = True
    deal["deal"]["kind"] = "new"
    tenant.wire.mishaps = {9: "answer lost"}

    with pytest.raises(NeedsOperator, match="may have sent its welcome e-mail"):
        await tenant.finish(event("deal.won", deal))
    assert len(tenant.sandbox.state()["mails"]) == 1


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


async def test_assets_of_an_addition_find_their_places(tenant: Tenant, deal: Fields) -> None:
    deal["sites"].append({"key": "depot", "name": "Depot"})
    first = await onboarded(tenant, deal)
    data = next_deal(deal, "addition") | {
        "sites": [{"key": "d", "name": "DEPOT"}, {"key": "n", "name": "New hall"}, {"key": "u", "name": "Unused"}],
        "assets": [
            {"tag": "LT-1", "type": "Laptop", "site": "d"},
            {"tag": "LT-2", "type": "Laptop", "site": "n"},
            {"tag": "LT-3", "type": "Laptop"},
        ],
    }
    await further(tenant, data)

    sites = {site["id"]: site["name"] for site in tenant.rows("Site", client_id=first.client_id)}
    assert {row["inventory_number"]: sites[int(row["site_id"])] for row in tenant.rows("Asset")} == {
        "LT-1": "Depot",
        "LT-2": "New hall",
        "LT-3": "Acme HQ",
    }


async def test_assets_may_be_left_out(tenant: Tenant, deal: Fields) -> None:
    tenant.policy = policy(onboard_client={"assets": False})
    deal["assets"] = [{"tag": "LT-1", "type": "No such type"}]

    assert (await onboarded(tenant, deal)).asset_ids == []


async def test_the_report_says_what_was_done(tenant: Tenant, deal: Fields) -> None:
    deal["contacts"].append({"name": "Bad", "email": "bad@"})
    first = await onboarded(tenant, deal)
    tenant.change("Users", first.contact_ids[0], inactive=True)
    deal["deal"]["id"], deal["client"]["name"] = "D-1002", "ACME Corporation"
    deal["sites"][0]["phone"] = "555-000"
    await further(tenant, deal)

    made, again = (note["note"] for note in tenant.rows("CRMNote", client_id=first.client_id))
    assert made.startswith("Onboarded from won deal D-1001 Acme, managed services\n")
    assert f"- client {first.client_id} (Acme Corporation): made" in made
    assert f"- contact {first.contact_ids[0]} (John Smith): made" in made
    assert f"- contract {first.contract_id} (D-1001): made" in made
    assert "Note: contact left out: Invalid email format" in made
    assert f"- client {first.client_id} (Acme Corporation): found" in again
    assert f"- contact {first.contact_ids[0]} (John Smith): changed: inactive: True → False" in again
    assert "Note: main site differs: phone 555-123-4567 here, 555-000 there; left" in again


async def test_a_contact_that_halopsa_refuses_holds_up_nothing_unless_it_is_the_primary_one(deal: Fields) -> None:
    tenant = Tenant(dialect="guide")
    other = tenant.sandbox.plant("Client", {"name": "Umbrella"})
    tenant.sandbox.plant("Users", {"name": "Ada", "client_id": other, "emailaddress": "ada@x.example"})
    deal["contacts"].append({"name": "Ada", "email": "ada@x.example"})
    result = await onboarded(tenant, deal)

    assert len(result.contact_ids) == 1
    assert [remark.partition(":")[0] for remark in result.remarks] == ["contact Ada left out"]
    (note,) = tenant.rows("CRMNote")
    assert "- contact (Ada): refused: HaloPSA refused POST /Users (400): Duplicate email" in note["note"]
    deal["contacts"][1]["primary"] = True
    with pytest.raises(NeedsOperator, match="Duplicate email"):
        await further(tenant, deal | {"client": {"id": "C-88", "name": "Globex"}})


async def test_a_late_deal_does_not_bring_back_a_client_that_has_left_since(tenant: Tenant, deal: Fields) -> None:
    tenant.policy = policy(onboard_client={"inactive_client": "reactivate"})
    tenant.sandbox.plant("Client", tenant.keyed(key="C-77", name="Acme Corporation", inactive=True))
    before = tenant.picture()

    with pytest.raises(Asleep, match="run r-2 of a later event changed it"):
        await tenant.claim(event("deal.won", next_deal(deal, "new")), Notebook(newer="r-2"))
    assert tenant.picture() == before


async def test_a_deal_won_again_is_no_riddle(tenant: Tenant, deal: Fields) -> None:
    first = await tenant.finish(event("deal.won", deal))
    again = await tenant.finish(event("deal.won", deal), Notebook())

    assert (again.kind, again.contract_id) == ("new", first.contract_id)


async def test_nothing_is_written_to_a_main_site_that_is_as_it_should_be(tenant: Tenant, deal: Fields) -> None:
    await onboarded(tenant, deal)
    before = len(tenant.wire.calls)
    await further(tenant, deal)

    assert {call for call in tenant.wire.calls[before:] if call.startswith("POST")} == {"POST /api/CRMNote"}


def with_main_site(tenant: Tenant, **address: str) -> int:
    """Plant a known client whose main site has only what is given."""
    client_id = tenant.sandbox.plant("Client", tenant.keyed(key="C-77", name="Acme Corporation"))
    if tenant.dialect == "guide":
        site = {"client_id": client_id, "name": "Head office", "main_site": True, "phonenumber": "+44 20 1", **address}
        planted: int = tenant.sandbox.plant("Site", site)
        return planted
    site_id: int = tenant.rows("Client", id=client_id)[0]["main_site_id"]
    lines = {"line1": "", "line2": "", "line3": "", "line4": "", "postcode": ""} | address
    tenant.change("Site", site_id, name="Head office", phonenumber="+44 20 1", delivery_address=lines)
    return site_id


def address_of(tenant: Tenant, site_id: int) -> Fields:
    (site,) = tenant.rows("Site", id=site_id)
    address: Fields = site if tenant.dialect == "guide" else site["delivery_address"]
    return {**address, "name": site["name"], "phone": site["phonenumber"]}


async def test_a_known_main_site_gets_only_what_it_lacks(tenant: Tenant, deal: Fields) -> None:
    site_id = with_main_site(tenant, line1="123 main street")
    deal["deal"]["kind"] = "new"
    result = await tenant.finish(event("deal.won", deal), Notebook())

    site = address_of(tenant, site_id)
    assert (site["name"], site["phone"], site["line1"]) == ("Head office", "+44 20 1", "123 main street")
    assert (site["line2"], site["postcode"]) == ("Suite 500", "62701")
    assert "main site differs: name Head office here, Acme HQ there" in result.remarks[0]
    assert "phone +44 20 1 here, 555-123-4567 there; left" in result.remarks[0]
    (note,) = tenant.rows("CRMNote")
    assert "line2: nothing → Suite 500" in note["note"]
    assert f"- site {site_id} (Acme HQ): changed" in note["note"]


async def test_two_addresses_are_not_mixed(tenant: Tenant, deal: Fields) -> None:
    site_id = with_main_site(tenant, line1="1 Oak Road")
    before = address_of(tenant, site_id)
    deal["deal"]["kind"] = "new"
    result = await tenant.finish(event("deal.won", deal), Notebook())

    assert address_of(tenant, site_id) == before
    assert "line1 1 Oak Road here, 123 Main Street there" in result.remarks[0]


async def test_what_a_main_site_lacked_is_reported_where_an_answer_was_lost(dialect: DialectName, deal: Fields) -> None:
    tenant = Tenant(dialect=dialect)
    with_main_site(tenant)
    tenant.wire.lose_every_write = True
    deal["deal"]["kind"] = "new"
    await tenant.finish(event("deal.won", deal), Notebook())

    assert "line1: nothing → 123 Main Street" in tenant.rows("CRMNote")[0]["note"]


async def test_the_crm_is_told_if_the_policy_says_so(deal: Fields) -> None:
    tenant = Tenant(dialect="v2")
    told: list[str] = []

    class Hubspot:
        async def note_on_deal(self, event: Event, text: str, guard: Guard) -> bool:
            told.append(f"{event.id}, run {guard.id}: {text}" if isinstance(guard, MemoryRun) else "")
            return True

    deal["deal"]["kind"] = "new"

    async def onboard(*, write_back: bool) -> Onboarded:
        run = MemoryRun(Notebook())
        rules = policy(onboard_client={"crm_write_back": write_back})
        return await onboard_client(run, Msp(tenant.connection.for_run(run), rules, Hubspot()), event("deal.won", deal))

    await onboard(write_back=False)
    result = await onboard(write_back=True)

    (text,) = told
    assert text.startswith("standard:msg-1, run r-1: Onboarded from won deal D-1001 Acme, managed services")
    assert f"contract {result.contract_id} (D-1001)" in text


async def test_the_report_may_be_left_out(tenant: Tenant, deal: Fields) -> None:
    tenant.policy = policy(onboard_client={"report_note": False})
    await onboarded(tenant, deal)

    assert tenant.rows("CRMNote") == []
