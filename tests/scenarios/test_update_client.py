"""Changed data of a client."""

from typing import Any

import pytest
import time_machine

from tests.memory_run import STARTED, Notebook
from tests.tenant import AFTER, BEFORE, DAYS, Tenant, event
from worker.errors import NeedsOperator
from workflows.canonical import InvalidEvent
from workflows.sandbox import Faults

NEWS = {
    "id": "C-77",
    "name": "Acme Holdings",
    "website": "https://new.acme.example.com",
    "phone": "555-987-6543",
    "notes": "Moved to Chicago",
    "billing_email": "accounts@acme.example.com",
    "payment_terms_days": 14,
    "currency": "GBP",
    "tax_number": "GB-1",
    "account_manager_email": "omar@msp.example",
}


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


def plant(tenant: Tenant, **fields: Any) -> int:
    row = {"name": "Acme Corporation", "website": "https://acme.example.com"} | fields
    return int(tenant.sandbox.plant("Client", tenant.keyed("C-77", **row)))


def client(tenant: Tenant, client_id: int) -> dict[str, Any]:
    (row,) = tenant.rows("Client", id=client_id)
    return row


def updated(data: dict[str, Any]) -> Any:
    return event("client.updated", {"client": data})


def writes(tenant: Tenant) -> list[str]:
    return [call.removeprefix("POST /api/") for call in tenant.wire.calls if call.startswith("POST")]


async def test_what_differs_is_written_and_the_key_stays(tenant: Tenant) -> None:
    acme = plant(tenant)
    await tenant.finish(updated(NEWS))

    row = client(tenant, acme)
    assert (row["name"], row["website"]) == ("Acme Holdings", "https://new.acme.example.com")
    if tenant.dialect == "v2":
        (site,) = tenant.rows("Site", client_id=acme)
        assert site["phonenumber"] == "555-987-6543"
        assert (row["ref"], row["notes"]) == ("C-77", "Moved to Chicago")
        assert (row["accountsemailaddress"], row["paymentterms"]) == ("accounts@acme.example.com", 14)
        assert (row["accountmanagertech"], row["tax_number"]) == (5, "GB-1")
    else:
        assert row["notes"] == "Moved to Chicago\nParhelion key: C-77"
        assert (row["phonenumber"], row["payment_terms"]) == ("555-987-6543", 14)
        assert (row["accountmanager_id"], row["taxcode"], row["currency_code"]) == (5, "GB-1", "GBP")


async def test_the_report_has_before_and_after(tenant: Tenant) -> None:
    acme, notebook = plant(tenant), Notebook()
    result = await tenant.finish(updated({"id": "C-77", "website": "new.acme.example.com"}), notebook)

    assert result.client_id == acme
    assert result.changes == {"website": ("https://acme.example.com", "https://new.acme.example.com")}
    (note,) = tenant.rows("CRMNote", client_id=acme)
    assert "website: https://acme.example.com → https://new.acme.example.com" in note["note"]
    assert notebook.keys == {f"halo:{acme}"}


async def test_nothing_is_written_where_nothing_differs(tenant: Tenant) -> None:
    plant(tenant)
    await tenant.finish(updated(NEWS))
    before = len(writes(tenant))

    result = await tenant.finish(updated(NEWS))

    assert result.changes == {}
    assert writes(tenant)[before:] == ["CRMNote"]


async def test_what_an_event_does_not_give_stays(tenant: Tenant) -> None:
    acme = plant(tenant, notes="Parhelion key: C-77" if tenant.dialect == "guide" else "Careful")
    before = client(tenant, acme)

    await tenant.finish(updated({"id": "C-77", "website": "", "notes": None, "phone": " "}))

    assert client(tenant, acme) == before


async def test_a_client_that_halopsa_does_not_have_is_left_to_its_won_deal(tenant: Tenant) -> None:
    result = await tenant.finish(updated(NEWS))

    assert (result.client_id, result.remarks) == (None, ["HaloPSA has no client Acme Holdings: nothing to update"])
    assert writes(tenant) == []


async def test_a_late_event_only_fills_in_what_is_missing(tenant: Tenant) -> None:
    acme = plant(tenant)

    result = await tenant.finish(updated(NEWS), Notebook(newer="r-2"))

    row = client(tenant, acme)
    assert (row["name"], row["website"]) == ("Acme Corporation", "https://acme.example.com")
    assert row["notes"].startswith("Moved to Chicago")
    assert "website stays as it is: a later event was there first" in result.remarks


@pytest.mark.parametrize("newer", [None, "r-2"])
async def test_a_client_that_the_crm_merged_is_found_by_its_key_of_old_and_by_the_new_one_from_then_on(
    tenant: Tenant, deal: dict[str, Any], newer: str | None
) -> None:
    acme = plant(tenant)
    merged = {"id": "C-1040", "name": "Acme Holdings", "merged_ids": ["C-1039", "C-77"]}

    result = await tenant.finish(updated(merged), Notebook(newer=newer))

    assert (result.client_id, result.changes["key"]) == (acme, ("C-77", "C-1040"))
    won = deal | {"deal": {"id": "D-2", "kind": "addition"}, "client": {"id": "C-1040", "name": "Acme, merged"}}
    assert (await tenant.finish(event("deal.won", won), Notebook("r-3"))).client_id == acme


@pytest.mark.parametrize("key", ["C-77", ""])
async def test_a_key_that_was_not_merged_stays(tenant: Tenant, key: str) -> None:
    acme = int(tenant.sandbox.plant("Client", tenant.keyed(key, name="Acme Corporation")))
    news = {"id": "C-77", "name": "Acme Corporation", "website": "new.acme.example.com"}

    result = await tenant.finish(updated(news | {"merged_ids": ["C-1039"]}))

    assert (result.client_id, list(result.changes)) == (acme, ["website"])


async def test_where_what_was_merged_are_two_clients_a_person_decides(tenant: Tenant) -> None:
    acme = plant(tenant)
    other = tenant.sandbox.plant("Client", tenant.keyed("C-1039", name="Acme East"))
    merged = updated({"id": "C-1039", "name": "Acme Holdings", "merged_ids": ["C-77"]})

    with pytest.raises(NeedsOperator, match="merged into one what are 2 clients in HaloPSA") as raised:
        await tenant.finish(merged)
    assert f"{acme} 'Acme Corporation' (key 'C-77'), {other} 'Acme East' (key 'C-1039')" in str(raised.value)
    assert writes(tenant) == []

    tenant.change("Client", other, **tenant.keyed("C-0"))
    assert (await tenant.finish(merged)).client_id == acme


async def test_the_policy_says_what_may_change(tenant: Tenant) -> None:
    acme = plant(tenant)
    rules = tenant.policy.update_client.model_copy(update={"fields": ("notes",)})
    tenant.policy = tenant.policy.model_copy(update={"update_client": rules})

    result = await tenant.finish(updated(NEWS))

    assert list(result.changes) == ["notes"]
    assert client(tenant, acme)["name"] == "Acme Corporation"


async def test_a_name_that_another_client_has_is_not_taken(tenant: Tenant) -> None:
    acme = plant(tenant)
    tenant.sandbox.plant("Client", {"name": "ACME Holdings"})

    result = await tenant.finish(updated({"id": "C-77", "name": "Acme Holdings"}))

    assert client(tenant, acme)["name"] == "Acme Corporation"
    assert result.remarks == ["name 'Acme Holdings' not set: another client has it"]


async def test_who_pays_and_who_stands_above_is_found_by_key_or_name(tenant: Tenant) -> None:
    acme = plant(tenant)
    group = tenant.sandbox.plant("Client", tenant.keyed("C-1", name="Acme Group"))

    await tenant.finish(updated({"id": "C-77", "parent_id": "C-1", "invoice_to": "acme group"}))
    result = await tenant.finish(updated({"id": "C-77", "parent_id": "C-404"}))

    row = client(tenant, acme)
    assert row["client_to_invoice"] == group
    assert tenant.dialect == "v2" or row["toplevel_id"] == group
    assert "C-404" in result.remarks[0]


async def test_a_client_does_not_stand_under_itself(tenant: Tenant) -> None:
    plant(tenant)

    result = await tenant.finish(updated({"id": "C-77", "parent_id": "C-77"}))

    assert (len(result.remarks), result.changes) == (1, {})


async def test_what_halopsa_has_no_entry_for_is_left_out_and_named(tenant: Tenant) -> None:
    acme = plant(tenant)

    result = await tenant.finish(updated(NEWS | {"account_manager_email": "nobody@msp.example"}))

    assert client(tenant, acme)["name"] == "Acme Holdings"
    assert any("account manager nobody@msp.example not set" in remark for remark in result.remarks)


async def test_halopsas_lists_and_custom_fields_are_used_where_it_has_them() -> None:
    tenant = Tenant(dialect="v2")
    acme = plant(tenant)

    result = await tenant.finish(
        updated({"id": "C-77", "type": "Prospect", "group": "Internal", "currency": "EUR", "custom_fields": {"x": 1}})
    )

    row = client(tenant, acme)
    assert (row["customertype"], row["toplevel_id"]) == (2, 2)
    assert "custom field x not set: HaloPSA's names begin with CF" in result.remarks


async def test_what_halopsa_ignores_in_silence_is_named() -> None:
    tenant = Tenant(dialect="v2")
    plant(tenant)
    fields = {"CFNoSuchField": "gold"}

    result = await tenant.finish(updated({"id": "C-77", "custom_fields": fields}))

    assert result.remarks == ["HaloPSA did not take CFNoSuchField"]


async def test_an_address_that_is_none_is_refused(tenant: Tenant) -> None:
    with pytest.raises(InvalidEvent, match="Invalid website URL"):
        await tenant.finish(updated({"id": "C-77", "website": "not a website"}))


@pytest.mark.parametrize("mishap", [*BEFORE, *AFTER])
@time_machine.travel(STARTED, tick=False)  # reports bear the time
async def test_whatever_goes_wrong_once_the_client_ends_the_same(dialect: Any, mishap: str) -> None:
    clean = Tenant(dialect=dialect)
    plant(clean)
    await clean.finish(updated(NEWS))
    for number in range(1, len(clean.wire.calls) + 1):
        tenant = Tenant(dialect=dialect)
        plant(tenant)
        tenant.wire.mishaps = {number: mishap}
        await tenant.finish(updated(NEWS))
        assert tenant.picture() == clean.picture(), f"{mishap} at {number}, {clean.wire.calls[number - 1]}"
