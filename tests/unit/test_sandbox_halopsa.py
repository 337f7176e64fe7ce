"""The look-alike reads, refuses and answers as integrations report of real tenants."""

from datetime import timedelta

import pytest

from tests.unit.conftest import NOW
from tests.unit.halo_caller import CREDENTIALS, HaloCaller, calling
from workflows.sandbox import Sandbox
from workflows.sandbox.halopsa.fields import FIELDS


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"scope": "read:customers read:teams"}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_faulty_token_requests_are_refused(
    halo: HaloCaller, change: dict[str, str], status: int, error: str
) -> None:
    answer = await halo.http.post("/auth/token", data=CREDENTIALS | change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_an_unknown_tenant_is_a_server_error(halo: HaloCaller) -> None:
    answer = await halo.http.post("/auth/token?tenant=nobody", data=CREDENTIALS)
    assert (answer.status_code, answer.text) == (500, "")


async def test_authinfo_tells_where_to_sign_in_without_a_token(halo: HaloCaller) -> None:
    del halo.http.headers["Authorization"]
    assert await halo.get("AuthInfo") == {"auth_url": "http://halo.test/auth", "tenant_id": "sandbox"}


async def test_without_a_valid_token_there_is_nothing(halo: HaloCaller) -> None:
    halo.http.headers["Authorization"] = "Bearer other"
    answer = await halo.http.get("/api/Client")
    assert (answer.status_code, answer.text) == (401, "")


async def test_tokens_expire() -> None:
    times = [NOW]
    async with calling(Sandbox(clock=lambda: times[0])) as halo:
        times[0] += timedelta(hours=1)
        assert (await halo.http.get("/api/Client")).status_code == 401


async def test_a_bare_object_is_refused(halo: HaloCaller) -> None:
    answer = await halo.http.post("/api/Client", json={"name": "Acme"})
    assert answer.status_code == 400
    assert "requires a JSON array" in answer.json()


@pytest.mark.parametrize("body", [b"{", b"[1]", b"[]", b'[{"id":null}]', b'[{"name":"A","paymentterms":"soon"}]'])
async def test_unreadable_bodies_are_refused(halo: HaloCaller, body: bytes) -> None:
    assert (await halo.http.post("/api/Client", content=body)).status_code == 400


@pytest.mark.parametrize(
    ("entity", "fields"),
    [
        ("Users", '"name":"x","site_id":NaN'),
        ("Site", '"name":"x","client_id":1e400'),
        ("Client", '"name":"x","new_external_link":{"module_id":[1]}'),
        ("ClientContract", '"client_id":12,"start_date":"0001-01-01T00:00:00+14:00"'),
        ("ClientContract", '"client_id":12,"end_date":"soon"'),
        ("Notification", '"webhook_id":[1]'),
    ],
)
async def test_values_that_make_no_sense_are_refused_and_leave_no_trace(
    halo: HaloCaller, entity: str, fields: str
) -> None:
    before = halo.sandbox.state()
    assert (await halo.http.post(f"/api/{entity}", content=f"[{{{fields}}}]")).status_code == 400
    assert halo.sandbox.state() == before


async def test_custom_fields_that_are_none_are_dropped(halo: HaloCaller) -> None:
    sent = [1, {"id": [1], "value": 2}, {"name": "CFCrmId", "value": "C-77"}]
    [kept] = (await halo.post("Client", {"name": "Acme", "customfields": sent}))["customfields"]
    assert kept["value"] == "C-77"


async def test_a_float_is_no_integer(halo: HaloCaller) -> None:
    assert "Input string '95.0' is not a valid integer" in await halo.post(
        "Tickets", {"summary": "x", "client_id": 95.0}, status=400
    )


async def test_unknown_names_are_dropped_without_a_word(halo: HaloCaller) -> None:
    client = await halo.post("Client", {"name": "Acme", "emailaddress": "a@acme.example", "accountmanager_id": 3})
    assert not client.keys() & {"emailaddress", "accountmanager_id"}


async def test_computed_and_passing_fields_cannot_be_set(halo: HaloCaller, acme: int) -> None:
    ticket = await halo.post("Tickets", {"summary": "x", "client_id": acme, "hasbeenclosed": True, "_warning": "x"})
    assert (ticket["hasbeenclosed"], "_warning" in ticket) == (False, False)


async def test_an_update_changes_only_what_was_sent(halo: HaloCaller) -> None:
    client = await halo.post("Client", {"name": "Acme", "website": "https://acme.example"})
    await halo.post("Client", {"id": client["id"], "inactive": True})
    assert await halo.get(f"Client/{client['id']}") == client | {"inactive": True}


async def test_an_unknown_id_is_not_found(halo: HaloCaller) -> None:
    assert await halo.post("Client", {"id": 4711, "name": "Acme"}, status=400) == "Record not found"
    answer = await halo.http.get("/api/Client/4711")
    assert (answer.status_code, answer.text) == (404, "")


async def test_a_post_without_id_always_creates(halo: HaloCaller) -> None:
    first, second = [await halo.post("Client", {"name": "Acme", "ref": "C-77"}) for _ in range(2)]
    assert first["id"] != second["id"]


async def test_a_post_answers_the_last_object_only(halo: HaloCaller) -> None:
    assert (await halo.post("Client", {"name": "One"}, {"name": "Two"}))["name"] == "Two"
    both = await halo.post("Client", {"name": "Three"}, {"name": "Four"}, query="?returnall=true")
    assert [client["name"] for client in both] == ["Three", "Four"]


async def test_a_refused_element_undoes_the_whole_request(halo: HaloCaller, acme: int) -> None:
    before = halo.sandbox.state()
    await halo.post("Client", {"name": "One"}, {"id": acme, "name": "Changed"}, {"website": "x"}, status=400)
    assert halo.sandbox.state() == before
    assert (await halo.get("Site", client_id=acme))["record_count"] == 1


async def test_or_what_stood_before_it_stays(halo: HaloCaller) -> None:
    halo.sandbox.faults.array_refusal = "partial"
    await halo.post("Client", {"name": "One"}, {"website": "x"}, {"name": "Two"}, status=400)
    assert [client["name"] for client in halo.sandbox.state()["Client"][2:]] == ["One"]


async def test_or_all_but_the_refused_ones_are_written(halo: HaloCaller) -> None:
    halo.sandbox.faults.array_refusal = "each"
    await halo.post("Client", {"name": "One"}, {"website": "x"}, {"name": "Two"}, status=400)
    assert [client["name"] for client in halo.sandbox.state()["Client"][2:]] == ["One", "Two"]


async def test_arrays_may_be_capped_or_not_taken_at_all(halo: HaloCaller) -> None:
    three = [{"name": name} for name in ("One", "Two", "Three")]
    halo.sandbox.faults.array_cap = 2
    assert "at most 2" in await halo.post("Client", *three, status=400)
    await halo.post("Client", *three[:2])
    halo.sandbox.faults.arrays = False
    assert "at most 1" in await halo.post("Client", *three[:2], status=400)
    await halo.post("Client", three[2])
    assert len(halo.sandbox.state()["Client"]) == 5


async def test_custom_fields_are_kept_by_their_set_up_names_only(halo: HaloCaller) -> None:
    sent = [{"name": "CFCrmId", "value": "C-77"}, {"name": "CFUnknown", "value": "1"}]
    client = await halo.post("Client", {"name": "Acme", "customfields": sent})
    assert client["customfields"] == [{"id": 201, "name": "CFCrmId", "value": "C-77"}]
    assert (await halo.get("Client", search="Acme"))["clients"][0]["customfields"] == []
    with_ids = await halo.get("Client", search="Acme", include_custom_fields="201,202")
    assert with_ids["clients"][0]["customfields"] == client["customfields"]


async def test_answers_hold_only_names_that_halopsa_knows(halo: HaloCaller, acme: int) -> None:
    ticket = await halo.post("Tickets", {"summary": "x", "client_id": acme})
    records = {
        "Client": await halo.get(f"Client/{acme}"),
        "Site": (await halo.get("Site", client_id=acme))["sites"][0],
        "Users": (await halo.get("Users", client_id=acme))["users"][0],
        "Tickets": ticket,
        "Actions": await halo.post("Actions", {"ticket_id": ticket["id"], "outcome_id": 7}),
        "ClientContract": await halo.post("ClientContract", {"client_id": acme}),
        "RecurringInvoice": await halo.post("RecurringInvoice", {"client_id": acme}),
        "Asset": await halo.post("Asset", {"client_id": acme, "assettype_id": 131}),
        "CRMNote": await halo.post("CRMNote", {"client_id": acme, "note": "x"}),
    }
    assert {entity: record.keys() - FIELDS[entity].keys() for entity, record in records.items()} == {
        entity: set() for entity in records
    }
