"""HaloPSA's unpleasant ways of listing and answering, one by one and all at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.unit.halo_caller import HaloCaller, calling
from workflows.sandbox import Faults, RateLimit, Sandbox


def plant(halo: HaloCaller, count: int) -> list[int]:
    return [halo.sandbox.plant("Tickets", {"summary": f"{n}", "client_id": 12}) for n in range(count)]


async def page(halo: HaloCaller, number: int, size: int = 4) -> Any:
    return await halo.get("Tickets", pageinate="true", page_no=number, page_size=size, order="id")


async def test_rows_that_shift_are_repeated_and_none_is_lost(halo: HaloCaller) -> None:
    tickets = plant(halo, 10)
    halo.sandbox.faults.shift_rows = True
    pages = [[row["id"] for row in (await page(halo, number))["tickets"]] for number in (1, 2, 3, 4)]
    assert pages == [tickets[:4], tickets[3:7], tickets[6:], tickets[9:]]


@pytest.mark.parametrize(("says", "count"), [("right", 10), ("missing", None), ("high", 13), ("low", 4)])
async def test_lists_may_say_another_number_of_rows(halo: HaloCaller, says: Any, count: int | None) -> None:
    plant(halo, 10)
    halo.sandbox.faults.record_count = says
    assert (await page(halo, 1)).get("record_count") == count


async def test_ids_come_in_every_form(halo: HaloCaller) -> None:
    tickets = plant(halo, 8)
    halo.sandbox.faults.mixed_ids = True
    rows = (await page(halo, 1, 8))["tickets"]
    assert {type(row["id"]) for row in rows} == {int, float, str}
    assert {str(row["id"])[-2:] for row in rows if isinstance(row["id"], str)} >= {".0"}
    assert [int(float(row["id"])) for row in rows] == tickets
    assert {type(row["summary"]) for row in rows} == {str}
    assert {type(status["id"]) for status in await halo.get("Status")} == {int, float, str}


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("string", '"Name is required"'),
        ("message", '{"Message":"Name is required"}'),
        ("exception", '{"ClassName":"System.Exception","Message":"Name is required"}'),
        ("result", '{"resultCode":1,"errorMessage":"Name is required"}'),
        ("error", '{"error":"invalid_request","error_description":"Name is required"}'),
        ("text", "Name is required"),
        ("empty", ""),
    ],
)
async def test_a_refusal_comes_in_the_chosen_form(halo: HaloCaller, form: Any, body: str) -> None:
    halo.sandbox.faults.refusal_form = form
    refused = await halo.http.post("/api/Client", json=[{}])
    assert (refused.status_code, refused.text) == (400, body)


async def test_a_refusal_may_come_in_each_form_in_turn(halo: HaloCaller) -> None:
    halo.sandbox.faults.refusal_form = "mixed"
    refused = {(await halo.http.post("/api/Client", json=[{}])).text for _ in range(12)}
    assert len(refused) == 6
    assert all("Name is required" in text for text in refused)


async def test_filters_can_be_ignored_by_name(halo: HaloCaller, acme: int) -> None:
    halo.sandbox.faults.ignore = frozenset({"client_id"})
    plant(halo, 2)
    assert (await halo.get("Tickets", client_id=acme))["record_count"] == 2
    assert (await halo.get("Tickets", client_id=acme, site_id=4711))["record_count"] == 0


@pytest.mark.parametrize("form", [lambda body: body, lambda body: body[0], lambda body: body["clients"][0]])
async def test_posts_may_answer_in_each_form_in_turn(halo: HaloCaller, form: Callable[[Any], Any]) -> None:
    halo.sandbox.faults.post_answer = "mixed"
    halo.sandbox.faults.post_status = 200
    answers = [await halo.post("Client", {"name": "Acme"}, status=200) for _ in range(3)]

    def fits(body: Any) -> bool:
        try:
            return bool(form(body)["name"] == "Acme")
        except (KeyError, TypeError):
            return False

    assert sum(map(fits, answers)) == 1


async def test_a_write_may_be_answered_without_its_id(halo: HaloCaller) -> None:
    halo.sandbox.faults.lose_ids = 1
    assert await halo.post("Client", {"name": "Acme"}, status=200) == {}
    assert halo.sandbox.state()["Client"][-1]["name"] == "Acme"
    assert halo.sandbox.injector.happened == {"lose_ids": 1}


async def test_a_write_may_succeed_with_a_warning(halo: HaloCaller, acme: int) -> None:
    halo.sandbox.faults.warnings = True
    assert (await halo.post("Client", {"id": acme, "website": "x"}))["_warning"]
    assert "_warning" not in await halo.get(f"Client/{acme}")


async def test_a_field_may_be_dropped_without_a_word(halo: HaloCaller) -> None:
    contract = (await halo.post("ClientContract", {"client_id": 12}))["id"]
    halo.sandbox.faults.drop_fields = frozenset({"ClientContract.end_date"})
    kept = await halo.post("ClientContract", {"id": contract, "end_date": "2026-12-31", "note": "x"})
    assert (kept["end_date"][:4], kept["note"]) == ("1899", "x")


async def test_a_first_contact_may_be_compulsory(halo: HaloCaller) -> None:
    halo.sandbox.faults.main_contact_required = True
    assert "Main Contact" in await halo.post("Client", {"name": "Acme"}, status=400)
    client = await halo.post("Client", {"name": "Acme", "newclient_contactname": "Ada"})
    await halo.post("Client", {"id": client["id"], "website": "x"})


async def test_a_proxy_may_fail_after_the_write(halo: HaloCaller) -> None:
    halo.sandbox.faults.fail_after = 1
    answer = await halo.http.post("/api/Client", json=[{"name": "Acme"}])
    assert (answer.status_code >= 500, answer.headers["content-type"]) == (True, "text/html")
    assert halo.sandbox.state()["Client"][-1]["name"] == "Acme"
    assert (await halo.http.get("/api/Client")).status_code == 200


async def test_exact_requests_are_too_many_or_find_their_token_expired(halo: HaloCaller) -> None:
    halo.sandbox.faults = Faults(limit_nth=frozenset({1}), expire_nth=frozenset({2}))
    assert (await halo.http.get("/api/Client")).status_code == 429
    assert (await halo.http.get("/api/Client")).status_code == 401
    await halo.sign_in()
    assert (await halo.http.get("/api/Client")).status_code == 200
    assert halo.sandbox.injector.happened == {"limit_nth": 1, "expire_nth": 1}


async def test_a_429_may_say_when_to_come_back() -> None:
    now = [datetime(2026, 11, 23, 9, tzinfo=UTC)]
    async with calling(Sandbox(clock=lambda: now[0])) as halo:
        halo.sandbox.faults.rate_limit = RateLimit(requests=1, window_s=10)
        halo.sandbox.faults.retry_after = True
        await halo.http.get("/api/Status")
        now[0] += timedelta(seconds=3.5)
        refused = await halo.http.get("/api/Status")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")


async def test_answers_are_counted_by_status(halo: HaloCaller) -> None:
    halo.sandbox.faults = Faults(limit_nth=frozenset({1, 2}), drop_nth=frozenset({4}))
    for _ in range(3):
        await halo.http.get("/api/Client")
    with pytest.raises(httpx.ReadError):
        await halo.http.get("/api/Client")
    counted = (await halo.http.get("/sandbox/answers")).json()
    assert counted == halo.sandbox.answers == {"200": 2, "429": 2, "lost": 1}


async def test_requests_can_be_looked_at_one_by_one(halo: HaloCaller) -> None:
    await halo.http.get("/api/Client?search=x")
    await halo.post("Client", {"name": ""}, status=400)
    token, first, second = (await halo.http.get("/sandbox/requests?detail=true")).json()
    assert (token["request"], token["body"]) == ("POST /auth/token", "")
    assert (first["request"], first["query"], first["status"]) == ("GET /api/Client", "search=x", 200)
    assert (second["body"], second["status"]) == ('[{"name":""}]', 400)


async def test_everything_unpleasant_is_switched_on_at_once(halo: HaloCaller) -> None:
    shown = (await halo.http.post("/sandbox/faults", json={"unpleasant": True, "seed": 7})).json()
    assert halo.sandbox.faults == Faults.unpleasant(seed=7)
    assert (shown["mixed_ids"], shown["refuse_inactive_writes"], shown["seed"]) == (True, False, 7)
    await halo.http.post("/sandbox/faults", json={"page_cap": 5})
    assert halo.sandbox.faults == Faults.unpleasant(seed=7, page_cap=5)
    await halo.http.post("/sandbox/faults", json={"unpleasant": False})
    assert halo.sandbox.faults == Faults()


def test_an_unpleasant_switch_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="nosiy"):
        Faults.unpleasant(nosiy=True)
