"""The RMM is told that a client has left, and never twice."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.memory_run import STARTED, MemoryRun, Notebook
from tests.tenant import Crash, Tenant, event
from worker.assemble.checks import check_worker
from worker.budget import WaitingGuard
from worker.errors import NeedsOperator
from worker.planned_run import Plan, PlannedRun, draw_up
from worker.settings import BadSettings, Settings
from workflows.churn_client import Churned, churn_client
from workflows.msp import Msp, msp_for_plan
from workflows.policy import Policy
from workflows.rmm import RmmWebhook

WEBHOOK = "https://rmm.example/hooks/hush"
LEAVES = event("client.churned", {"client": {"id": "C-77"}, "last_service_day": "2026-12-31", "reason": "moved"})
POLICY = Policy.model_validate({"churn_client": {"rmm": "webhook"}})


class Hook:
    """The RMM's webhook; `answers` are given one after the other, the last one for ever."""

    def __init__(self, *answers: Callable[[], httpx.Response]) -> None:
        self.notices: list[bytes] = []
        self._answers = list(answers)
        self.webhook = RmmWebhook(WEBHOOK, httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == WEBHOOK
        self.notices.append(request.content)
        return (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])()


def answered(status: int) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(status)


def unreachable() -> httpx.Response:
    raise httpx.ConnectError("refused")


def lost() -> httpx.Response:
    raise httpx.ReadError("connection reset")


def crashed() -> httpx.Response:
    raise Crash


@pytest.fixture
def tenant() -> Tenant:
    tenant = Tenant()
    client = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme"))
    tenant.sandbox.plant("Tickets", {"client_id": client, "summary": "open"})
    tenant.sandbox.plant("Asset", {"client_id": client, "inventory_number": "PC-1", "assettype_id": 131})
    return tenant


async def churn(tenant: Tenant, hook: Hook | None, notebook: Notebook) -> Churned:
    notebook.clock = datetime(2027, 1, 2, tzinfo=UTC)
    run = MemoryRun(notebook)
    rmm = hook.webhook.for_run(run) if hook else None
    return await churn_client(run, Msp(tenant.connection.for_run(run), POLICY, rmm=rmm), LEAVES)


async def test_the_rmm_is_told_who_has_left_and_when(tenant: Tenant) -> None:
    hook = Hook(answered(204))
    result = await churn(tenant, hook, Notebook())

    (notice,) = hook.notices
    assert json.loads(notice) == {
        "type": "client.left",
        "run": "r-1",
        "client": {"halopsa_id": result.client_id, "name": "Acme", "id": "C-77"},
        "last_service_day": "2026-12-31",
        "reason": "moved",
        "asset_ids": result.asset_ids,
    }
    assert "RMM: asked: its webhook was told" in tenant.rows("CRMNote")[-1]["note"]


@pytest.mark.parametrize("outcome", [lost, answered(502), crashed])
async def test_what_may_have_arrived_is_not_told_again(tenant: Tenant, outcome: Callable[[], httpx.Response]) -> None:
    hook, notebook = Hook(outcome), Notebook()
    with pytest.raises((NeedsOperator, Crash)):
        await churn(tenant, hook, notebook)
    with pytest.raises(NeedsOperator, match="It is not known whether the RMM was told") as ended:
        await churn(tenant, hook, notebook)
    assert "hush" not in str(ended.value)
    assert len(hook.notices) == 1
    assert not tenant.rows("Tickets", hasbeenclosed=False)

    notebook.steps["rmm:1"] = b"{}"  # as an operator marks it done
    await churn(tenant, hook, notebook)
    assert len(hook.notices) == 1


@pytest.mark.parametrize(
    ("refusal", "told"), [(answered(401), "answered 401"), (unreachable, "cannot be reached (ConnectError)")]
)
async def test_what_the_rmm_refused_is_told_again_when_the_run_goes_on(
    tenant: Tenant, refusal: Callable[[], httpx.Response], told: str
) -> None:
    hook, notebook = Hook(refusal, refusal, answered(200)), Notebook()
    for tries in (1, 2):
        with pytest.raises(NeedsOperator) as ended:
            await churn(tenant, hook, notebook)
        assert told in str(ended.value)
        assert len(hook.notices) == tries

    await churn(tenant, hook, notebook)
    assert len(hook.notices) == 3


async def test_without_an_address_the_rest_is_done_and_that_is_named(tenant: Tenant) -> None:
    with pytest.raises(NeedsOperator, match="PARHELION_RMM_WEBHOOK_URL is not set"):
        await churn(tenant, None, Notebook())
    assert not tenant.rows("Tickets", hasbeenclosed=False)


async def test_a_plan_shows_the_notice_and_tells_nobody(tenant: Tenant) -> None:
    plan = Plan("churn_client", "Acme")
    run = PlannedRun(plan, WaitingGuard(None, bulk=False), id="r-1", now=STARTED)
    await draw_up(plan, churn_client, run, msp_for_plan(tenant.connection, POLICY, run, run.note), LEAVES)

    assert plan.problem is None
    (write,) = [write for write in plan.writes if write["step"] == "rmm:1"]
    assert (write["path"], write["body"]["type"]) == ("the RMM's webhook", "client.left")


def test_a_worker_does_not_start_without_the_address_that_its_policy_needs(tmp_path: Path) -> None:
    rules = tmp_path / "parhelion.toml"
    rules.write_text('[churn_client]\nrmm = "webhook"\n')
    with pytest.raises(BadSettings, match="PARHELION_RMM_WEBHOOK_URL: is not set"):
        check_worker(Settings(config=rules, halo_url="https://halo.example", halo_client_id="x"))
