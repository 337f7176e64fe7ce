"""From a CRM's records to a canonical event, by the usual table and the policy's."""

from typing import Any

import pytest

from tests.crm_world import CLIENT_IDS, DEAL_IDS, CrmWorld, told
from workflows.crm import Dynamics, HubSpot, Pipedrive, Salesforce, Zoho
from workflows.crm.mapping import READERS, day, moment_of, number, recurs, text, whole, words
from workflows.policy.sources import CANONICAL_FIELD, Source


@pytest.fixture
def world() -> CrmWorld:
    return CrmWorld()


async def test_line_items_pipeline_and_currency_come_along(world: CrmWorld) -> None:
    deal = (await world.hydrate(told("hubspot"))).data["deal"]

    line = {"sku": "MS-USER", "name": "Managed user", "quantity": 40.0, "unit_price": 60.0, "recurring": True}
    assert deal["lines"] == [line]
    assert (deal["pipeline"], deal["currency"]) == ("Sales Pipeline", "GBP")


async def test_salesforces_products_come_along(world: CrmWorld) -> None:
    world.change("salesforce.Opportunity", DEAL_IDS["salesforce"], HasOpportunityLineItem=True)
    world.crms.plant("salesforce.Product2", {"Id": "01t", "ProductCode": "MS-USER", "Name": "Managed user"})
    line = {"OpportunityId": DEAL_IDS["salesforce"], "Product2Id": "01t", "Quantity": 40, "UnitPrice": 60}
    world.crms.plant("salesforce.OpportunityLineItem", line)

    (shown,) = (await world.hydrate(told("salesforce"))).data["deal"]["lines"]

    assert shown == {"sku": "MS-USER", "name": "Managed user", "quantity": 40.0, "unit_price": 60.0}


async def test_the_policy_names_other_fields(world: CrmWorld) -> None:
    world.change("hubspot.companies", CLIENT_IDS["hubspot"], support_phone="555-999", vat="GB1", net_terms="30")
    world.change("hubspot.deals", DEAL_IDS["hubspot"], contract_start="1796083200000", term="24")
    fields = {
        "client.phone": "company.support_phone",
        "client.tax_number": "company.vat",
        "client.payment_terms_days": "company.net_terms",
        "client.custom_fields.source": "deal.dealname",
        "deal.contract.starts_on": "deal.contract_start",
        "deal.contract.term_months": "deal.term",
    }

    data = (await world.hydrate(told("hubspot"), Source(fields=fields))).data

    client = data["client"]
    assert (client["phone"], client["tax_number"], client["payment_terms_days"]) == ("555-999", "GB1", 30)
    assert client["custom_fields"] == {"source": "Acme - Managed IT"}
    assert data["deal"]["contract"] == {"starts_on": "2026-12-01", "term_months": 24}


@pytest.mark.parametrize(
    ("system", "source", "table", "values"),
    [
        ("salesforce", "account.VAT__c", "salesforce.Account", {"VAT__c": "GB1"}),
        ("zoho", "account.VAT", "zoho.Accounts", {"VAT": "GB1"}),
        (
            "pipedrive",
            "organization." + "a" * 40,
            "pipedrive.organizations",
            {"custom_fields": {"a" * 40: {"type": "varchar", "value": "GB1"}}},
        ),
    ],
)
async def test_the_policy_names_custom_fields_of_each_crm(
    world: CrmWorld, system: str, source: str, table: str, values: dict[str, Any]
) -> None:
    world.change(table, CLIENT_IDS[system], **values)

    event = await world.hydrate(told(system), Source(fields={"client.tax_number": source}))

    assert event.data["client"]["tax_number"] == "GB1"


async def test_dynamics_columns_of_the_policy_are_selected(world: CrmWorld) -> None:
    opportunity = world.crms.tables["dynamics.opportunities"][DEAL_IDS["dynamics"]]
    opportunity["customerid_account"]["msp_vat"] = "GB1"

    event = await world.hydrate(told("dynamics"), Source(fields={"client.tax_number": "account.msp_vat"}))

    assert event.data["client"]["tax_number"] == "GB1"


async def test_fields_that_nobody_named_stay_out(world: CrmWorld) -> None:
    world.change("pipedrive.organizations", 1, secret_margin="17")

    assert "17" not in str((await world.hydrate(told("pipedrive"))).payload)


async def test_a_company_without_an_address_has_no_site(world: CrmWorld) -> None:
    for name in ("address", "address2", "city", "state", "zip", "country"):
        world.change("hubspot.companies", CLIENT_IDS["hubspot"], **{name: ""})

    assert (await world.hydrate(told("hubspot"))).data["sites"] == []


async def test_a_contact_without_a_name_is_called_by_its_address_and_one_with_an_address_goes_first(
    world: CrmWorld,
) -> None:
    world.crms.plant("hubspot.contacts", {"id": "1", "properties": {"firstname": "No", "lastname": "Mail"}})
    world.crms.plant("hubspot.contacts", {"id": "2", "properties": {"email": "info@acme.example.com"}})
    world.crms.plant("hubspot.contacts", {"id": "3", "properties": {"phone": "555"}})
    world.crms.tables["hubspot.deals"][DEAL_IDS["hubspot"]]["associations"]["contacts"] = ["1", "3", "2"]

    first, second = (await world.hydrate(told("hubspot"))).data["contacts"]

    assert first == {"id": "2", "name": "info@acme.example.com", "email": "info@acme.example.com", "primary": True}
    assert (second["first_name"], second["primary"]) == ("No", False)


@pytest.mark.parametrize("crm", [HubSpot, Pipedrive, Salesforce, Dynamics, Zoho])
def test_the_usual_tables_name_fields_of_events_and_kinds_of_the_crm(crm: Any) -> None:
    kinds = {crm.words.deal, crm.words.client, crm.words.contact, crm.words.owner, crm.words.line, *crm.kinds}

    for path, sources in crm.fields.items():
        assert CANONICAL_FIELD.fullmatch(path), path
        assert {source.partition(".")[0] for source in sources} <= kinds


def test_every_field_that_is_read_in_a_way_of_its_own_is_one_of_events() -> None:
    assert all(CANONICAL_FIELD.fullmatch(path) for path in READERS)


@pytest.mark.parametrize(
    ("read", "value", "result"),
    [
        (text, "  ", None),
        (text, {"id": 3, "name": "Jane"}, "Jane"),
        (text, [24, 25], "24;25"),
        (number, "24000.50", 24000.5),
        (number, "about 5", None),
        (number, "nan", None),
        (number, "1e999", None),
        (whole, "12.0", 12),
        (whole, "inf", None),
        (day, "2026-12-01", "2026-12-01"),
        (day, "1796083200000", "2026-12-01"),
        (day, "2026-11-23T23:30:00.000+0000", "2026-11-23"),
        (day, "soon", "soon"),
        (recurs, "monthly", True),
        (recurs, "one-time", False),
        (recurs, "", None),
        (words, "acme.example, acme.test", ["acme.example", "acme.test"]),
    ],
)
def test_values_are_read_in_the_forms_that_crms_give(read: Any, value: Any, result: Any) -> None:
    assert read(value) == result


def test_a_time_of_pipedrives_first_version_has_a_blank() -> None:
    found = moment_of("2026-11-23 09:00:00")

    assert found is not None
    assert found.isoformat() == "2026-11-23T09:00:00+00:00"
