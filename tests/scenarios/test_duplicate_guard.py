"""No client twice: certain matches are adopted, and a person chooses where it is not clear which client is meant."""

import json
from typing import Any

import httpx
import pytest

from tests.memory_run import Asleep, Notebook
from tests.scenarios.test_plan import plan_of
from tests.tenant import DAYS, Tenant, Wire, event
from worker.errors import NeedsOperator
from workflows.policy import OnboardClient, Policy
from workflows.sandbox import Faults
from workflows.sandbox.halopsa.dialects import DialectName

Fields = dict[str, Any]


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


@pytest.fixture
def deal(deal: Fields) -> Fields:
    """A won deal that its event calls a new one."""
    deal["deal"]["kind"] = "new"
    return deal


def another(deal: Fields, **client: Any) -> Fields:
    """Another deal, of another client unless `client` says otherwise."""
    return deal | {"deal": {"id": "D-2002", "kind": "new"}, "client": deal["client"] | {"id": "C-88", **client}}


async def asked(tenant: Tenant, data: Fields, notebook: Notebook | None = None) -> str:
    """What a person is asked about a deal, before anything is written."""
    before = tenant.picture()
    with pytest.raises(Asleep) as raised:
        await tenant.claim(event("deal.won", data), notebook or Notebook())
    assert tenant.picture() == before
    return str(raised.value)


@pytest.mark.parametrize(("first", "second"), [("Acme Corp.", "ACME Corporation"), ("Acme Ltd", "Acme Ltd")])
async def test_of_two_deals_for_one_name_from_two_companies_the_second_stops_and_names_the_first(
    tenant: Tenant, deal: Fields, first: str, second: str
) -> None:
    deal["client"]["name"] = first
    made = await tenant.finish(event("deal.won", deal))

    question = await asked(tenant, another(deal, name=second))
    assert f"{made.client_id} {first!r} (key 'C-77', same name" in question


@pytest.mark.parametrize(
    "known",
    [
        {"name": "ACME  corporation."},
        {"name": "Acme"},
        {"name": "Acme Corporation Ltd"},
        {"name": "Acme Corp", "website": "https://www.acme.example.com"},
    ],
)
async def test_a_certain_match_is_adopted(tenant: Tenant, deal: Fields, known: Fields) -> None:
    client_id = tenant.sandbox.plant("Client", known)
    result = await tenant.finish(event("deal.won", deal))

    assert (result.client_id, result.client_created) == (client_id, False)
    (client,) = tenant.rows("Client", id=client_id)
    assert "C-77" in (client["ref"] if tenant.dialect == "v2" else client["notes"])
    assert client["name"] == known["name"]


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ([{"name": "Acme Corporation", "key": "C-1"}], "same name"),
        ([{"name": "Acme Corporation"}, {"name": "ACME Corporation"}], "same name"),
        ([{"name": "Acme", "key": "C-77"}, {"name": "Beta", "key": "C-77"}], "same key"),
        ([{"name": "Acme Corporation", "inactive": True}], "inactive"),
        ([{"name": "Old name", "key": "C-77", "inactive": True}], "inactive"),
        ([{"name": "Acme Inc"}], "same name but for its legal form"),
        ([{"name": "Acme Corporation Ltd", "website": "https://acme.example"}], "same name but for its legal form"),
        ([{"name": "Umbrella", "website": "https://acme.example.com"}], "same domain"),
    ],
)
async def test_a_person_decides_which_client_is_meant(
    tenant: Tenant, deal: Fields, known: list[Fields], why: str
) -> None:
    ids = [tenant.sandbox.plant("Client", tenant.keyed(**{"key": "", **one})) for one in known]
    question = await asked(tenant, deal)

    assert why in question
    assert all(f"{client_id} '" in question for client_id in ids)


async def test_a_tax_number_tells(deal: Fields) -> None:
    tenant = Tenant(dialect="v2")
    known = tenant.sandbox.plant("Client", {"name": "Umbrella", "ref": "C-1", "tax_number": "GB 123"})
    deal["client"]["tax_number"] = "gb-123"

    assert f"{known} 'Umbrella' (key 'C-1', same tax number)" in await asked(tenant, deal)


async def test_the_client_that_a_person_names_is_used(tenant: Tenant, deal: Fields) -> None:
    known = tenant.sandbox.plant("Client", {"name": "Umbrella", "website": "https://acme.example.com"})
    tenant.sandbox.plant("Client", {"name": "Acme Inc"})
    notebook = Notebook(answers={"which-client": {"use": known}})
    result = await tenant.finish(event("deal.won", deal), notebook)

    assert (result.client_id, result.client_created) == (known, False)
    again = await tenant.finish(event("deal.won", another(deal, id="C-77")), Notebook())
    assert again.client_id == known


async def test_a_plain_yes_means_the_only_candidate(tenant: Tenant, deal: Fields) -> None:
    known = tenant.sandbox.plant("Client", tenant.keyed(key="C-77", name="Acme Corporation", inactive=True))
    result = await tenant.finish(event("deal.won", deal), Notebook(answers={"which-client": None}))

    assert result.client_id == known
    assert not tenant.rows("Client", id=known)[0]["inactive"]


@pytest.mark.parametrize("answer", [None, {}, {"use": "first"}, {"use": True}, {"create_new": False}, "yes"])
async def test_an_answer_that_does_not_say_which_is_asked_for_again(tenant: Tenant, deal: Fields, answer: Any) -> None:
    for name in ("Acme Inc", "Acme GmbH"):
        tenant.sandbox.plant("Client", {"name": name})
    notebook = Notebook(answers={"which-client": answer})

    assert "Use one of HaloPSA's clients" in await asked(tenant, deal, notebook)
    assert notebook.questions[-1].startswith("which-client:2: ")


async def test_a_client_that_is_not_there_is_asked_for_again(tenant: Tenant, deal: Fields) -> None:
    known = tenant.sandbox.plant("Client", {"name": "Acme Inc"})
    notebook = Notebook(answers={"which-client": {"use": 999_999}, "which-client-2": {"use": known}})

    assert (await tenant.finish(event("deal.won", deal), notebook)).client_id == known


async def test_a_new_client_is_made_beside_its_namesakes_where_a_person_says_so(tenant: Tenant, deal: Fields) -> None:
    known = tenant.sandbox.plant("Client", tenant.keyed(key="C-1", name="Acme Corporation"))
    notebook = Notebook(answers={"which-client": {"create_new": True}})
    result = await tenant.finish(event("deal.won", deal), notebook)

    assert result.client_created
    assert result.client_id != known
    assert len(tenant.rows("Client", name="Acme Corporation")) == 2


@pytest.mark.parametrize("mishap", ["crash after", "answer lost"])
@pytest.mark.parametrize("key", ["C-77", ""])
async def test_a_client_that_a_person_wanted_is_made_once(
    dialect: DialectName, deal: Fields, mishap: str, key: str
) -> None:
    deal["client"]["id"] = key
    numbers: list[int] = []
    for _ in range(2):
        tenant = Tenant(dialect=dialect)
        known = [tenant.sandbox.plant("Client", {"name": "Acme Corporation"}) for _ in range(2)]
        tenant.wire.mishaps = dict.fromkeys(numbers, mishap)
        notebook = Notebook(answers={"which-client": {"create_new": True}})
        result = await tenant.finish(event("deal.won", deal), notebook)

        assert result.client_id not in known
        assert len(tenant.rows("Client", name="Acme Corporation")) == 3
        numbers = [tenant.wire.calls.index("POST /api/Client") + 1]


async def test_a_client_of_another_key_keeps_it_where_a_person_names_it(tenant: Tenant, deal: Fields) -> None:
    known = tenant.sandbox.plant("Client", tenant.keyed(key="C-1", name="Acme Corporation"))
    notebook = Notebook(answers={"which-client": {"use": known}})
    result = await tenant.finish(event("deal.won", deal), notebook)

    said = f"client {known} bears C-1; events under C-77 will ask again: see parhelion link"
    assert said in result.remarks
    assert said in notebook.remarks.values()
    assert said in tenant.rows("CRMNote", client_id=known)[0]["note"]


class BareLists(Wire):
    """HaloPSA lists clients without the field that holds the CRM's key; each client by itself has it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if (request.method, request.url.path) != ("GET", "/api/Client") or not response.is_success:
            return response
        answer = json.loads(await response.aread())
        for row in answer["clients"]:
            row.pop("ref" if self.dialect == "v2" else "notes", None)
        return httpx.Response(response.status_code, json=answer)


def with_bare_lists(tenant: Tenant) -> Tenant:
    tenant.wire = BareLists(tenant.sandbox)
    tenant.restart()
    return tenant


async def test_another_key_that_only_the_whole_record_shows_is_not_overwritten(tenant: Tenant, deal: Fields) -> None:
    known = tenant.sandbox.plant("Client", tenant.keyed(key="OTHERKEY", name="Acme Corporation"))
    question = await asked(with_bare_lists(tenant), deal)

    assert f"{known} 'Acme Corporation' (key 'OTHERKEY', same name)" in question


async def test_the_key_that_only_the_whole_record_shows_counts(tenant: Tenant, deal: Fields) -> None:
    tenant.policy = Policy(onboard_client=OnboardClient(inactive_client="reactivate"))
    known = tenant.sandbox.plant("Client", tenant.keyed(key="C-77", name="Acme Corporation", inactive=True))
    result = await with_bare_lists(tenant).finish(event("deal.won", deal))

    assert (result.client_id, result.client_created) == (known, False)


@pytest.mark.parametrize("mishap", ["crash before", "answer lost"])
async def test_a_client_of_another_key_is_not_taken_for_the_one_in_doubt(
    dialect: DialectName, deal: Fields, mishap: str
) -> None:
    numbers: list[int] = []
    for _ in range(2):
        tenant = with_bare_lists(Tenant(dialect=dialect))
        known = tenant.sandbox.plant("Client", tenant.keyed(key="OTHERKEY", name="Acme Corporation"))
        tenant.wire.mishaps = dict.fromkeys(numbers, mishap)
        notebook = Notebook(answers={"which-client": {"create_new": True}})
        result = await tenant.finish(event("deal.won", deal), notebook)

        assert result.client_id != known
        assert len(tenant.rows("Client", name="Acme Corporation")) == 2
        numbers = [tenant.wire.calls.index("POST /api/Client") + 1]


async def test_a_key_that_came_meanwhile_is_not_overwritten(tenant: Tenant, deal: Fields) -> None:
    known = tenant.sandbox.plant("Client", {"name": "Acme Corporation"})
    notebook = Notebook()
    await tenant.finish(event("deal.won", deal), notebook)
    del notebook.steps["key"]
    tenant.change("Client", known, **{"ref": "", "notes": "", **tenant.keyed("OTHERKEY")})

    with pytest.raises(NeedsOperator, match="'OTHERKEY' by now, not 'C-77'"):
        await tenant.finish(event("deal.won", deal), notebook)
    client = tenant.rows("Client", id=known)[0]
    assert "OTHERKEY" in (client["ref"] if tenant.dialect == "v2" else client["notes"])


async def test_an_inactive_client_of_the_key_comes_back_where_the_policy_says_so(tenant: Tenant, deal: Fields) -> None:
    tenant.policy = Policy(onboard_client=OnboardClient(inactive_client="reactivate"))
    known = tenant.sandbox.plant("Client", tenant.keyed(key="C-77", name="Old name", inactive=True))
    result = await tenant.finish(event("deal.won", deal))

    assert result.client_id == known
    assert not tenant.rows("Client", id=known)[0]["inactive"]


@pytest.mark.parametrize(("since", "past"), [("r-8: report", True), ("r-8: leaving", False)])
async def test_its_churn_is_past_once_its_end_was_reported(
    tenant: Tenant, deal: Fields, since: str, *, past: bool
) -> None:
    tenant.policy = Policy(onboard_client=OnboardClient(inactive_client="reactivate"))
    known = tenant.sandbox.plant("Client", tenant.keyed(key="C-77", name="Acme Corporation"))
    await tenant.finish(event("client.churned", {"client": {"id": "C-77"}, "undated": True}), Notebook("r-7"))
    tenant.sandbox.plant("CRMNote", {"client_id": known, "note": f"Parhelion run {since}"})
    notebook = Notebook()
    await tenant.finish(event("deal.won", deal), notebook)

    assert {workflow for workflow, _, _ in notebook.halted} == ({"churn_client"} if past else set())


async def test_one_of_the_name_alone_is_asked_about_all_the_same(tenant: Tenant, deal: Fields) -> None:
    tenant.policy = Policy(onboard_client=OnboardClient(inactive_client="reactivate"))
    tenant.sandbox.plant("Client", {"name": "Acme Corporation", "inactive": True})

    assert "inactive" in await asked(tenant, deal)


async def test_two_clients_of_the_crm_that_share_a_domain_are_two(tenant: Tenant, deal: Fields) -> None:
    first = await tenant.finish(event("deal.won", deal))
    second = await tenant.finish(event("deal.won", another(deal, name="Umbrella") | {"contacts": []}), Notebook())

    assert second.client_created
    assert second.client_id != first.client_id


async def test_a_plan_names_the_question_and_stops_where_all_depends_on_the_answer(
    dialect: DialectName, deal: Fields
) -> None:
    tenant = Tenant(dialect=dialect)
    for name in ("Acme Inc", "Acme GmbH"):
        tenant.sandbox.plant("Client", {"name": name})
    plan = await plan_of(tenant, event("deal.won", deal))

    assert plan.writes == []
    assert [wait.partition(": ")[2][:16] for wait in plan.waits] == ["It is not clear "]


async def test_a_plan_goes_on_with_the_only_candidate(dialect: DialectName, deal: Fields) -> None:
    tenant = Tenant(dialect=dialect)
    known = tenant.sandbox.plant("Client", tenant.keyed(key="C-1", name="Acme Inc"))
    plan = await plan_of(tenant, event("deal.won", deal))

    assert len(plan.waits) == 1
    assert {body["client_id"] for write in plan.writes for body in write["body"] if "client_id" in body} == {known}
