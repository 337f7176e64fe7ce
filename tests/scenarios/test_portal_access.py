"""HaloPSA lists contacts without saying who has access to the portal: a client's end closes it all the same."""

from typing import Any

import pytest

from tests.memory_run import Notebook, restored
from tests.tenant import DAYS, Tenant, event
from worker.errors import NeedsOperator
from workflows.report import DRAFT, Report
from workflows.sandbox import Faults
from workflows.sandbox.halopsa.dialects import DialectName

LEAVES = event("client.churned", {"client": {"id": "C-77"}, "last_service_day": "2026-11-22"})
BACK = event("client.reactivated", {"client": {"id": "C-77"}})
SINGLE_READ = "GET /api/Users/{id}"
PEOPLE = {"Ada": 2, "Ben": 1, "Cy": 0}


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


@pytest.fixture
def dialect() -> DialectName:
    """The guide knows no access to a portal."""
    return "v2"


@pytest.fixture
def people(tenant: Tenant) -> dict[str, int]:
    """The contacts of a client: name → id."""
    client = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme"))
    return {name: person(tenant, client, name, level) for name, level in PEOPLE.items()}


def person(tenant: Tenant, client_id: int, name: str, level: int) -> int:
    site = next(row["id"] for row in tenant.rows("Site", client_id=client_id))
    user = {"name": name, "emailaddress": f"{name}@acme.example.com", "site_id": site, "web_access_level": level}
    return int(tenant.sandbox.plant("Users", user))


def levels(tenant: Tenant) -> dict[str, int]:
    return {row["name"]: row["web_access_level"] for row in tenant.rows("Users") if row["name"] in PEOPLE}


def deny(tenant: Tenant) -> None:
    tenant.sandbox.faults = Faults.model_validate(tenant.sandbox.faults.model_dump() | {"deny": {SINGLE_READ}})


async def churn(tenant: Tenant) -> tuple[Any, Report]:
    notebook = Notebook()
    result = await tenant.finish(LEAVES, notebook)
    return result, Report.model_validate(restored(notebook, DRAFT))


async def test_everybody_loses_the_portal_and_a_win_back_restores_it(tenant: Tenant, people: dict[str, int]) -> None:
    result, report = await churn(tenant)

    assert set(levels(tenant).values()) == {0}
    assert result.portal_access == {people["Ada"]: 2, people["Ben"]: 1}
    assert not any("portal" in remark for remark in report.remarks)

    back = await tenant.finish(BACK, Notebook(run="r-2"))

    assert levels(tenant) == PEOPLE
    assert back.remarks == []


async def test_whoever_may_not_be_read_is_named_and_left_alone(tenant: Tenant, people: dict[str, int]) -> None:
    deny(tenant)
    _, report = await churn(tenant)

    ids = ", ".join(str(one) for one in sorted(people.values()))
    assert f"look yourself, it could not be read: whether these have access to the portal: contact {ids}" in (
        report.remarks
    )
    assert levels(tenant) == PEOPLE


async def test_of_very_many_the_first_300_are_read_and_the_others_told_of(
    tenant: Tenant, people: dict[str, int]
) -> None:
    (client,) = tenant.rows("Client", name="Acme")
    more = [person(tenant, client["id"], f"Dee {number}", 1) for number in range(299)]
    tenant.sandbox.faults = Faults()
    result, report = await churn(tenant)

    assert set(result.portal_access) == {people["Ada"], people["Ben"], *more[:-2]}
    assert "look yourself, it could not be read: whether 2 contacts beyond the first 300 have access to the portal" in (
        report.remarks
    )


@pytest.mark.usefixtures("people")
async def test_where_the_portal_stays_open_nobody_is_read(tenant: Tenant) -> None:
    rules = tenant.policy.churn_client.model_copy(update={"remove_portal_access": False})
    tenant.policy = tenant.policy.model_copy(update={"churn_client": rules})
    await churn(tenant)

    assert levels(tenant) == PEOPLE
    assert SINGLE_READ not in tenant.wire.calls


@pytest.mark.usefixtures("people")
async def test_access_that_halopsa_keeps_in_silence_is_a_failure(tenant: Tenant) -> None:
    tenant.sandbox.faults = Faults(drop_fields=frozenset({"Users.web_access_level"}))

    with pytest.raises(NeedsOperator, match=r"still shows: contact \d+ has access to the portal, contact"):
        await churn(tenant)


async def test_what_cannot_be_read_back_is_no_success_in_silence(tenant: Tenant, people: dict[str, int]) -> None:
    (client,) = tenant.rows("Client", name="Acme")
    tenant.sandbox.plant("ClientContract", {"client_id": client["id"], "end_date": "2028-06-30T00:00:00"})
    tenant.sandbox.faults = Faults(refuse={"POST /api/ClientContract": "Not today"})
    notebook = Notebook()
    with pytest.raises(NeedsOperator, match="Not today"):
        await tenant.finish(LEAVES, notebook)
    tenant.sandbox.faults = Faults(deny=frozenset({SINGLE_READ}))
    await tenant.finish(LEAVES, notebook)

    unread = f"whether these have the portal could not be read back: contact {people['Ada']}, {people['Ben']}"
    assert unread in notebook.remarks["verify:remark"]


async def test_after_a_win_back_a_person_looks_at_whom_nobody_may_read(tenant: Tenant, people: dict[str, int]) -> None:
    await churn(tenant)
    deny(tenant)
    back = await tenant.finish(BACK, Notebook(run="r-2"))

    assert levels(tenant) == PEOPLE
    unread = "portal_access could not be read; it is to be {}: look yourself"
    assert sorted(back.remarks) == [
        f"contact {people[name]}: {unread.format(level)}" for name, level in PEOPLE.items() if level
    ]


@pytest.mark.parametrize("denied", [False, True])
async def test_who_leaves_loses_the_portal_also_where_it_cannot_be_read(
    tenant: Tenant, people: dict[str, int], *, denied: bool
) -> None:
    if denied:
        deny(tenant)
    leaver = {"client": {"id": "C-77"}, "contact": {"email": "ada@acme.example.com"}}
    result = await tenant.finish(event("contact.departed", leaver))

    assert (result.contact_ids, levels(tenant)) == ([people["Ada"]], PEOPLE | {"Ada": 0})
    assert any("could not be read" in remark for remark in result.remarks) is denied
