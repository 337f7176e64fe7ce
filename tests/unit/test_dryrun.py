"""A dry run cannot write, and later reads see what it would have written."""

import json
from typing import Any

import httpx
import pytest

from workflows.halopsa.dryrun import DryRunTransport, PlannedWrite, plant_main_site

CLIENTS = [{"id": 29.0, "name": "Beta", "inactive": False}]


class Outside(httpx.AsyncBaseTransport):
    """A HaloPSA that may only be read."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "GET", f"{request.method} {request.url} left the process"
        assert "-1" not in str(request.url), f"{request.url} names a record that does not exist"
        self.asked.append(request.url.path)
        if request.url.path == "/api/Client/29":
            return httpx.Response(200, json=CLIENTS[0])
        if request.url.path == "/api/Status":
            return httpx.Response(200, json=[{"id": 9, "name": "Closed"}])
        if request.url.path == "/api/Client":
            return httpx.Response(200, json={"page_no": 1, "record_count": 1, "clients": CLIENTS})
        return httpx.Response(200, json={"record_count": 0, "sites": []})


class Rehearsal:
    def __init__(self, beside: Any = None) -> None:
        self.outside = Outside()
        self.written: list[PlannedWrite] = []
        self.transport = DryRunTransport(self.outside, self.written.append, beside)
        self.http = httpx.AsyncClient(base_url="http://halo.test/api", transport=self.transport)

    async def get(self, path: str, **params: str) -> Any:
        return (await self.http.get(path, params=params)).json()

    async def post(self, path: str, body: Any, **params: str) -> Any:
        return (await self.http.post(path, json=body, params=params)).json()


async def test_a_write_is_written_down_and_answered_with_a_placeholder() -> None:
    dry = Rehearsal()

    made = await dry.post("/Client", [{"name": "Acme"}])

    assert made == {"name": "Acme", "id": -1}
    assert dry.written == [PlannedWrite("POST", "/Client", [{"name": "Acme"}])]
    assert dry.outside.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_but_a_read_passes(method: str) -> None:
    dry = Rehearsal()

    await dry.http.request(method, "/Client/29", content=json.dumps({"id": 29}))

    assert [write.method for write in dry.written] == [method]
    assert dry.outside.asked == []


async def test_later_reads_see_what_would_have_been_made() -> None:
    dry = Rehearsal()
    await dry.post("/Client", [{"name": "Acme"}])

    assert await dry.get("/Client/-1") == {"name": "Acme", "id": -1}
    listed = await dry.get("/Client", pageinate="true", page_no="1")
    assert [row["id"] for row in listed["clients"]] == [29, -1]
    assert listed["record_count"] == 2
    assert (await dry.get("/Client", pageinate="true", page_no="2"))["clients"] == CLIENTS


async def test_a_read_of_what_belongs_to_a_planned_record_stays_here() -> None:
    dry = Rehearsal()
    await dry.post("/Client", [{"name": "Acme"}])
    await dry.post("/Site", [{"client_id": -1, "name": "HQ"}])

    assert await dry.get("/Site", client_id="-1") == [{"client_id": -1, "name": "HQ", "id": -2}]
    assert (await dry.http.get("/Site/-7")).status_code == 404
    assert dry.outside.asked == []


async def test_later_reads_see_what_would_have_been_changed() -> None:
    dry = Rehearsal()
    answer = await dry.post("/Client", [{"id": 29, "inactive": True}])

    assert answer == {"id": 29, "inactive": True}
    assert (await dry.get("/Client/29"))["inactive"] is True
    assert (await dry.get("/Client"))["clients"] == [{"id": 29.0, "name": "Beta", "inactive": True}]


async def test_of_many_records_in_one_write_the_last_comes_back() -> None:
    dry = Rehearsal()
    rows = [{"ticket_id": 1, "note": "a"}, {"ticket_id": 2, "note": "b"}]

    assert (await dry.post("/Actions", rows))["id"] == -2
    listed = await dry.get("/Actions", ticket_id="1")
    assert [row["id"] for row in listed["sites"]] == [-1, -2]


async def test_an_empty_list_and_a_bare_array_take_planned_records_too() -> None:
    dry = Rehearsal()
    await dry.post("/Site", [{"client_id": 29, "name": "HQ"}])
    await dry.post("/Status", [{"name": "Gone"}])

    assert await dry.get("/Site", client_id="29") == {
        "record_count": 1,
        "sites": [{"client_id": 29, "name": "HQ", "id": -1}],
    }
    assert [row["id"] for row in await dry.get("/Status")] == [9, -2]


async def test_the_main_site_that_halopsa_makes_is_planted() -> None:
    dry = Rehearsal(plant_main_site)

    assert await dry.post("/Client", [{"name": "Acme"}]) == {"name": "Acme", "id": -1, "main_site_id": -2}
    (site,) = await dry.get("/Site", client_id="-1")
    assert (site["id"], site["name"], site["isinvoicesite"]) == (-2, "Main", True)
    assert len(dry.written) == 1


async def test_every_request_counts() -> None:
    dry = Rehearsal()
    await dry.get("/Client")
    await dry.post("/Client", [{"name": "Acme"}])

    assert dry.transport.requests == 2
