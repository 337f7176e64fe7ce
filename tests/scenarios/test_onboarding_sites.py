"""The sites of a won deal, and the assets that stand there."""

import pytest

from tests.memory_run import Notebook
from tests.scenarios.won_deals import Fields, further, next_deal, onboarded, policy
from tests.tenant import DAYS, Tenant, event
from workflows.sandbox import Faults
from workflows.sandbox.halopsa.dialects import DialectName


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


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


async def test_nothing_is_written_to_a_main_site_that_is_as_it_should_be(tenant: Tenant, deal: Fields) -> None:
    await onboarded(tenant, deal)
    before = len(tenant.wire.calls)
    await further(tenant, deal)

    assert {call for call in tenant.wire.calls[before:] if call.startswith("POST")} == {"POST /api/CRMNote"}


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
