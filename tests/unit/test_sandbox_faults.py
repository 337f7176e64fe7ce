"""Every misbehaviour of the sandbox can be switched on, and is counted."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.halo_caller import CREDENTIALS, calling
from workflows.sandbox import Faults, RateLimit, Sandbox


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Sandbox:
    return Sandbox(clock=clock)


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(sandbox) as caller:
        yield caller.http


async def create(http: httpx.AsyncClient, name: str = "Acme") -> httpx.Response:
    return await http.post("/api/Client", json=[{"name": name}])


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def names(sandbox: Sandbox) -> list[str]:
    return [client["name"] for client in sandbox.state()["Client"]]


@pytest.mark.parametrize(("form", "id_path"), [("object", []), ("array", [0]), ("envelope", ["clients", 0])])
async def test_a_post_answers_in_the_chosen_form(
    http: httpx.AsyncClient, sandbox: Sandbox, form: Any, id_path: list[Any]
) -> None:
    sandbox.faults.post_answer = form
    found = (await create(http)).json()
    for step in id_path:
        found = found[step]
    assert found["name"] == "Acme"


async def test_the_page_cap_holds_for_every_list(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.faults.page_cap = 1
    answer = (await http.get("/api/Client?pageinate=true&page_size=50")).json()
    assert (len(answer["clients"]), answer["record_count"], answer["page_size"]) == (1, 2, 1)


async def test_an_ignored_search_finds_everything(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.faults.ignore_search = True
    assert (await http.get("/api/Client?search=nothing")).json()["record_count"] == 2


async def test_an_inactive_client_refuses_writes_but_its_reactivation(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    client = sandbox.plant("Client", {"name": "Acme", "inactive": True})
    ticket = sandbox.plant("Tickets", {"summary": "x", "client_id": client})
    sandbox.faults.refuse_inactive_writes = True
    refused = {
        "Client": {"id": client, "website": "x"},
        "Site": {"client_id": client, "name": "HQ"},
        "Users": {"site_id": sandbox.store["Client"].rows[client]["main_site_id"], "name": "Ada"},
        "Tickets": {"id": ticket, "agent_id": 4},
        "Actions": {"ticket_id": ticket, "outcome_id": 7},
    }
    for entity, record in refused.items():
        assert (await http.post(f"/api/{entity}", json=[record])).status_code == 400, entity
    assert (await http.post("/api/Client", json=[{"id": client, "inactive": False}])).status_code == 201
    assert (await http.post("/api/Site", json=[refused["Site"]])).status_code == 201
    assert (await create(http, "Other")).status_code == 201


async def test_latency_delays_the_answer(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.faults.latency_ms = 60_000
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await create(http)
    assert names(sandbox) == ["Example MSP", "Unknown"]


async def test_a_search_may_be_slower_than_the_rest(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.faults.search_latency_ms = 60_000
    assert (await http.get("/api/Client")).status_code == 200
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await http.get("/api/Client?search=x")


async def test_the_rate_limit_rolls_and_says_no_more_than_halopsa_does(
    http: httpx.AsyncClient, sandbox: Sandbox, clock: Clock
) -> None:
    sandbox.faults.rate_limit = RateLimit(requests=2, window_s=10)
    await http.get("/api/Status")
    clock.now += timedelta(seconds=6)
    await http.get("/api/Status")
    refused = await http.get("/api/Status")
    assert (refused.status_code, "retry-after" in refused.headers) == (429, False)
    assert refused.text == "Rate Limit Reached - 300 Requests per rolling 5 minute window"
    assert (await http.post("/auth/token", data=CREDENTIALS)).status_code == 429
    clock.now += timedelta(seconds=4)
    assert (await http.get("/api/Status")).status_code == 200
    assert (await http.get("/api/Status")).status_code == 429
    assert sandbox.injector.happened["rate_limit"] == 3


async def test_a_lost_answer_is_lost_after_the_write(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.faults.lose_answers = 1
    with pytest.raises(httpx.ReadError):
        await create(http)
    assert "Acme" in names(sandbox)
    assert (await http.get("/api/Client")).status_code == 200
    assert (await http.post("/api/Client", json=[{}])).status_code == 400
    assert sandbox.injector.happened == {"lose_answers": 1}


async def test_a_failure_before_does_nothing(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.faults.fail_before = 1
    answer = await create(http)
    assert answer.status_code in (500, 502)
    assert answer.headers["content-type"] == "text/html"
    assert "Acme" not in names(sandbox)


async def test_exact_requests_fail_or_lose_their_answer(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.faults = Faults(fail_nth=frozenset({1}), drop_nth=frozenset({2, 3}))
    assert (await create(http)).status_code >= 500
    with pytest.raises(httpx.ReadError):
        await create(http)
    with pytest.raises(httpx.ReadError):
        await http.get("/api/Client")
    assert (await create(http, "Beta")).status_code == 201
    assert names(sandbox)[2:] == ["Acme", "Beta"]
    assert sandbox.injector.happened == {"fail_nth": 1, "drop_nth": 2}


async def test_expired_tokens_are_invalid_once(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.faults.expire_tokens = True
    assert (await http.get("/api/Client")).status_code == 401
    granted = await http.post("/auth/token", data=CREDENTIALS)
    http.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"
    assert (await http.get("/api/Client")).status_code == 200


async def test_shares_repeat_by_their_seed(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    async def outcomes(seed: int) -> list[int]:
        sandbox.faults = Faults(fail_before=0.5, seed=seed)
        return [(await http.get("/api/Status")).status_code for _ in range(20)]

    assert await outcomes(7) == await outcomes(7) != await outcomes(8)


# Control


async def test_requests_are_counted_however_they_are_spelt(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    await create(http)
    for path in ("/api/client/1", "/api/Client/12", "/api/STATUS", "/api/Nothing"):
        await http.get(path)
    counted = (await http.get("/sandbox/requests")).json()
    assert counted == sandbox.requests
    assert counted == {
        "POST /auth/token": 1,
        "POST /api/Client": 1,
        "GET /api/Client/{id}": 2,
        "GET /api/Status": 1,
        "GET /api/Nothing": 1,
    }


async def test_faults_switch_over_http(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    await http.post("/sandbox/faults", json={"page_cap": 10})
    shown = (await http.post("/sandbox/faults", json={"rate_limit": {"requests": 9}, "drop_nth": [3]})).json()
    assert shown == (await http.get("/sandbox/faults")).json()
    assert (shown["page_cap"], shown["rate_limit"], shown["drop_nth"]) == (10, {"requests": 9, "window_s": 300}, [3])
    assert sandbox.faults.rate_limit == RateLimit(requests=9)


@pytest.mark.parametrize(
    "body", [b'{"page_cpa":1}', b'{"lose_answers":2}', b'{"rate_limit":{"per":1}}', b'{"unpleasant":[]}', b"[]", b"{"]
)
async def test_wrong_switches_change_nothing(http: httpx.AsyncClient, sandbox: Sandbox, body: bytes) -> None:
    assert (await http.post("/sandbox/faults", content=body)).status_code == 400
    assert sandbox.faults == Faults()


async def test_records_are_planted_over_http(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    planted = await http.post(
        "/sandbox/seed",
        json={
            "Client": [{"id": 29, "name": "Acme", "inactive": True}],
            "Tickets": [{"summary": "x", "client_id": 29, "hasbeenclosed": True}],
            "Status": [{"id": 30, "name": "Waiting"}],
        },
    )
    assert planted.json() == {"Client": [29], "Tickets": [2001], "Status": [30]}
    state = (await http.get("/sandbox/state")).json()
    assert state["Tickets"][0]["hasbeenclosed"]
    assert [site["client_id"] for site in state["Site"]] == [1, 12, 29]
    assert state == sandbox.state()
    assert (await http.get("/api/Site?client_id=29")).json()["record_count"] == 1


def test_a_planted_set_up_row_replaces_the_one_with_its_id(sandbox: Sandbox) -> None:
    sandbox.plant("Agent", {"id": 4, "name": "API Agent", "isdisabled": True})
    assert [row["isdisabled"] for row in sandbox.state()["Agent"] if row["name"] == "API Agent"] == [True]


def test_new_ids_come_after_every_planted_one(sandbox: Sandbox) -> None:
    planted = [sandbox.plant("Client", {"id": 29, "name": "A"}), sandbox.plant("Client", {"id": 5, "name": "B"})]
    assert [*planted, sandbox.plant("Client", {"name": "C"})] == [29, 5, 30]


@pytest.mark.parametrize(
    "seed",
    [{"Ticket": [{}]}, {"Tickets": [{}]}, {"Tickets": 1}, {"Client": [{"id": 1, "name": "x"}]}, {"Status": [{}]}],
)
async def test_what_cannot_be_planted_is_refused(http: httpx.AsyncClient, seed: dict[str, Any]) -> None:
    assert (await http.post("/sandbox/seed", json=seed)).status_code == 400


async def test_reset_begins_anew(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    await create(http)
    sandbox.faults.page_cap = 1
    await http.post("/sandbox/reset")
    assert names(sandbox) == ["Example MSP", "Unknown"]
    assert (sandbox.faults, sandbox.requests) == (Faults(), {})
    assert (await http.get("/api/Client")).status_code == 401


# State


async def test_the_state_outlives_the_process(tmp_path: Path) -> None:
    kept = tmp_path / "halo.json"
    first = Sandbox(kept)
    async with calling(first) as halo:
        client = (await create(halo.http)).json()
        assert json.loads(kept.read_text()) == first.state() | {"dialect": "v2"}
        await halo.post("Client", {"id": client["id"], "inactive": True})
    second = Sandbox(kept)
    assert second.state() == first.state()
    assert second.plant("Client", {"name": "Beta"}) == client["id"] + 1
    assert files_in(tmp_path) == [kept]


@pytest.mark.parametrize("text", ["{", '{"Nothing": []}', '{"dialect": "v3"}'])
def test_an_unreadable_state_is_not_overwritten(tmp_path: Path, text: str) -> None:
    kept = tmp_path / "halo.json"
    kept.write_text(text)
    with pytest.raises(ValueError, match=r".+"):
        Sandbox(kept)
    assert kept.read_text() == text


def test_a_state_once_taken_does_not_change(sandbox: Sandbox) -> None:
    before = sandbox.state()
    sandbox.store["Client"].rows[12]["name"] = "Changed"
    assert before["Client"][1]["name"] == "Unknown"


async def test_a_kind_of_request_can_be_refused_with_a_text(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.faults.refuse = {"POST /api/Client": "No such customer type"}
    refused = await create(http)
    sandbox.faults.refuse = {}
    accepted = await create(http)

    assert (refused.status_code, refused.json()) == (400, "No such customer type")
    assert accepted.status_code == 201
    assert sandbox.injector.happened == {"refuse": 1}


async def test_a_kind_of_request_can_be_forbidden(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.faults.forbid = frozenset({"POST /api/Client"})
    forbidden = await create(http)

    assert (forbidden.status_code, forbidden.content) == (403, b"")
    assert "Acme" not in names(sandbox)
    assert sandbox.injector.happened == {"forbid": 1}
