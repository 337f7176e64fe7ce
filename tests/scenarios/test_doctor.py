"""The doctor names what would fail, at which step, and how to mend it, before a workflow fails on it."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.memory_run import STARTED
from tests.tenant import Crash, Tenant
from worker.budget import WaitingGuard
from workflows.doctor import Examination, Finding, Patient, Trial, examine_tenant, try_writes
from workflows.halopsa import HaloConnection
from workflows.policy import Policy
from workflows.sandbox import Faults

Findings = dict[str, Finding]


class LastOfArray(httpx.AsyncBaseTransport):
    """A HaloPSA that does only what the last record of an array says."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.content.startswith(b"["):
            url, last = request.url, json.loads(request.content)[-1:]
            headers = {"authorization": request.headers["authorization"]}
            request = httpx.Request("POST", url, headers=headers, json=last, extensions=request.extensions)
        return await self._inner.handle_async_request(request)


class WholeChanges(httpx.AsyncBaseTransport):
    """A HaloPSA that finds no ticket to change whose type and client are not sent along."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path == "/api/Tickets":
            changed = [row for row in json.loads(request.content) if "id" in row]
            if not all({"tickettype_id", "client_id"} <= row.keys() for row in changed):
                return httpx.Response(400, json="Record not found")
        return await self._inner.handle_async_request(request)


class Doctor:
    """Examines a tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.policy = Policy()
        self.scope = "all"
        self.secret = "sandbox-secret"
        self.through: Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport] = lambda wire: wire
        self.told: list[str] = []

    def connect(self, scope: str, transport: httpx.AsyncBaseTransport) -> HaloConnection:
        return HaloConnection(
            "http://halo.test",
            client_id="parhelion",
            client_secret=self.secret,
            scope=scope,
            transport=transport,
            **self.tenant.settings,
        )

    def patient(self, **more: Any) -> Patient:
        return Patient(
            self.connect,
            self.through(self.tenant.wire),
            WaitingGuard(None, bulk=False),
            self.scope,
            self.policy,
            **more,
        )

    async def examine(self, *, write_test: bool = False, **more: Any) -> Findings:
        self.told.clear()
        examination = Examination(lambda finding: self.told.append(finding.check))
        subject = self.patient(**more)
        await examine_tenant(subject, examination)
        if write_test:
            await try_writes(Trial(subject, STARTED), examination)
        assert [finding.check for finding in examination.findings] == self.told
        return {finding.check: finding for finding in examination.findings}


@pytest.fixture
def doctor(tenant: Tenant) -> Doctor:
    return Doctor(tenant)


def failing(findings: Findings) -> set[str]:
    return {name for name, finding in findings.items() if finding.state == "fails"}


def of_the_doctor(tenant: Tenant, entity: str) -> list[dict[str, Any]]:
    """Records that the write test has made."""
    clients = [row["id"] for row in tenant.rows("Client") if row["name"].startswith("Parhelion doctor")]
    return [row for row in tenant.rows(entity) if row["id" if entity == "Client" else "client_id"] in clients]


async def test_a_tenant_that_is_set_up_well_has_nothing_that_would_fail(doctor: Doctor) -> None:
    doctor.tenant.sandbox.plant("Tickets", {"client_id": 1, "summary": "printer"})
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == set()
    assert findings["agent"].seen == "signed in as API Agent (4)"
    assert findings["write-to-inactive"].state == "ok"


async def test_looking_writes_nothing(doctor: Doctor) -> None:
    before = doctor.tenant.picture()
    await doctor.examine()

    assert doctor.tenant.picture() == before
    assert not [call for call in doctor.tenant.wire.calls if call.startswith("POST")]


async def test_the_write_test_leaves_one_inactive_client_with_nothing_open(doctor: Doctor) -> None:
    findings = await doctor.examine(write_test=True)

    (client,) = of_the_doctor(doctor.tenant, "Client")
    assert client["inactive"] is True
    assert all(row["hasbeenclosed"] for row in of_the_doctor(doctor.tenant, "Tickets"))
    assert all(not row.get("rollingcontract") for row in of_the_doctor(doctor.tenant, "ClientContract"))
    assert findings["write-test-put-away"].seen == f"client {client['id']} is inactive, with nothing left open"


async def test_every_scope_that_refuses_the_sign_in_is_named_and_the_rest_is_looked_at(doctor: Doctor) -> None:
    doctor.scope = "read:teams all read:everything"
    findings = await doctor.examine()

    assert failing(findings) == {"sign-in"}
    assert (
        "The specified 'scope' parameter is not valid. Refused: read:teams, read:everything" in findings["sign-in"].seen
    )
    assert "Configuration > Integrations > HaloPSA API > the application > Permissions" in findings["sign-in"].remedy
    assert findings["tickets"].state == "ok"


async def test_an_application_that_may_not_ask_for_everything_is_told_what_it_lacks(doctor: Doctor) -> None:
    doctor.tenant.sandbox.faults.allowed_scopes = frozenset({"read:customers", "edit:customers", "read:tickets"})
    findings = await doctor.examine()

    assert {"sign-in", "scopes", "contracts"} <= failing(findings)
    assert "edit:tickets" in findings["scopes"].remedy
    assert "read:contracts" in findings["contracts"].remedy


async def test_scopes_that_the_settings_leave_out_are_named(doctor: Doctor) -> None:
    doctor.scope = "read:customers edit:customers"
    findings = await doctor.examine()

    assert {"scopes", "tickets"} <= failing(findings)
    assert findings["tickets"].remedy == (
        "Tick read:tickets under Configuration > Integrations > HaloPSA API > the application > Permissions, "
        "and name it in PARHELION_HALO_SCOPE."
    )


async def test_a_wrong_secret_leaves_nothing_else_to_look_at(doctor: Doctor) -> None:
    doctor.secret = "stolen"
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == {"sign-in"}
    assert "invalid_client" in findings["sign-in"].seen
    assert {finding.state for name, finding in findings.items() if name != "sign-in"} == {"skipped"}
    assert not any("stolen" in finding.model_dump_json() for finding in findings.values())


async def test_what_the_role_does_not_allow_is_named_with_the_steps_that_need_it(doctor: Doctor) -> None:
    doctor.tenant.sandbox.faults.role = doctor.tenant.sandbox.faults.role.model_copy(
        update={"tickets": "none", "contracts": "read"}
    )
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == {"tickets", "write-ticket", "write-contract"}
    assert findings["tickets"].concerns == ("churn_client: snapshot, open-tickets, verify",)
    assert "Configuration > Agents > Roles" in findings["tickets"].remedy
    assert "Read and Modify for Contracts" in findings["write-contract"].remedy
    assert findings["write-closing"].seen == "not looked at, because of: write-ticket"


async def test_a_look_at_what_was_written_needs_no_more_than_reading(doctor: Doctor) -> None:
    doctor.tenant.sandbox.faults.forbid = frozenset({"GET /api/Tickets/{id}"})
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == {"write-ticket"}
    assert "at least Read Only for Tickets" in findings["write-ticket"].remedy


async def test_a_right_that_the_workflows_go_on_without_is_a_warning(doctor: Doctor) -> None:
    doctor.tenant.sandbox.faults.forbid = frozenset({"GET /api/CRMNote", "POST /api/CRMNote"})
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == set()
    assert {findings["notes"].state, findings["write-note"].state} == {"warning"}


async def test_an_application_without_an_agent_can_close_no_ticket_that_nobody_has(doctor: Doctor) -> None:
    doctor.tenant.sandbox.faults.login_type = "none"
    findings = await doctor.examine()

    assert {"agent", "closing-agent"} <= failing(findings)
    assert "set the login type to Agent" in findings["agent"].remedy
    assert "PARHELION_HALO_CLOSER_AGENT_ID" in findings["closing-agent"].remedy


async def test_a_disabled_agent_can_close_nothing(doctor: Doctor) -> None:
    (api_agent,) = [row for row in doctor.tenant.sandbox.store.reference["Agent"] if row["id"] == 4]
    api_agent["isdisabled"] = True
    findings = await doctor.examine()

    assert failing(findings) == {"agent", "closing-agent"}
    assert "API Agent (4), who is disabled" in findings["agent"].seen


@pytest.mark.parametrize(("agent_id", "state"), [(3, "ok"), (9, "fails"), (77, "fails"), (1, "fails")])
async def test_the_closing_agent_of_the_settings_must_be_somebody(doctor: Doctor, agent_id: int, state: str) -> None:
    doctor.tenant.settings["closer_agent_id"] = agent_id
    findings = await doctor.examine()

    assert findings["closing-agent"].state == state


@pytest.mark.parametrize("dialect", ["v2"])  # the guide knows no contact that comes with its client
async def test_a_compulsory_main_contact_is_named(doctor: Doctor) -> None:
    doctor.tenant.sandbox.faults.main_contact_required = True
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == {"write-client"}
    assert "Main Contact" in findings["write-client"].seen
    assert "main contact of a customer is compulsory" in findings["write-client"].remedy
    assert of_the_doctor(doctor.tenant, "Client") == []


@pytest.mark.parametrize(("order", "state"), [("inactive-first", "fails"), ("inactive-last", "ok")])
async def test_the_order_must_suit_a_tenant_whose_inactive_clients_take_no_writes(
    doctor: Doctor, order: str, state: str
) -> None:
    doctor.tenant.sandbox.faults.refuse_inactive_writes = True
    doctor.policy = Policy.model_validate({"churn_client": {"order": order}})
    findings = await doctor.examine(write_test=True)

    assert findings["write-to-inactive"].state == state
    assert "inactive-last" in findings["write-to-inactive"].seen + findings["write-to-inactive"].remedy
    assert findings["write-test-put-away"].state == "ok"
    assert all(row["hasbeenclosed"] for row in of_the_doctor(doctor.tenant, "Tickets"))


async def test_a_closed_status_of_another_name_is_missed(doctor: Doctor) -> None:
    doctor.policy = Policy.model_validate({"churn_client": {"closed_status": "Completed"}})
    findings = await doctor.examine()

    assert {"closed-status", "policy-names"} <= failing(findings)
    assert "Closed" in findings["closed-status"].remedy


async def test_ticket_types_that_ask_for_more_are_named_until_the_policy_gives_it(doctor: Doctor) -> None:
    findings = await doctor.examine()
    assert findings["ticket-types"].state == "warning"
    assert "Complaint: asks for CFResolution" in findings["ticket-types"].seen
    assert "Change: has an approval process" in findings["ticket-types"].seen

    doctor.policy = Policy.model_validate({"ticket_types": {"Complaint": {"close_fields": {"CFResolution": "Left"}}}})
    findings = await doctor.examine()
    assert "Complaint" not in findings["ticket-types"].seen


async def test_lost_answers_leave_no_client_and_no_ticket_behind(doctor: Doctor) -> None:
    faults = doctor.tenant.sandbox.faults
    faults.role = faults.role.model_copy(update={"may_edit_closed": False})
    doctor.tenant.wire.lose_every_write = True
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == set()
    assert {row["inactive"] for row in of_the_doctor(doctor.tenant, "Client")} == {True}
    assert all(row["hasbeenclosed"] for row in of_the_doctor(doctor.tenant, "Tickets"))


async def test_the_client_is_put_away_wherever_the_doctor_is_interrupted(doctor: Doctor) -> None:
    for number in range(1, 30):
        doctor.tenant = Tenant(dialect=doctor.tenant.dialect)
        subject, examination = doctor.patient(), Examination(lambda _: None)
        await examine_tenant(subject, examination)
        doctor.tenant.wire.mishaps = {len(doctor.tenant.wire.calls) + number: "crash after"}

        with pytest.raises(Crash):
            await try_writes(Trial(subject, STARTED), examination)
        assert all(row["inactive"] for row in of_the_doctor(doctor.tenant, "Client")), number


async def test_the_ticket_types_of_the_policy_are_tried_too(doctor: Doctor) -> None:
    doctor.policy = Policy.model_validate(
        {"ticket_types": {"Complaint": {}}, "churn_client": {"keep_types": ["Change"]}}
    )
    findings = await doctor.examine(write_test=True)

    assert "Change" not in findings["ticket-types"].seen
    assert failing(findings) == {"write-closing"}
    assert "Please enter" in findings["write-closing"].seen
    assert "close_fields under [ticket_types.NAME]" in findings["write-closing"].remedy
    assert "ticket" in findings["write-test-put-away"].seen


@pytest.mark.parametrize(("takes_arrays", "state"), [(True, "ok"), (False, "warning")])
async def test_whether_arrays_are_taken_is_told(doctor: Doctor, takes_arrays: bool, state: str) -> None:
    doctor.tenant.sandbox.faults.arrays = takes_arrays
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == set()
    assert findings["write-array"].state == state


async def test_a_halopsa_that_does_the_last_of_an_array_alone_is_told(doctor: Doctor) -> None:
    doctor.through = LastOfArray
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == set()
    assert "HaloPSA changed only" in findings["write-array"].seen


@pytest.mark.parametrize("dialect", ["v2"])  # the guide keeps the key elsewhere
async def test_what_halopsa_drops_without_a_word_is_told(doctor: Doctor) -> None:
    doctor.tenant.sandbox.faults.drop_fields = frozenset({"Client.ref", "ClientContract.end_date"})
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == {"write-key", "write-contract-end"}
    assert "external_key in the policy file" in findings["write-key"].remedy
    assert "contract" in findings["write-test-put-away"].seen


class RollsOn(httpx.AsyncBaseTransport):
    """Contracts roll on whatever is written to them."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        kept = request.content.replace(b'"rollingcontract":false', b'"rollingcontract":true')
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        return await self._inner.handle_async_request(
            httpx.Request(request.method, request.url, headers=headers, content=kept, extensions=request.extensions)
        )


async def test_a_contract_that_rolls_on_in_spite_of_its_end_is_told(doctor: Doctor) -> None:
    doctor.tenant.wire._inner = RollsOn(doctor.tenant.wire._inner)
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == {"write-contract-end"}
    assert "contract" in findings["write-test-put-away"].seen


async def test_a_client_that_an_earlier_test_left_is_named(doctor: Doctor) -> None:
    client_id = doctor.tenant.sandbox.plant("Client", {"name": "Parhelion doctor 2026-11-01 10:00:00"})
    findings = await doctor.examine()

    assert findings["leftovers"].state == "warning"
    assert str(client_id) in findings["leftovers"].seen


@pytest.mark.parametrize(
    ("webhook", "state"),
    [
        ({"url": "https://parhelion.example/webhooks/halopsa", "active": True, "disabled": False}, "ok"),
        ({"url": "https://parhelion.example/webhooks/halopsa", "active": True, "disabled": True}, "fails"),
        ({"url": "https://else.example/webhooks/halopsa", "active": True, "disabled": False}, "fails"),
    ],
)
async def test_the_webhook_must_be_there_and_on(doctor: Doctor, webhook: dict[str, Any], state: str) -> None:
    doctor.tenant.sandbox.plant("Webhook", {"name": "Parhelion", **webhook})
    findings = await doctor.examine(webhook_address="https://parhelion.example/webhooks/halopsa")

    assert findings["webhook"].state == state


@pytest.mark.parametrize("seed", range(5))
async def test_unpleasant_ways_of_halopsa_are_no_failures(doctor: Doctor, seed: int) -> None:
    doctor.tenant.sandbox.faults = Faults.unpleasant(seed=seed)
    findings = await doctor.examine(write_test=True)

    assert failing(findings) == set()
    assert findings["write-test-put-away"].state == "ok"


async def test_arrays_are_tried_with_all_that_halopsa_wants_to_find_a_ticket(doctor: Doctor) -> None:
    doctor.through = WholeChanges

    findings = await doctor.examine(write_test=True)

    assert findings["write-array"].state == "ok"
