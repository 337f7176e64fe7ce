"""HaloPSA lists contracts without saying whether they roll on, and an agent may not read them by themselves.

What nobody knows is told, and the rest is done.
"""

from typing import Any

import pytest

from tests.memory_run import Notebook, restored
from tests.tenant import Tenant, event
from worker.errors import NeedsOperator
from workflows.policy import Policy
from workflows.report import DRAFT, Report
from workflows.sandbox import Faults

DENIED = frozenset({"GET /api/ClientContract/{id}"})
LEAVES = event("client.churned", {"client": {"id": "C-77"}, "last_service_day": "2026-12-31"})
BACK = event("client.reactivated", {"client": {"id": "C-77"}})


@pytest.fixture(params=["good day", "everything unpleasant"])
def faults(request: pytest.FixtureRequest) -> Faults:
    return Faults(deny=DENIED) if request.param == "good day" else Faults.unpleasant(deny=DENIED)


@pytest.fixture
def client_id(tenant: Tenant) -> int:
    return int(tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme")))


def plant_contract(tenant: Tenant, client_id: int, end: str, *, rolls: bool = True) -> int:
    dates = {"start_date": "2025-01-01T00:00:00", "end_date": f"{end}T00:00:00"}
    return int(tenant.sandbox.plant("ClientContract", {"client_id": client_id, "rollingcontract": rolls, **dates}))


def ends(tenant: Tenant, contract: int) -> tuple[str, bool]:
    (row,) = tenant.rows("ClientContract", id=contract)
    return row["end_date"][:10], row["rollingcontract"]


async def churn(tenant: Tenant, notebook: Notebook | None = None, **policy: Any) -> Report:
    notebook = notebook or Notebook()
    tenant.policy = Policy.model_validate({"churn_client": policy})
    await tenant.finish(LEAVES, notebook)
    return Report.model_validate(restored(notebook, DRAFT))


@pytest.mark.parametrize("end", ["2026-06-30", "2026-12-31", "2028-06-30"])
async def test_a_contract_that_may_roll_ends_on_the_last_service_day_and_is_named(
    tenant: Tenant, client_id: int, end: str
) -> None:
    contract = plant_contract(tenant, client_id, end)
    over = plant_contract(tenant, client_id, "2025-12-31", rolls=False)
    report = await churn(tenant)

    assert (ends(tenant, contract), ends(tenant, over)) == (("2026-12-31", False), ("2025-12-31", False))
    assert [remark for remark in report.remarks if "could not be read: whether contract" in remark] == [
        f"look yourself, it could not be read: whether contract {contract} rolls on, and what is prepaid"
    ]


async def test_finance_is_told_what_it_has_to_look_up(tenant: Tenant, client_id: int) -> None:
    contract = plant_contract(tenant, client_id, "2026-06-30")
    report = await churn(tenant)

    (told,) = [remark for remark in report.remarks if remark.startswith(f"Contract {contract}")]
    assert told.endswith("to 2026-06-30, whether it rolls: look yourself, what is prepaid: look yourself")


async def test_a_contract_that_is_only_reported_is_named_too(tenant: Tenant, client_id: int) -> None:
    contract = plant_contract(tenant, client_id, "2026-06-30")
    report = await churn(tenant, contracts="report")

    assert ends(tenant, contract) == ("2026-06-30", True)
    assert any(f"whether contract {contract} rolls on" in remark for remark in report.remarks)


@pytest.mark.parametrize("silent", [{"lose_ids": 1}, {"drop_fields": {"ClientContract.rollingcontract"}}])
async def test_what_no_answer_shows_as_ended_is_no_success_in_silence(
    tenant: Tenant, client_id: int, silent: dict[str, Any]
) -> None:
    contracts = [plant_contract(tenant, client_id, "2028-06-30") for _ in range(2)]
    tenant.sandbox.faults = Faults.model_validate(tenant.sandbox.faults.model_dump() | silent)
    notebook = Notebook()
    report = await churn(tenant, notebook)

    told = f"roll on could not be read back: contract {contracts[0]}, {contracts[1]}; look at them"
    assert told in notebook.remarks["verify:remark"]
    assert any(told in remark for remark in report.remarks)


async def test_what_an_answer_shows_as_ended_is_proven(tenant: Tenant, client_id: int) -> None:
    plant_contract(tenant, client_id, "2028-06-30")
    tenant.sandbox.faults = Faults(deny=DENIED)
    notebook = Notebook()
    await churn(tenant, notebook)

    assert "verify:remark" not in notebook.remarks


async def test_where_it_can_be_read_a_contract_that_still_rolls_is_a_failure(tenant: Tenant, client_id: int) -> None:
    contract = plant_contract(tenant, client_id, "2028-06-30")
    tenant.sandbox.faults = Faults(drop_fields=frozenset({"ClientContract.rollingcontract"}))

    with pytest.raises(NeedsOperator, match=f"HaloPSA still shows: contract {contract} runs on"):
        await churn(tenant)


async def test_after_a_win_back_a_person_says_whether_a_contract_rolled(tenant: Tenant, client_id: int) -> None:
    contract = plant_contract(tenant, client_id, "2028-06-30")
    await churn(tenant)
    result = await tenant.finish(BACK, Notebook(run="r-2"))

    assert ends(tenant, contract) == ("2028-06-30", False)
    assert result.remarks == [f"contract {contract}: nothing says what rolling was before"]


async def test_what_was_known_at_the_end_is_brought_back_and_looked_at_by_a_person(
    tenant: Tenant, client_id: int
) -> None:
    contract = plant_contract(tenant, client_id, "2028-06-30")
    denied, tenant.sandbox.faults = tenant.sandbox.faults, Faults()
    await churn(tenant)
    tenant.sandbox.faults = denied
    result = await tenant.finish(BACK, Notebook(run="r-2"))

    assert ends(tenant, contract) == ("2028-06-30", True)
    assert result.remarks == [f"contract {contract}: rolling could not be read; it is to be True: look yourself"]


@pytest.mark.parametrize("rolls", [True, False])
async def test_a_forerunner_that_may_roll_on_beside_its_successor_is_named(
    tenant: Tenant, client_id: int, *, rolls: bool
) -> None:
    contract = plant_contract(tenant, client_id, "2027-01-31", rolls=rolls)
    deal = {"id": "D-2", "kind": "renewal", "contract": {"term_months": 12}}
    result = await tenant.finish(event("deal.won", {"deal": deal, "client": {"id": "C-77", "name": "Acme"}}))

    whether = f"whether contract {contract} rolls on beside its successor could not be read: end it if so"
    assert whether in result.remarks
