"""The contacts of a won deal: the portal, the welcome, and one that HaloPSA refuses."""

import pytest

from tests.scenarios.won_deals import Fields, further, next_deal, onboarded, policy
from tests.tenant import Tenant, event
from worker.errors import NeedsOperator


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
