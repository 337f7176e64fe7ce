"""`parhelion policy` as its users start it."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.processes import Halo, look_alike, parhelion

Write = Callable[[str], Path]


@pytest.fixture
async def halo() -> AsyncIterator[Halo]:
    async with look_alike() as one:
        yield one


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the policy file."""

    def written(text: str) -> Path:
        file = tmp_path / "parhelion.toml"
        file.write_text(text)
        return file

    return written


async def ask(command: str, file: Path, halo: Halo | None = None) -> tuple[int, Any, str]:
    """Run a command for JSON; gives exit code, answer and standard error."""
    env = {"PARHELION_CONFIG": str(file)}
    if halo:
        env |= {
            "PARHELION_HALO_URL": halo.url,
            "PARHELION_HALO_CLIENT_ID": "parhelion",
            "PARHELION_HALO_CLIENT_SECRET": "sandbox-secret",
        }
    code, said, complaints = await parhelion("policy", command, "-o", "json", env=env)
    return code, json.loads(said) if said else None, complaints


async def test_the_policy_in_force_says_what_the_file_says(write: Write) -> None:
    file = write('[churn_client]\norder = "inactive-last"\n[ticket_types.Incident]\nclose_fields = {impact = 3}\n')
    code, shown, _ = await ask("show", file)

    assert code == 0
    assert shown["file"] == str(file)
    assert shown["from_file"] == ["ticket_types.Incident.close_fields", "churn_client.order"]
    assert shown["policy"]["churn_client"]["order"] == "inactive-last"
    assert shown["policy"]["churn_client"]["closed_status"] == "Closed"


async def test_a_file_that_is_not_valid_is_refused_with_every_problem(write: Write) -> None:
    file = write('timezone = "UTC"\n[churn_client]\nmode = "manual"\n')
    shown = await ask("show", file)
    checked = await ask("check", file)

    assert shown[0] == 2
    assert [line.split(": ")[2] for line in shown[2].splitlines()] == ["churn_client.mode", "timezone"]
    assert checked[0] == 2
    assert {problem["key"] for problem in checked[1]["problems"]} == {"churn_client.mode", "timezone"}


async def test_a_file_that_is_named_but_missing_is_refused(tmp_path: Path) -> None:
    code, _, complaints = await ask("show", tmp_path / "missing.toml")

    assert code == 2
    assert "cannot be read" in complaints


async def test_without_halopsa_only_the_file_is_checked(write: Write) -> None:
    file = write('[churn_client]\nclosed_status = "Nowhere"\n')

    assert await ask("check", file) == (0, {"file": str(file), "looked_up": False, "problems": []}, "")


async def test_names_are_looked_up_in_halopsa(halo: Halo, write: Write) -> None:
    file = write(
        """
        [halopsa]
        external_key = "CFCrmId"
        customer_group = "Customers"
        [clients]
        account_managers = {"jane@crm.example" = "jane@msp.example", "x@crm.example" = "Left The Company"}
        types = {Customer = "Customer", Vendor = "Vendors"}
        relationships = {Vendor = "Supplier"}
        [deals.new]
        sla = "Premium"
        [deals.new.kickoff]
        ticket_type = "Onboarding"
        summary = "Onboarding of {client.name}"
        team = "2nd Line Support"
        [churn_client]
        closed_status = "closd"
        keep_types = [25, "offboarding", 99]
        """
    )
    code, answer, _ = await ask("check", file, halo)
    problems = {problem["key"]: problem["problem"] for problem in answer["problems"]}

    assert (code, answer["looked_up"]) == (1, True)
    assert set(problems) == {
        'clients.account_managers."x@crm.example"',
        "clients.types.Vendor",
        "deals.new.kickoff.team",
        "churn_client.closed_status",
        "churn_client.keep_types[2]",
    }
    assert "write 'Closed'" in problems["churn_client.closed_status"]
    assert "write 'Vendor'" in problems["clients.types.Vendor"]


async def test_a_halopsa_that_does_not_answer_is_said(write: Write) -> None:
    code, answer, _ = await ask("check", write(""), Halo("http://127.0.0.1:9", httpx.AsyncClient()))

    assert code == 1
    assert "cannot be asked now" in answer["problems"][0]["problem"]
