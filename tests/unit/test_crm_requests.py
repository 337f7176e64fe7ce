"""Requests to CRMs: limits, refusals, tokens, notes that are written once, and searches for what was missed."""

import json
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.crm_world import BASE, CLIENT_IDS, DEAL_IDS, KINDS, RECORDS, CrmWorld, told
from tests.memory_run import STARTED, MemoryCall
from worker.errors import NeedsOperator, RetryLater
from worker.events import Event
from worker.run import CALL_BUDGET_S
from workflows.crm import (
    CrmDenied,
    CrmHydrator,
    CrmInDoubt,
    CrmRefused,
    CrmUnavailable,
    HubSpot,
    Salesforce,
    Zoho,
)
from workflows.crm.api import BUSY_S, Api, error_for
from workflows.crm.sign_in import FetchedToken
from workflows.hydration import Hydration
from workflows.policy.sources import RecordRule, Source
from workflows.sandbox.crm.crms import CrmFaults, SwitchedFaults

SECRET = "very-secret-token"


class Writing:
    """A run that a note belongs to."""

    in_doubt = False

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool, bool, MemoryCall]] = []

    @asynccontextmanager
    async def call(
        self, what: str, *, write: bool, budget_s: float = CALL_BUDGET_S, limited: bool = True
    ) -> AsyncIterator[MemoryCall]:
        assert budget_s == CALL_BUDGET_S
        call = MemoryCall()
        self.calls.append((what, write, limited, call))
        yield call


@pytest.fixture
def world() -> CrmWorld:
    return CrmWorld()


def strike(world: CrmWorld, system: str, **faults: Any) -> None:
    world.crms.faults = SwitchedFaults(**{system: CrmFaults(**faults)})


def answering(response: httpx.Response) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: response)


@pytest.mark.parametrize("system", RECORDS)
@pytest.mark.parametrize("wait_s", [7, None])
async def test_too_many_requests_are_tried_later(world: CrmWorld, system: str, wait_s: int | None) -> None:
    strike(world, system, limit_nth=frozenset(range(1, 9)), retry_after=wait_s)

    with pytest.raises(RetryLater) as trouble:
        await world.hydrate(told(system))

    assert trouble.value.after == (BUSY_S if wait_s is None else wait_s)


async def test_a_long_search_waits_where_the_crm_takes_no_more_and_goes_on_where_it_was() -> None:
    answers = iter([(429, {}), (429, {"retry-after": "11"}), (200, {})])
    slept: list[float] = []

    def answer(_: httpx.Request) -> httpx.Response:
        status, headers = next(answers)
        return httpx.Response(status, headers=headers, json={"policyName": "TEN_SECONDLY_ROLLING"})

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    api = Api("HubSpot", BASE, transport=httpx.MockTransport(answer), sleep=sleep)

    assert await api.search("POST", "/crm/v3/objects/deals/search") == {"policyName": "TEN_SECONDLY_ROLLING"}
    assert slept == [BUSY_S, 11]


@pytest.mark.parametrize(
    "refusal",
    [httpx.Response(503), httpx.Response(429, headers={"retry-after": "600"}), httpx.Response(429, text='"DAILY"')],
)
async def test_a_long_search_is_given_up_where_waiting_does_not_help(refusal: httpx.Response) -> None:
    async def sleep(_: float) -> None:
        raise AssertionError("it waits")

    with pytest.raises(RetryLater):
        await Api("HubSpot", BASE, transport=answering(refusal), sleep=sleep).search("GET", "/crm/v3/owners")


@pytest.mark.parametrize("system", RECORDS)
async def test_a_crm_that_fails_is_asked_later(world: CrmWorld, system: str) -> None:
    strike(world, system, fail_nth=frozenset(range(1, 9)))

    with pytest.raises(CrmUnavailable, match="HTML"):
        await world.hydrate(told(system))


@pytest.mark.parametrize("system", RECORDS)
async def test_a_refused_token_needs_a_person(world: CrmWorld, system: str) -> None:
    strike(world, system, refuse_token=True)

    with pytest.raises(CrmDenied, match="replay the event"):
        await world.hydrate(told(system))

    assert world.crms.arrived[system] <= 4  # a token, a refusal, a new token, a refusal


async def test_a_wrong_secret_needs_a_person_and_is_not_told(world: CrmWorld) -> None:
    crm = Salesforce("app", SECRET, url=f"{BASE}/salesforce", transport=world.transport)

    with pytest.raises(CrmDenied) as trouble:
        await CrmHydrator("salesforce", crm, Source()).hydrate(told("salesforce"))

    assert SECRET not in "".join(traceback.format_exception(trouble.value))


async def test_a_sign_in_that_refuses_with_200_needs_a_person() -> None:
    refusing = answering(httpx.Response(200, json={"error": "invalid_code"}))
    crm = Zoho("app", SECRET, "refresh", transport=refusing)

    with pytest.raises(CrmDenied, match="invalid_code"):
        await CrmHydrator("zoho", crm, Source()).hydrate(told("zoho"))


async def test_a_token_is_fetched_once_and_renewed_when_it_is_refused() -> None:
    tokens, asked = iter(["old", "sandbox-token"]), []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": next(tokens)})
        valid = request.headers["authorization"] == "Bearer sandbox-token"
        return httpx.Response(200, json={"records": []}) if valid else httpx.Response(401)

    crm = Salesforce("app", SECRET, url="https://acme.my.salesforce.com", transport=httpx.MockTransport(answer))
    for _ in range(2):
        assert await crm.read("opportunity", DEAL_IDS["salesforce"], {}) is None

    assert [path.rpartition("/")[2] for path in asked] == ["token", "query", "token", "query", "query"]


@pytest.mark.parametrize(("age_s", "tokens"), [(3500, 1), (3541, 2)])
async def test_a_token_is_renewed_before_it_ends(age_s: float, tokens: int) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"access_token": SECRET, "expires_in": "3600"})

    now = [0.0]
    auth = FetchedToken("Zoho", "https://crm.test/token", {"client_secret": SECRET}, clock=lambda: now[0])
    api = Api("Zoho", "https://crm.test", auth, transport=httpx.MockTransport(answer))
    await api.send("GET", "/x")
    now[0] = age_s
    await api.send("GET", "/x")

    assert asked.count("/token") == tokens


async def test_the_next_page_is_asked_of_the_crm_and_of_nobody_else() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url).partition("?")[0])
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": SECRET})
        more = {} if len(asked) > 2 else {"nextRecordsUrl": "https://elsewhere.test/services/data/v60.0/query/01g-2000"}
        return httpx.Response(200, json={"records": [], **more})

    crm = Salesforce("app", SECRET, url="https://acme.my.salesforce.com", transport=httpx.MockTransport(answer))
    await crm.read("opportunity", DEAL_IDS["salesforce"], {})

    assert asked[2] == "https://acme.my.salesforce.com/services/data/v60.0/query/01g-2000"


@pytest.mark.parametrize("body", ["[]", "7", "<html></html>", "{"])
async def test_an_answer_that_is_no_object_is_asked_for_later(body: str) -> None:
    api = Api("HubSpot", "https://crm.test", transport=answering(httpx.Response(200, content=body)))

    with pytest.raises(CrmUnavailable):
        await api.send("GET", "/x")


async def test_a_note_shows_the_text_as_it_is(world: CrmWorld) -> None:
    hydration = world.hydration()
    event = await hydration.hydrate(told("hubspot"))

    await hydration.note_on_deal(event, "Smith & <Sons>\nstands in HaloPSA", Writing())

    (note,) = world.crms.rows("hubspot.notes")
    assert note["properties"]["hs_note_body"].startswith("Smith &amp; &lt;Sons&gt;<br>stands in HaloPSA")


async def test_no_answer_in_time_is_tried_later() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    with pytest.raises(CrmUnavailable, match="did not answer"):
        await Api("HubSpot", "https://crm.test", transport=httpx.MockTransport(slow)).send("GET", "/x")


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (400, {"status": "error", "message": "Property x does not exist"}, CrmRefused, "Property x does not exist"),
        (400, [{"message": "No such column", "errorCode": "INVALID_FIELD"}], CrmRefused, "No such column"),
        (400, {"error": {"code": "0x8", "message": "Bad filter"}}, CrmRefused, "Bad filter"),
        (403, {"success": False, "error": "Forbidden"}, CrmDenied, "Forbidden"),
        (403, [{"message": "TotalRequests Limit", "errorCode": "REQUEST_LIMIT_EXCEEDED"}], CrmUnavailable, "today"),
        (429, {"policyName": "DAILY", "message": "reached"}, CrmUnavailable, "today"),
        (429, {"policyName": "SECONDLY", "message": "reached"}, CrmUnavailable, "reached"),
        (503, {}, CrmUnavailable, "503"),
        (302, {}, CrmRefused, "302"),
    ],
)
def test_an_answer_becomes_the_error_that_says_what_happens_next(
    status: int, body: Any, kind: type[Exception], text: str
) -> None:
    error = error_for("A CRM", "GET /x", httpx.Response(status, content=json.dumps(body, separators=(",", ":"))))

    assert type(error) is kind
    assert text in str(error)


def test_pipedrive_tells_how_long_to_wait_in_a_header_of_its_own() -> None:
    error = error_for("Pipedrive", "GET /x", httpx.Response(429, headers={"x-ratelimit-reset": "2"}))

    assert isinstance(error, CrmUnavailable)
    assert error.after == 2.0


@pytest.mark.parametrize("system", RECORDS)
async def test_a_note_on_the_deal_is_written_once(world: CrmWorld, system: str) -> None:
    hydration, run = world.hydration(), Writing()
    event = await hydration.hydrate(told(system))

    assert await hydration.note_on_deal(event, "Stands in HaloPSA", run)
    assert not await hydration.note_on_deal(event, "Stands in HaloPSA", run)

    ((what, write, limited, call),) = run.calls
    assert what.startswith("POST ")
    assert (write, limited, call.known) == (True, False, True)
    shown = json.dumps(world.crms.state())
    assert shown.count("Stands in HaloPSA") == 1


@pytest.mark.parametrize("system", RECORDS)
async def test_a_note_whose_answer_was_lost_is_found(world: CrmWorld, system: str) -> None:
    hydration = world.hydration()
    event = await hydration.hydrate(told(system))
    strike(world, system, lose_writes=True)

    with pytest.raises(CrmInDoubt):
        await hydration.note_on_deal(event, "Stands in HaloPSA", Writing())

    assert not await hydration.note_on_deal(event, "Stands in HaloPSA", Writing())


async def test_a_deal_of_no_crm_gets_no_note(world: CrmWorld) -> None:
    assert not await world.hydration().note_on_deal(told("standard", "won"), "Stands in HaloPSA", Writing())


@pytest.mark.parametrize("system", ["salesforce", "dynamics", "pipedrive"])
async def test_a_deal_id_that_cannot_be_one_is_not_sent(world: CrmWorld, system: str) -> None:
    payload = {"source": {"system": system}, "data": {"deal": {"id": "x' OR Name!='"}}}
    event = Event("token:1", "token", "deal.won", STARTED, payload)

    assert not await world.hydration().note_on_deal(event, "Stands in HaloPSA", Writing())
    assert not world.crms.requests


async def test_a_system_that_is_not_connected_needs_a_person() -> None:
    with pytest.raises(NeedsOperator, match="PARHELION_HUBSPOT"):
        await Hydration({}).hydrate(told("hubspot"))


CHANGED = {
    "hubspot": ("hubspot.deals", "hs_lastmodifieddate"),
    "pipedrive": ("pipedrive.deals", "update_time"),
    "salesforce": ("salesforce.Opportunity", "LastModifiedDate"),
    "dynamics": ("dynamics.opportunities", "modifiedon"),
    "zoho": ("zoho.Deals", "Modified_Time"),
}


@pytest.mark.parametrize("system", RECORDS)
async def test_what_changed_since_is_found_and_means_the_same(world: CrmWorld, system: str) -> None:
    table, name = CHANGED[system]
    world.change(table, DEAL_IDS[system], **{name: "2026-11-23T09:00:00+00:00"})
    hydration = world.hydration()

    found = [event async for event in hydration.changed_since(system, STARTED - timedelta(minutes=1))]
    later = [event async for event in hydration.changed_since(system, STARTED + timedelta(minutes=1))]

    (event,) = found
    assert (event.type, event.occurred_at) == (f"{system}.{KINDS[system]}", STARTED)
    completed, by_webhook = await hydration.hydrate(event), await hydration.hydrate(told(system))
    assert (completed.type, completed.data) == (by_webhook.type, by_webhook.data)
    assert not later


async def test_more_than_zoho_s_numbered_pages_are_searched(world: CrmWorld) -> None:
    for number in range(2_450):
        world.crms.plant("zoho.Deals", {"id": str(number), "Modified_Time": STARTED.isoformat()})

    found = [event async for event in world.hydration().changed_since("zoho", STARTED)]

    assert len({event.data["id"] for event in found}) == 2_450


@pytest.mark.parametrize(("system", "account"), [("hubspot", "62515"), ("pipedrive", "8087566")])
async def test_what_is_found_belongs_to_the_account_that_webhooks_name(
    world: CrmWorld, system: str, account: str
) -> None:
    found = [event async for event in world.hydration().changed_since(system, STARTED)]

    assert {event.account for event in found} == {account}


async def test_a_search_is_read_to_its_end(world: CrmWorld) -> None:
    for number in range(250):
        modified = (STARTED + timedelta(seconds=number)).isoformat()
        world.crms.plant("hubspot.deals", {"id": f"7{number}", "properties": {"hs_lastmodifieddate": modified}})
        world.crms.plant("pipedrive.deals", {"id": 10_000 + number, "update_time": modified})

    for system in ("hubspot", "pipedrive"):
        found = [event.data["id"] async for event in world.hydration().changed_since(system, STARTED)]
        assert len(set(found)) == len(found) == 251


async def test_records_that_churn_rules_speak_of_are_searched_too(world: CrmWorld) -> None:
    world.change("hubspot.companies", CLIENT_IDS["hubspot"], hs_lastmodifieddate="2026-11-23T09:00:00Z")
    rule = RecordRule(object="company", field="lifecyclestage", values=("Former customer",))
    hydration = world.hydration(hubspot=Source(churned=(rule,)))

    found = [event.type async for event in hydration.changed_since("hubspot", STARTED)]

    assert found == ["hubspot.deal", "hubspot.company"]


async def test_the_version_in_hubspots_paths_is_a_setting(world: CrmWorld) -> None:
    crm = HubSpot("sandbox-token", url=f"{BASE}/hubspot", version="2026-03", transport=world.transport)

    assert (await CrmHydrator("hubspot", crm, Source()).hydrate(told("hubspot"))).type == "deal.won"
    assert any("/crm/objects/2026-03/deals/" in request for request in world.crms.requests)
