"""Names in the policy are found in HaloPSA, and what is not found is named with what may be meant."""

from typing import get_args

import httpx
import pytest

from tests.tenant import Tenant
from worker.budget import WaitingGuard
from worker.errors import NeedsOperator
from workflows.halopsa import Halo
from workflows.halopsa.models import Agent, Choice
from workflows.policy import Policy
from workflows.policy.file import parse_policy
from workflows.policy.parts import ListName
from workflows.resolve import chosen, references, resolve

STATUSES = [
    Choice(id=1, name="New"),
    Choice(id=9, name="Closed"),
    Choice(id=30, name="Done"),
    Choice(id=31, name="Done"),
]


class ListsWithoutCustomFields(httpx.AsyncBaseTransport):
    """An older HaloPSA, whose lists show no custom fields whatever they are asked."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        await response.aread()
        return httpx.Response(
            response.status_code, content=response.content.replace(b'"customfields"', b'"x"'), request=request
        )


def without_run(tenant: Tenant) -> Halo:
    return tenant.connection.for_run(WaitingGuard(None, bulk=False))


@pytest.mark.parametrize("wanted", [9, "9", "Closed", "closed"])
def test_an_entry_is_called_by_its_id_or_name(wanted: int | str) -> None:
    assert chosen(STATUSES, wanted, "ticket status").id == 9


def test_an_agent_is_called_by_the_email_address_too() -> None:
    agents = [Agent(id=3, name="Jane Miller", email="jane@msp.example"), Agent(id=4, name="API Agent")]

    assert chosen(agents, "Jane@MSP.example", "agent").id == 3


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("CLOSE", "write 'Closed'"),
        (99, "no ticket status 99"),
        ("Done", "write the id: 30, 31"),
        ("", "no ticket"),
    ],
)
def test_what_is_not_clear_is_not_guessed(wanted: int | str, said: str) -> None:
    with pytest.raises(NeedsOperator, match=said):
        chosen(STATUSES, wanted, "ticket status")


async def test_the_defaults_are_in_a_usual_halopsa() -> None:
    assert await resolve(without_run(Tenant()), Policy()) == []


async def test_each_list_is_read_once() -> None:
    tenant = Tenant()
    policy = parse_policy(
        """
        [churn_client]
        keep_types = ["Incident", "Alert", "Nothing"]
        reassign_assets_to = "Nobody"
        final_billing = {client = "Nobody", ticket_type = "Incident", summary = "Final bill"}
        """
    )
    problems = await resolve(without_run(tenant), policy)

    assert sorted(problem.key for problem in problems) == [
        "churn_client.final_billing.client",
        "churn_client.keep_types[2]",
        "churn_client.reassign_assets_to",
    ]
    assert sorted(tenant.wire.calls) == ["GET /api/Client", "GET /api/Status", "GET /api/TicketType"]


async def test_customer_types_and_relationships_are_two_lists() -> None:
    policy = parse_policy('[clients]\ntypes = {Lead = "Lead"}\nrelationships = {Vendor = "Supplier"}\n')

    assert await resolve(without_run(Tenant()), policy) == []


async def test_who_has_left_cannot_be_named() -> None:
    problems = await resolve(without_run(Tenant()), parse_policy('[churn_client]\ncloser_agent = "Left The Company"\n'))

    assert [problem.key for problem in problems] == ["churn_client.closer_agent"]


async def test_a_list_that_may_not_be_read_is_said_and_the_others_are_read() -> None:
    tenant = Tenant()
    tenant.wire.mishaps[1] = "forbidden"
    problems = await resolve(
        without_run(tenant), parse_policy('[churn_client]\nclosed_status = "Closed"\nkeep_types = ["Nothing"]\n')
    )

    assert [problem.key for problem in problems] == ["churn_client.closed_status", "churn_client.keep_types[0]"]
    assert "403" in problems[0].text


def test_names_are_found_wherever_they_stand() -> None:
    policy = parse_policy(
        """
        [halopsa]
        external_key = "CFKey"
        customer_group = "Customers"
        [clients]
        account_managers = {"jane@crm.example" = 3}
        default_account_manager = "Jane"
        types = {Vendor = "Supplier"}
        relationships = {Vendor = "Partner"}
        custom_fields = {201 = "{client.name}"}
        [ticket_types.Incident]
        closed_status = "Resolved"
        open_fields = {impact = 3}
        [deals.new]
        sla = "Premium"
        kickoff = {ticket_type = "Onboarding", summary = "{client.name}", team = "Projects"}
        [churn_client]
        closed_status = 9
        hand_over = {agent = "Omar"}
        reassign_assets_to = "Us"
        """
    )

    assert {(reference.key, reference.list, reference.wanted) for reference in references(policy)} == {
        ("halopsa.external_key", "custom field of clients", "CFKey"),
        ("halopsa.customer_group", "customer group", "Customers"),
        ('clients.account_managers."jane@crm.example"', "agent", 3),
        ("clients.default_account_manager", "agent", "Jane"),
        ("clients.types.Vendor", "customer type", "Supplier"),
        ("clients.relationships.Vendor", "customer relationship", "Partner"),
        ("clients.custom_fields.201", "custom field of clients", "201"),
        ("ticket_types.Incident", "ticket type", "Incident"),
        ("ticket_types.Incident.closed_status", "ticket status", "Resolved"),
        ("deals.new.sla", "SLA", "Premium"),
        ("deals.new.kickoff.ticket_type", "ticket type", "Onboarding"),
        ("deals.new.kickoff.team", "team", "Projects"),
        ("churn_client.closed_status", "ticket status", 9),
        ("churn_client.hand_over.agent", "agent", "Omar"),
        ("churn_client.reassign_assets_to", "client", "Us"),
    }


async def test_every_kind_of_list_can_be_read() -> None:
    halo = without_run(Tenant())
    policies = {
        "agent": '[churn_client]\ncloser_agent = "Nobody"',
        "client": '[churn_client]\nreassign_assets_to = "Nobody"',
        "custom field of clients": '[halopsa]\nexternal_key = "CFNothing"',
        "customer group": '[halopsa]\ncustomer_group = "Nobody"',
        "customer type": '[clients]\ntypes = {Lead = "Nobody"}',
        "customer relationship": '[clients]\nrelationships = {Lead = "Nobody"}',
        "SLA": '[deals.new]\nsla = "Nothing"',
        "ticket status": '[churn_client]\nclosed_status = "Nothing"',
        "team": '[churn_client]\nhand_over = {team = "Nobody"}',
        "ticket type": '[churn_client]\nkeep_types = ["Nothing"]',
    }
    assert set(policies) == set(get_args(ListName))
    for name, text in policies.items():
        (problem,) = await resolve(halo, parse_policy(text))
        assert f"HaloPSA has no {name} " in problem.text


async def test_a_list_that_cannot_be_used_is_a_problem_and_no_crash() -> None:
    tenant = Tenant(key="CFCrmId")
    tenant.wire._inner = ListsWithoutCustomFields(tenant.wire._inner)
    tenant.change("Client", 1, name="Our MSP")
    policy = parse_policy('[churn_client]\nassets = "reassign"\nreassign_assets_to = "Our MSP"\n')

    (problem,) = await resolve(without_run(tenant), policy)

    assert problem.key == "churn_client.reassign_assets_to"
    assert "does not show custom fields" in problem.text
