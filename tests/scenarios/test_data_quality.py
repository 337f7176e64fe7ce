"""Data quality: every planted fault is found and nothing else, and an interrupted examination goes on."""

import json
import random
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crm_world import CLIENT_IDS, DEAL_IDS, CrmWorld
from tests.memory_run import STARTED
from tests.tenant import Crash, Tenant, fixed_clock
from worker.budget import WaitingGuard
from worker.errors import RetryLater
from workflows.data_quality import Finding, TapeInUse, WonDeal, examine, won_deals
from workflows.data_quality.duplicates import duplicate_names
from workflows.data_quality.examination import FIRST_TRIES
from workflows.data_quality.finding import Records
from workflows.data_quality.tape import open_tape
from workflows.halopsa import HaloConnection
from workflows.halopsa.models import Client
from workflows.policy import Policy
from workflows.policy.tenant import Names
from workflows.sandbox import Faults, Sandbox
from workflows.sandbox.msp import FaultKind, Planted, plant_msp

SEEDS = (1, 7, 2026)


async def no_pause(_: float) -> None:
    """Trouble passes at once."""


async def examined(tenant: Tenant, folder: Path, policy: Policy | None = None, **more: Any) -> list[Finding]:
    return await examine(
        more.pop("connection", tenant.connection),
        WaitingGuard(None, bulk=True),
        policy or Policy(),
        tape=folder / "reading.jsonl",
        **{"now": STARTED, "pause": no_pause, **more},
    )


def in_short(findings: Sequence[Finding]) -> set[tuple[str, frozenset[int], frozenset[int]]]:
    return {(one.kind, frozenset(c.id for c in one.clients), frozenset(r.id for r in one.records)) for one in findings}


def expected(planted: Planted) -> set[tuple[str, frozenset[int], frozenset[int]]]:
    return {(fault.kind, frozenset(fault.clients), frozenset(fault.records)) for fault in planted.faults}


def of_kind(kind: str, findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.kind == kind]


def clients_of(kind: str, findings: Sequence[Finding]) -> set[int]:
    return {client.id for finding in of_kind(kind, findings) for client in finding.clients}


def add_client(tenant: Tenant, name: str, *, contact: bool = True, **fields: Any) -> int:
    client = int(tenant.sandbox.plant("Client", {"name": name, "accountmanager_id": 3, "accountmanagertech": 3}))
    tenant.change("Client", client, **fields)
    if contact:
        add_contact(tenant, client, f"Somebody of {client}", emailaddress=f"p{client}@a.example")
    return client


def add_contact(tenant: Tenant, client: int, name: str, **fields: Any) -> None:
    sites = tenant.rows("Site", client_id=client)
    site = {"site_id": sites[0]["id"]} if sites else {}
    tenant.sandbox.plant("Users", {"client_id": client, "name": name, **site, **fields})


@pytest.fixture(params=[False, True], ids=["good day", "everything unpleasant"])
def faults(request: pytest.FixtureRequest) -> Faults:
    return Faults.unpleasant() if request.param else Faults()


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_planted_fault_is_found_and_nothing_else(tenant: Tenant, seed: int, tmp_path: Path) -> None:
    planted = plant_msp(tenant.sandbox, seed)
    findings = await examined(tenant, tmp_path)

    assert in_short(findings) == expected(planted)
    assert len(findings) == len(planted.faults)
    assert {one.certainty for one in findings} == {"certain"}
    assert all(one.what and one.mend for one in findings)


async def test_people_who_left_and_the_general_user_are_nobody(tenant: Tenant, tmp_path: Path) -> None:
    client = add_client(tenant, "Acme", contact=False)
    for name, inactive in (("General User", False), ("Jane Left", True)):
        add_contact(tenant, client, name, emailaddress="", inactive=inactive)
    findings = await examined(tenant, tmp_path)

    assert of_kind("contact-without-email", findings) == []
    assert client in clients_of("client-without-contacts", findings)


async def test_inactive_clients_need_neither_contacts_nor_managers_nor_parents(tenant: Tenant, tmp_path: Path) -> None:
    before = in_short(await examined(tenant, tmp_path))
    client = add_client(tenant, "Acme", contact=False, inactive=True, client_to_invoice=9999)
    manager = "accountmanagertech" if tenant.dialect == "v2" else "accountmanager_id"
    tenant.change("Client", client, **{manager: 0})
    add_contact(tenant, client, "Nobody", emailaddress="")

    assert in_short(await examined(tenant, tmp_path)) == before


async def test_names_are_one_certainly_or_likely(tenant: Tenant, tmp_path: Path) -> None:
    names = ("Northwind Traders", "The Northwind Traders Ltd", "Northwind Tradres", "Globex GmbH", "Globex Inc.")
    one, other, near, german, american = [add_client(tenant, name) for name in names]
    for name in ("Depot 12", "Depot 13"):
        add_client(tenant, name)
    found = of_kind("duplicate-client-names", await examined(tenant, tmp_path))

    assert {(frozenset(client.id for client in finding.clients), finding.certainty) for finding in found} == {
        (frozenset({one, other}), "certain"),
        (frozenset({one, other, near}), "likely"),
        (frozenset({german, american}), "likely"),
    }
    strict = Policy.model_validate({"names": {"similarity": 100}})
    assert len(of_kind("duplicate-client-names", await examined(tenant, tmp_path, strict))) == 2


async def test_a_contract_that_rolls_runs_on_and_one_that_ended_does_not(tenant: Tenant, tmp_path: Path) -> None:
    gone = add_client(tenant, "Acme", inactive=True)
    _, *going_on = (
        tenant.sandbox.plant("ClientContract", {"client_id": gone, "start_date": "2024-01-01T00:00:00", **more})
        for more in (
            {"end_date": "2026-11-22T00:00:00"},
            {"end_date": "2026-11-22T00:00:00", "rollingcontract": True},
            {"end_date": "1899-12-30T00:00:00"},
            {"start_date": "2027-01-01T00:00:00", "end_date": "2027-12-31T00:00:00"},
        )
    )
    tenant.sandbox.plant("ClientContract", {"client_id": gone, "active": False, "end_date": "2027-12-31T00:00:00"})
    (found,) = of_kind("inactive-client-with-running-contracts", await examined(tenant, tmp_path))

    assert [record.id for record in found.records] == going_on


async def test_what_may_not_be_read_is_told_and_holds_up_nothing_else(tenant: Tenant, tmp_path: Path) -> None:
    planted = plant_msp(tenant.sandbox, 1)
    tenant.sandbox.faults.forbid |= {"GET /api/Users"}
    findings = await examined(tenant, tmp_path)
    unknown = [finding for finding in findings if finding.certainty == "unknown"]

    assert {finding.kind for finding in unknown} == {"client-without-contacts", "contact-without-email"}
    assert all("GET /Users" in finding.what and finding.mend for finding in unknown)
    assert in_short([finding for finding in findings if finding not in unknown]) == {
        fault for fault in expected(planted) if fault[0] not in {finding.kind for finding in unknown}
    }


async def test_the_policy_leaves_checks_out(tenant: Tenant, tmp_path: Path) -> None:
    plant_msp(tenant.sandbox, 1)
    policy = Policy.model_validate(
        {"data_quality": {"skip": [kind for kind in FaultKind if kind != "client-hierarchy"]}}
    )
    findings = await examined(tenant, tmp_path, policy)

    assert {finding.kind for finding in findings} == {"client-hierarchy"}
    assert {call.split("/")[-1] for call in tenant.wire.calls} == {"Client"}


async def test_won_deals_without_a_client_are_named(tenant: Tenant, tmp_path: Path) -> None:
    tenant.sandbox.plant("Client", tenant.keyed("C-1", name="Acme"))
    companies = (("C-1", "Renamed"), ("", "ACME"), ("C-2", "Beta"))
    deals = [WonDeal(f"D-{number}", "Deal", *company) for number, company in enumerate(companies)]
    (found,) = of_kind("won-deal-without-client", await examined(tenant, tmp_path, won_deals=deals))

    assert "D-2" in found.what
    assert "Beta" in found.what


@pytest.mark.parametrize("system", ["hubspot", "pipedrive"])
async def test_the_crms_are_asked_for_won_deals(tenant: Tenant, tmp_path: Path, system: str) -> None:
    world = CrmWorld()
    open_deals: dict[str, dict[str, Any]] = {
        "hubspot": {"id": "77", "properties": {"dealname": "Open", "dealstage": "open"}},
        "pipedrive": {"id": 77, "title": "Open", "status": "open", "update_time": "2026-11-23T09:00:00Z"},
    }
    world.crms.plant(f"{system}.deals", open_deals[system])
    deals = await won_deals(world.hydration(), [system], STARTED - timedelta(days=30))
    (found,) = of_kind("won-deal-without-client", await examined(tenant, tmp_path, won_deals=deals))
    assert DEAL_IDS[system] in found.what
    assert "Acme Corporation" in found.what

    tenant.sandbox.plant("Client", tenant.keyed(CLIENT_IDS[system], name="Renamed"))
    assert of_kind("won-deal-without-client", await examined(tenant, tmp_path, won_deals=deals)) == []


@pytest.fixture
def planted_tenant() -> tuple[Tenant, Planted]:
    """A tenant with short pages, on a good day."""
    tenant = Tenant(Sandbox(clock=fixed_clock, faults=Faults(page_cap=10)))
    return tenant, plant_msp(tenant.sandbox, 1)


async def requests_of_whole(tenant: Tenant, folder: Path) -> int:
    """Count the requests of an examination that nothing disturbs."""
    before = len(tenant.wire.requests)
    tenant.restart()
    await examined(tenant, folder / "undisturbed")
    return len(tenant.wire.requests) - before


async def crash_after(tenant: Tenant, requests: int, folder: Path) -> None:
    tenant.restart()
    tenant.wire.mishaps = {len(tenant.wire.requests) + requests: "crash before"}
    with pytest.raises(Crash):
        await examined(tenant, folder)
    tenant.restart()


async def test_what_was_read_before_a_crash_is_not_asked_for_again(
    planted_tenant: tuple[Tenant, Planted], tmp_path: Path
) -> None:
    tenant, planted = planted_tenant
    whole = await requests_of_whole(tenant, tmp_path)
    await crash_after(tenant, whole // 2, tmp_path)
    before, told = len(tenant.wire.requests), list[str]()
    findings = await examined(tenant, tmp_path, tell=told.append)

    assert in_short(findings) == expected(planted)
    assert len(tenant.wire.requests) - before == whole - whole // 2 + 1
    assert "going on" in told[0]
    assert await requests_of_whole(tenant, tmp_path) == whole, "what is done is read anew the next time"


async def test_a_torn_line_costs_one_request_and_a_day_all(
    planted_tenant: tuple[Tenant, Planted], tmp_path: Path
) -> None:
    tenant, planted = planted_tenant
    whole = await requests_of_whole(tenant, tmp_path)
    kept = tmp_path / "reading.jsonl"
    await crash_after(tenant, whole // 2, tmp_path)
    whole_lines = kept.read_bytes()
    for days, lost, asked in ((0, 10, whole - whole // 2 + 2), (0, 1, whole - whole // 2 + 2), (2, 0, whole)):
        kept.write_bytes(whole_lines[: len(whole_lines) - lost])
        before = len(tenant.wire.requests)
        findings = await examined(tenant, tmp_path, now=STARTED + timedelta(days=days))
        assert in_short(findings) == expected(planted)
        assert len(tenant.wire.requests) - before == asked
        tenant.restart()


async def test_a_client_that_is_made_in_between_is_seen(planted_tenant: tuple[Tenant, Planted], tmp_path: Path) -> None:
    tenant, _ = planted_tenant
    await crash_after(tenant, 3, tmp_path)
    client = add_client(tenant, "Latecomer", contact=False)

    assert client in clients_of("client-without-contacts", await examined(tenant, tmp_path))


async def test_a_list_that_hides_account_managers_accuses_nobody(
    planted_tenant: tuple[Tenant, Planted], tmp_path: Path
) -> None:
    tenant, _ = planted_tenant
    silent = over(SilentList(tenant.wire, "/Client", "clients", "accountmanagertech"))
    (found,) = of_kind("client-without-account-manager", await examined(tenant, tmp_path, connection=silent))

    assert (found.certainty, found.clients) == ("unknown", ())


class OnceOfNoUse(httpx.AsyncBaseTransport):
    """Answers one page of clients with something that is no list."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._spoilt = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._spoilt or request.url.params.get("page_no") != "3":
            return await self._inner.handle_async_request(request)
        self._spoilt = True
        return httpx.Response(200, json={"message": "Please try again later"})


class SilentList(httpx.AsyncBaseTransport):
    """Makes one kind of list ("contracts" at ``/ClientContract``) leave out some fields."""

    def __init__(self, inner: httpx.AsyncBaseTransport, path: str, key: str, *left_out: str) -> None:
        self._inner = inner
        self._path = path
        self._key = key
        self._left_out = left_out

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if not request.url.path.endswith(self._path):
            return response
        envelope = json.loads(await response.aread())
        for row in envelope[self._key]:
            for name in self._left_out:
                row.pop(name)
        return httpx.Response(200, json=envelope)


def over(transport: httpx.AsyncBaseTransport) -> HaloConnection:
    return HaloConnection(
        "http://halo.test", client_id="parhelion", client_secret="sandbox-secret", transport=transport
    )


async def test_whether_a_contract_rolls_is_asked_where_the_list_does_not_say(
    planted_tenant: tuple[Tenant, Planted], tmp_path: Path
) -> None:
    tenant, planted = planted_tenant
    silent = over(SilentList(tenant.wire, "/ClientContract", "contracts", "expired"))

    assert in_short(await examined(tenant, tmp_path, connection=silent)) == expected(planted)


async def test_without_the_right_to_ask_halopsas_word_that_it_expired_counts(
    planted_tenant: tuple[Tenant, Planted], tmp_path: Path
) -> None:
    tenant, planted = planted_tenant
    tenant.sandbox.faults.deny = frozenset({"GET /api/ClientContract/{id}"})

    assert in_short(await examined(tenant, tmp_path)) == expected(planted)
    assert any("/ClientContract/" in call for call in tenant.wire.calls)


async def test_a_contract_of_which_nobody_may_read_whether_it_rolls_on_is_for_a_person_to_look_at(
    tenant: Tenant, tmp_path: Path
) -> None:
    gone = add_client(tenant, "Acme", inactive=True)
    last_day = {"start_date": "2024-01-01T00:00:00", "end_date": "2026-11-23T00:00:00", "rollingcontract": True}
    contract = tenant.sandbox.plant("ClientContract", {"client_id": gone, **last_day})
    for denied, certainty in ((frozenset({"GET /api/ClientContract/{id}"}), "likely"), (frozenset[str](), "certain")):
        tenant.sandbox.faults.deny = denied
        (found,) = of_kind("inactive-client-with-running-contracts", await examined(tenant, tmp_path))

        assert ([record.id for record in found.records], found.certainty) == ([contract], certainty)


async def test_an_answer_of_no_use_is_asked_for_again(planted_tenant: tuple[Tenant, Planted], tmp_path: Path) -> None:
    tenant, planted = planted_tenant
    told: list[str] = []
    findings = await examined(tenant, tmp_path, tell=told.append, connection=over(OnceOfNoUse(tenant.wire)))

    assert in_short(findings) == expected(planted)
    assert "without a list of clients" in told[0]


async def test_a_halopsa_that_is_away_ends_it_and_keeps_what_was_read(
    planted_tenant: tuple[Tenant, Planted], tmp_path: Path
) -> None:
    tenant, planted = planted_tenant
    whole = await requests_of_whole(tenant, tmp_path)
    tenant.restart()
    before = len(tenant.wire.requests)
    tenant.wire.mishaps = dict.fromkeys(range(before + 10, before + 1000), "failed before")
    with pytest.raises(RetryLater):
        await examined(tenant, tmp_path)
    tenant.wire.mishaps.clear()
    before = len(tenant.wire.requests)

    assert in_short(await examined(tenant, tmp_path)) == expected(planted)
    assert len(tenant.wire.requests) - before == whole - 9


async def test_an_address_where_nobody_answers_is_not_tried_for_long(
    planted_tenant: tuple[Tenant, Planted], tmp_path: Path
) -> None:
    tenant, _ = planted_tenant
    tenant.wire.mishaps = dict.fromkeys(range(1, 1000), "never connected")
    with pytest.raises(RetryLater):
        await examined(tenant, tmp_path)

    assert len(tenant.wire.requests) == FIRST_TRIES


async def test_only_one_reads_at_a_time(tenant: Tenant, tmp_path: Path) -> None:
    with open_tape(tmp_path / "reading.jsonl", STARTED, lambda: None), pytest.raises(TapeInUse):
        await examined(tenant, tmp_path)


def test_thousands_of_names_are_compared_in_a_second_or_two() -> None:
    letters = random.Random(1)
    words = ["".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=letters.randint(4, 9))) for _ in range(3000)]
    names = [" ".join(letters.sample(words, 2)) for _ in range(8_000)]
    records = Records(Names(), STARTED.date(), {n: Client(id=n, name=name) for n, name in enumerate(names, 1)})
    begun = time.process_time()
    found = list(duplicate_names(records))

    assert time.process_time() - begun < 4
    assert found
