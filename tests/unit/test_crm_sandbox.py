"""The CRMs' look-alikes over HTTP: planted, switched, and as refusing as the CRMs are."""

from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import httpx
import pytest

from workflows.sandbox import Sandbox, sandbox_app

HUBSPOT = {"authorization": "Bearer sandbox-token"}
PIPEDRIVE = {"x-api-token": "sandbox-token"}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(sandbox_app(Sandbox()))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.test") as client:
        acme = files("workflows.sandbox.crm").joinpath("acme.json").read_text(encoding="utf-8")
        planted = await client.post("/sandbox/seed", content=acme)
        assert planted.json()["hubspot.deals"] == ["18342601337"]
        yield client


async def deal(http: httpx.AsyncClient, **query: str) -> Any:
    answer = await http.get("/hubspot/crm/v3/objects/deals/18342601337", params=query, headers=HUBSPOT)
    assert answer.status_code == 200
    return answer.json()


async def test_hubspot_gives_what_is_asked_for_all_values_as_text(http: httpx.AsyncClient) -> None:
    shown = await deal(http, properties="amount,unknown")

    assert shown["properties"] == {"amount": "24000", "unknown": None}
    assert "associations" not in shown


async def test_hubspot_names_a_company_once_for_each_association(http: httpx.AsyncClient) -> None:
    shown = await deal(http, associations="companies,contacts")

    assert [one["id"] for one in shown["associations"]["companies"]["results"]] == ["9045672210", "9045672210"]
    assert len(shown["associations"]["contacts"]["results"]) == 1


async def test_hubspots_batch_has_a_bound_and_no_associations(http: httpx.AsyncClient) -> None:
    async def read(*ids: str) -> httpx.Response:
        body = {"properties": ["name"], "inputs": [{"id": one} for one in ids]}
        return await http.post("/hubspot/crm/v3/objects/companies/batch/read", json=body, headers=HUBSPOT)

    (row,) = (await read("9045672210", "404")).json()["results"]
    assert row["properties"] == {"name": "Acme Corporation"}
    assert "associations" not in row
    assert (await read(*map(str, range(101)))).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/hubspot/crm/v3/pipelines/deals",
        "/pipedrive/api/v2/deals/1",
        "/salesforce/services/data/v60.0/query",
        "/dynamics/api/data/v9.2/WhoAmI",
        "/zoho/crm/v7/Deals/1",
    ],
)
async def test_nothing_is_told_without_a_token(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 401


@pytest.mark.parametrize(
    "path", ["/salesforce/services/oauth2/token", "/dynamics/tenant/oauth2/v2.0/token", "/zoho/oauth/v2/token"]
)
async def test_a_token_takes_the_secret(http: httpx.AsyncClient, path: str) -> None:
    granted = await http.post(path, data={"client_secret": "sandbox-secret"})
    refused = await http.post(path, data={"client_secret": "wrong"})

    assert granted.json()["access_token"] == "sandbox-token"
    assert refused.status_code == 401


async def test_faults_are_switched_for_one_crm(http: httpx.AsyncClient) -> None:
    switched = await http.post("/sandbox/crm/faults", json={"hubspot": {"limit_nth": [1], "retry_after": 9}})
    assert switched.status_code == 200

    limited = await http.get("/hubspot/crm/v3/pipelines/deals", headers=HUBSPOT)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "9")
    assert (await http.get("/hubspot/crm/v3/pipelines/deals", headers=HUBSPOT)).status_code == 200
    assert (await http.get("/pipedrive/v1/users/me", headers=PIPEDRIVE)).status_code == 200


async def test_an_unknown_fault_or_crm_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.post("/sandbox/crm/faults", json={"hubspot": {"limit": 1}})).status_code == 400
    assert (await http.post("/sandbox/seed", json={"close.deals": [{"id": "1"}]})).status_code == 400


async def test_a_reset_forgets_what_was_planted_and_asked(http: httpx.AsyncClient) -> None:
    await deal(http)
    assert (await http.get("/sandbox/crm/requests")).json() == {"GET /hubspot/crm/v3/objects/deals/18342601337": 1}

    await http.post("/sandbox/reset")

    assert (await http.get("/sandbox/crm/requests")).json() == {}
    assert "hubspot.deals" not in (await http.get("/sandbox/crm")).json()
