"""What an onboarding made is read back, unless HaloPSA's answers showed it."""

import json
from typing import Any

import httpx
import pytest

from tests.memory_run import Notebook
from tests.tenant import DAYS, Tenant, Wire, event
from worker.errors import NeedsOperator
from workflows.sandbox import Faults
from workflows.sandbox.halopsa.dialects import DialectName


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


@pytest.fixture
def deal(deal: dict[str, Any]) -> dict[str, Any]:
    """A won deal that its event calls a new one."""
    deal["deal"]["kind"] = "new"
    return deal


def acme(tenant: Tenant) -> dict[str, Any]:
    (client,) = tenant.rows("Client", name="Acme Corporation")
    return client


def people(tenant: Tenant, client_id: int) -> list[dict[str, Any]]:
    return [user for user in tenant.rows("Users", client_id=client_id) if user["name"] != "General User"]


async def test_what_was_made_must_be_seen_again(tenant: Tenant, deal: dict[str, Any]) -> None:
    notebook = Notebook()
    await tenant.finish(event("deal.won", deal), notebook)
    for step in ("verify", "report:draft", "report"):
        del notebook.steps[step]
    john = "contact:john.smith@acme.example.com"
    notebook.steps[john] = notebook.steps[john].replace(b'"shown":true', b'"shown":false')
    for user in people(tenant, acme(tenant)["id"]):
        tenant.sandbox.store["Users"].remove(user)

    with pytest.raises(NeedsOperator, match="contact"):
        await tenant.finish(event("deal.won", deal), notebook)


@pytest.mark.parametrize("known", [True, False])
async def test_a_key_that_halopsa_drops_without_a_word_needs_a_person(
    dialect: DialectName, deal: dict[str, Any], *, known: bool
) -> None:
    tenant = Tenant(dialect=dialect)
    if known:
        tenant.sandbox.plant("Client", {"name": "Acme Corporation"})
    tenant.sandbox.faults.drop_fields = frozenset({"Client.ref", "Client.notes"})
    notebook = Notebook()
    with pytest.raises(NeedsOperator, match=r"no key on client .* where 'C-77' was written") as raised:
        await tenant.finish(event("deal.won", deal), notebook)
    assert "external_key under [halopsa]" in raised.value.mend

    tenant.sandbox.faults.drop_fields = frozenset()
    tenant.change("Client", acme(tenant)["id"], **tenant.keyed("C-77"))
    assert (await tenant.finish(event("deal.won", deal), notebook)).client_id == acme(tenant)["id"]


class TerseAnswers(Wire):
    """HaloPSA answers a POST with the record's id alone."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.method != "POST" or not response.is_success or not request.url.path.startswith("/api/"):
            return response
        answer = json.loads(await response.aread())
        row = answer if "id" in answer else next(held for held in answer.values() if isinstance(held, list))[0]
        return httpx.Response(201, json={"id": row["id"]})


@pytest.mark.parametrize(("entity", "what"), [("Client", "Client"), ("Site", "site"), ("Asset", "asset")])
async def test_what_no_answer_showed_is_read_back_once(
    dialect: DialectName, deal: dict[str, Any], entity: str, what: str
) -> None:
    deal["sites"].append({"key": "depot", "name": "Depot"})
    deal["assets"] = [{"tag": "LT-0042", "type": "laptop"}]
    tenant = Tenant(dialect=dialect)
    tenant.wire = TerseAnswers(tenant.sandbox)
    tenant.restart()
    notebook = Notebook()
    made = await tenant.finish(event("deal.won", deal), notebook)
    reads = [call for call in tenant.wire.calls if call.startswith("GET")]
    assert reads.count(f"GET /api/Client/{made.client_id}") == reads.count("GET /api/Asset") == 1

    del notebook.steps["verify"]
    gone = {"Client": made.client_id, "Site": made.site_ids[-1], "Asset": made.asset_ids[0]}[entity]
    tenant.sandbox.store[entity].remove(tenant.sandbox.store[entity].rows[gone])
    with pytest.raises(NeedsOperator, match=f"{what}.*{gone}"):
        await tenant.finish(event("deal.won", deal), notebook)
