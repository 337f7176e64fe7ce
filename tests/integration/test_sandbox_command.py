"""`parhelion sandbox` as its users start it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.processes import Process, parhelion
from workflows.sandbox import Faults

ANYWHERE = ("--bind", "127.0.0.1:0")


@asynccontextmanager
async def sandbox(*options: str) -> AsyncIterator[httpx.AsyncClient]:
    """A sandbox in a process of its own, and a caller of its control door."""
    process = await Process.start("sandbox", *ANYWHERE, "--until-eof", *options)
    assert process.process.stdout
    url = json.loads(await process.process.stdout.readline())["url"]
    async with httpx.AsyncClient(base_url=f"{url}/sandbox") as client:
        yield client
    assert (await process.interrupt())[0] == 0


async def state_of(client: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await client.get("/state")).json())


async def test_a_seed_plants_the_faults_that_it_shows() -> None:
    code, shown, _ = await parhelion("sandbox", "--seed", "7", "--show-planted")
    faults = json.loads(shown)["faults"]
    async with sandbox("--seed", "7") as client:
        users = {user["id"]: user for user in (await state_of(client))["Users"]}
        switches = (await client.get("/faults")).json()
    without_email = {user for fault in faults if fault["kind"] == "contact-without-email" for user in fault["records"]}
    assert code == 0
    assert without_email
    assert without_email == {
        user["id"] for user in users.values() if user["name"] != "General User" and not user["emailaddress"]
    }
    assert switches["seed"] == 7


async def test_a_kept_tenant_is_not_planted_into_again(tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "sandbox.json"))
    async with sandbox(*state, "--seed", "7", "--dialect", "guide") as client:
        planted = await state_of(client)
    async with sandbox(*state, "--seed", "8") as client:
        assert await state_of(client) == planted
    code, _, said = await parhelion("sandbox", *state, "--dialect", "v2")
    assert (code, "speaks guide" in said) == (2, True)


async def test_faults_are_switched_by_json_or_text() -> None:
    options = ("page_cap=7", "post_answer=envelope", 'rate_limit={"requests": 5, "window_s": 1}', "drop_nth=[2, 3]")
    async with sandbox(*(part for option in options for part in ("--fault", option))) as client:
        found = (await client.get("/faults")).json()
    assert found["page_cap"] == 7
    assert found["post_answer"] == "envelope"
    assert found["rate_limit"] == {"requests": 5, "window_s": 1.0}
    assert sorted(found["drop_nth"]) == [2, 3]


async def test_unpleasant_switches_all_but_what_is_said_otherwise() -> None:
    async with sandbox("--unpleasant", "--fault", "lose_answers=0.5", "--seed", "7") as client:
        found = (await client.get("/faults")).json()
    switched = Faults.model_validate({name: found[name] for name in Faults.model_fields})
    assert switched == Faults.unpleasant(lose_answers=0.5, seed=7)


async def test_wrong_faults_end_the_command_with_what_there_is() -> None:
    code, _, said = await parhelion("sandbox", *ANYWHERE, "--fault", "page_cup=7", "--fault", "page_cap=0")
    assert code == 2
    assert "--fault page_cup: there is no such switch" in said
    assert "--fault page_cap: Input should be greater than or equal to 1" in said
    assert all(f"  {name}=" in said for name in Faults.model_fields)


async def test_every_fault_is_listed_with_what_it_takes_and_does() -> None:
    code, listed, _ = await parhelion("sandbox", "--list-faults", "-o", "json")
    switches = json.loads(listed)
    assert code == 0
    assert [switch["name"] for switch in switches] == list(Faults.model_fields)
    assert all(switch["takes"] and switch["does"] for switch in switches)
    takes = {switch["name"]: switch["takes"] for switch in switches}
    assert takes["login_type"] == "agent|none"
    assert takes["lose_answers"] == "number from 0 to 1"
    assert takes["rate_limit"] == '{"requests": integer, "window_s": number}|null'


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--bind", "8090"), "must be host:port"),
        (("--bind", "127.0.0.1:70000"), "must be host:port"),
        (("--state", "/"), "--state / cannot be read"),
        (("--show-planted",), "say which with --seed"),
        (("--dialect", "v3"), "--dialect"),
    ],
)
async def test_bad_options_end_the_command(options: tuple[str, ...], complaint: str) -> None:
    code, _, said = await parhelion("sandbox", *options)
    assert code == 2
    assert complaint in said
