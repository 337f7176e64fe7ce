import pytest

from tests.crm_world import CLIENT_IDS, CONTACT, DEAL_IDS, RECORDS, CrmWorld, told
from tests.tenant import Tenant


@pytest.fixture
def world() -> CrmWorld:
    return CrmWorld()


@pytest.mark.parametrize("system", RECORDS)
async def test_a_won_deal_becomes_the_canonical_event(world: CrmWorld, system: str) -> None:
    event = await world.hydrate(told(system))

    assert (event.id, event.type, event.payload["source"]["system"]) == (f"{system}:1", "deal.won", system)
    deal, client = event.data["deal"], event.data["client"]
    assert deal["id"] == DEAL_IDS[system]
    assert (deal["name"], deal["amount"], deal["owner_email"]) == ("Acme - Managed IT", 24000.0, "jane@msp.example")
    assert deal["won_at"].startswith("2026-11-23T")
    assert client["id"] == CLIENT_IDS[system]
    assert client["name"] == "Acme Corporation"
    assert client["website"] == "https://acme.example.com"
    assert client["account_manager_email"] == "jane@msp.example"
    (site,) = event.data["sites"]
    assert {name: value for name, value in site.items() if name != "phone"} == {
        "key": "main",
        "main": True,
        "line1": "123 Main Street",
        "line2": "Suite 500",
        "city": "Springfield",
        "region": "IL",
        "postcode": "62701",
        "country": "United States",
    }
    (contact,) = event.data["contacts"]
    assert {name: contact[name] for name in CONTACT} == CONTACT


async def test_a_deal_won_in_different_crms_becomes_the_same_client(world: CrmWorld) -> None:
    found = []
    for system in RECORDS:
        tenant = Tenant()
        await tenant.finish(await world.hydrate(told(system)))
        (client,) = [row for row in tenant.rows("Client") if row["name"] == "Acme Corporation"]
        (site,) = tenant.rows("Site", client_id=client["id"])
        people = [row for row in tenant.rows("Users", client_id=client["id"]) if row["name"] != "General User"]
        found.append(
            (
                client["website"],
                client["accountmanagertech"],
                site["delivery_address"],
                [(row["name"], row["emailaddress"], row["phonenumber"], row["title"]) for row in people],
            )
        )
        assert client["ref"] == CLIENT_IDS[system]

    assert all(one == found[0] for one in found)
