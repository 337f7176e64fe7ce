"""The client: tolerant reading, unknown outcomes, and the fence around every request."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from tests.memory_run import MemoryRun, Notebook
from workflows.halopsa import Halo, HaloConnection, HaloNotFound, HaloRefused, HaloUnavailable
from workflows.halopsa.dialects import V2
from workflows.halopsa.models import Agent, Client, Contract, Ticket, day, whole_number
from workflows.halopsa.transport import FencedTransport

Handler = Callable[[httpx.Request], httpx.Response]


async def create_client(halo: Halo) -> Client:
    return await halo.clients.create(name="Acme")


async def read_client(halo: Halo) -> Client:
    return await halo.clients.get(7)


async def list_tickets(halo: Halo) -> list[Ticket]:
    return await halo.tickets.find(client_id=29)


async def list_agents(halo: Halo) -> list[Agent]:
    return await halo.agents.find()


async def end_contract(halo: Halo) -> Contract | None:
    return await halo.contracts.update(5, end=date(2026, 12, 31), rolling=False, note=None)


class Bench:
    """A connection to a HaloPSA that answers as it is told."""

    def __init__(self, answer: Handler) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer
        self._connection = HaloConnection(
            "http://halo.test", client_id="app", client_secret="s", transport=httpx.MockTransport(self._serve)
        )
        self.run = MemoryRun(Notebook())

    def _serve(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(200, json={"access_token": "t"})
        if request.url.path == "/api/authinfo":
            return httpx.Response(404)
        self.requests.append(request)
        return self._answer(request)

    async def step(self, fn: Any) -> Any:
        self.run = MemoryRun(Notebook())
        return await self.run.step("step", fn, self._connection.for_run(self.run))

    @property
    def settled(self) -> list[bool]:
        return [call.known for what, call in self.run.calls if "/auth" not in what]


def says(answer: Any, status: int = 200) -> Bench:
    return Bench(lambda _: httpx.Response(status, json=answer))


@pytest.mark.parametrize(
    ("given", "number"), [(1, 1), ("1", 1), (29.0, 29), ("2.0", 2), (" 7 ", 7), (-3, -3), ("-3", -3)]
)
def test_ids_are_whole_numbers_in_every_form(given: Any, number: int) -> None:
    read = whole_number(given)

    assert (read, type(read)) == (number, int)


@pytest.mark.parametrize("given", ["x", "1.5", 1.5, "", None, "9" * 5000])
def test_what_is_no_id_is_not_made_one(given: Any) -> None:
    assert whole_number(given) is given


@pytest.mark.parametrize("given", [1, "1", 1.0, "1.0"])
def test_a_record_has_an_integer_id(given: Any) -> None:
    assert Client(id=given).id == 1


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("2026-12-31T00:00:00", date(2026, 12, 31)),
        ("2026-12-31T00:00:00.000Z", date(2026, 12, 31)),
        ("1899-12-30T00:00:00", None),
        ("1900-01-01T00:00:00", None),
        ("0001-01-01T00:00:00", None),
        ("", None),
        (None, None),
        ("later", None),
    ],
)
def test_never_is_no_date(given: Any, read: date | None) -> None:
    assert day(given) == read


def test_an_odd_field_does_not_make_a_record_unreadable() -> None:
    row = {"id": "7", "name": {"first": "Acme"}, "inactive": "perhaps", "paymentterms": "", "ref": "C-77"}

    assert V2.clients.read(row) == Client(id=7, key="C-77")


def test_null_stands_for_the_default() -> None:
    assert Contract(id=1, ref=None, active=None) == Contract(id=1)


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    "answer", [{"id": 7}, [{"id": "7"}], {"clients": [{"id": 7.0}]}, {"id": "7.0", "main_site_id": None}]
)
async def test_a_created_record_is_found_in_every_answer(answer: Any, status: int) -> None:
    assert (await says(answer, status).step(create_client)).id == 7


@pytest.mark.parametrize("answer", [{}, [], {"name": "Acme"}, {"clients": []}, {"id": None}, {"id": "new"}, "ok", None])
async def test_a_success_without_an_id_leaves_the_outcome_unknown(answer: Any) -> None:
    with pytest.raises(HaloUnavailable, match="outcome is unknown"):
        await says(answer, 201).step(create_client)


async def test_a_success_that_is_no_json_leaves_the_outcome_unknown() -> None:
    bench = Bench(lambda _: httpx.Response(200, html="<html>Welcome</html>"))

    with pytest.raises(HaloUnavailable):
        await bench.step(create_client)


async def test_bodies_are_arrays_under_halopsas_names() -> None:
    bench = says({"id": 5})
    await bench.step(end_contract)

    assert json.loads(bench.requests[0].content) == [
        {"id": 5, "end_date": "2026-12-31T00:00:00", "rollingcontract": False}
    ]


@pytest.mark.parametrize("answer", [{}, {"id": 6}, [], {"contracts": []}])
async def test_an_update_shows_its_own_record_or_none(answer: Any) -> None:
    shown = await says({"id": "5.0", "rollingcontract": False}).step(end_contract)

    assert shown == Contract(id=5, rolling=False)
    assert await says(answer).step(end_contract) is None


async def test_rows_that_an_ignored_filter_let_through_are_dropped() -> None:
    rows = [{"id": 1, "client_id": 29.0}, {"id": 2, "client_id": 30}, {"id": 3}]
    bench = says({"record_count": 3, "tickets": rows})

    assert [ticket.id for ticket in await bench.step(list_tickets)] == [1]
    asked = bench.requests[0].url.params
    assert (asked["client_id"], asked["open_only"], asked["pageinate"]) == ("29", "true", "true")


async def test_lists_that_rarely_change_are_read_once() -> None:
    bench = says([{"id": 3, "name": "Jane", "email": "jane@msp.example"}])

    assert await bench.step(list_agents) == await bench.step(list_agents)
    assert len(bench.requests) == 1


@pytest.mark.parametrize("answer", [None, {}, "text", {"message": "later"}])
async def test_an_answer_without_a_list_is_not_an_empty_list(answer: Any) -> None:
    with pytest.raises(HaloUnavailable):
        await says(answer).step(list_tickets)


async def test_an_empty_answer_to_a_change_is_a_success() -> None:
    assert await Bench(lambda _: httpx.Response(200)).step(end_contract) is None


@pytest.mark.parametrize("answer", [[], {}, {"id": 8}, {"clients": [{"id": 8}, {"id": 7}]}])
async def test_an_answer_without_the_record_that_was_asked_for_is_no_record(answer: Any) -> None:
    with pytest.raises(HaloNotFound):
        await says(answer).step(read_client)


def test_a_name_that_a_record_does_not_have_is_a_bug() -> None:
    with pytest.raises(KeyError):
        V2.contacts.write({"jobtitle": "CEO"})


def test_moments_are_written_in_utc() -> None:
    at = datetime(2026, 11, 23, 9, 30, 15, 999, tzinfo=UTC)

    assert V2.notes.write({"at": at}) == {"datetime": "2026-11-23T09:30:15Z"}


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
async def test_an_answer_of_any_status_settles_a_write(status: int) -> None:
    bench = says({"id": 1}, status)
    if status == 200:
        await bench.step(create_client)
    else:
        with pytest.raises((HaloRefused, HaloUnavailable)):
            await bench.step(create_client)

    assert set(bench.settled) == {True}


@pytest.mark.parametrize(
    ("error", "settled"),
    [
        (httpx.ConnectError, True),
        (httpx.ConnectTimeout, True),
        (httpx.PoolTimeout, True),
        (httpx.ReadTimeout, False),
        (httpx.ReadError, False),
        (httpx.WriteError, False),
        (httpx.RemoteProtocolError, False),
    ],
)
async def test_a_write_without_an_answer_is_settled_only_if_it_never_left(
    error: type[httpx.TransportError], *, settled: bool
) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error("no", request=request)

    bench = Bench(fail)
    with pytest.raises(HaloUnavailable, match="POST /Client"):
        await bench.step(create_client)

    assert bench.settled == [settled]


class Endless(httpx.AsyncBaseTransport):
    """Never answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError(request)


class Impatient(MemoryRun):
    """A run whose calls have no time."""

    def call(self, what: str, *, write: bool, budget_s: float = 10.0, limited: bool = True) -> Any:
        return super().call(what, write=write, budget_s=budget_s * 0, limited=limited)


async def post(transport: FencedTransport) -> int:
    response = await transport.handle_async_request(httpx.Request("POST", "http://halo.test/api/Client"))
    return response.status_code


async def test_a_call_over_its_budget_stays_in_doubt() -> None:
    notebook = Notebook()
    run = Impatient(notebook)

    with pytest.raises(TimeoutError):
        await run.step("post", post, FencedTransport(run, Endless()))
    assert notebook.intents == {"post"}
    assert [call.known for _, call in run.calls] == [False]


class LateBody(httpx.AsyncByteStream):
    """A body that breaks off."""

    async def __aiter__(self) -> Any:
        yield b'{"id":'
        raise httpx.ReadError("reset")


async def test_an_answer_that_breaks_off_settles_nothing() -> None:
    bench = Bench(lambda _: httpx.Response(201, stream=LateBody()))

    with pytest.raises(HaloUnavailable):
        await bench.step(create_client)
    assert bench.settled == [False]


async def close_three(halo: Halo) -> list[int]:
    return sorted(await halo.tickets.update_many({number: {"status_id": 9, "agent_id": None} for number in (1, 2, 3)}))


async def make_two(halo: Halo) -> list[int]:
    made = await halo.actions.create_many([{"ticket_id": number, "note": "why"} for number in (1, 2)])
    return [action.id for action in made]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ([{"id": 1.0}, {"id": "2"}, {"id": 3}], [1, 2, 3]),
        ({"tickets": [{"id": 3}, {"id": 1}]}, [1, 3]),
        ({"id": 3}, [3]),
        ([{"id": 1}, {"id": 99}, {"id": None}, {}], [1]),
        (None, []),
    ],
)
async def test_an_array_of_changes_is_believed_only_for_the_records_that_come_back(
    answer: Any, shown: list[int]
) -> None:
    bench = says(answer)

    assert await bench.step(close_three) == shown
    (request,) = bench.requests
    assert json.loads(request.content) == [{"id": number, "status_id": 9} for number in (1, 2, 3)]
    assert not request.url.params
    assert request.extensions["timeout"]["read"] == 60


async def test_an_array_of_new_records_gives_those_that_have_ids() -> None:
    assert await says([{"id": 5}, {"id": "6.0"}, {"note": "?"}]).step(make_two) == [5, 6]


async def test_a_refused_array_is_refused_like_one_record() -> None:
    with pytest.raises(HaloRefused, match=r"POST /Tickets .*Please assign"):
        await says("Please assign this Ticket these before closing it.", 400).step(close_three)
