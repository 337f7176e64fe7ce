"""`parhelion doctor` as an engineer runs it, against a look-alike in a process of its own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.integration.processes import Parhelion, look_alike, parhelion
from worker.assemble.store import budget_of, open_store
from worker.budget import Hold
from worker.cli.store_checks import Setup, budget, durability
from worker.settings import Settings


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The settings but for HaloPSA's address."""
    settings = Parhelion(tmp_path, "").env
    del settings["PARHELION_HALO_URL"]
    return settings


async def examined(env: Mapping[str, str], *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    code, out, err = await parhelion("doctor", "-o", "json", *options, env=env)
    findings = {finding["check"]: finding for finding in json.loads(out)}
    assert "sandbox-secret" not in out + err
    assert [line.split()[1] for line in err.splitlines()] == list(findings), "progress names each check"
    return code, findings


async def test_a_sound_tenant_and_a_running_valkey_get_exit_code_0(tmp_path: Path) -> None:
    async with look_alike() as halo:
        running = Parhelion(tmp_path, halo.url)
        await running.up()
        code, findings = await examined(running.env, "--write-test", "--yes")
        clients = (await halo.state())["Client"]

    assert code == 0
    assert {finding["state"] for finding in findings.values()} <= {"ok", "warning", "skipped"}
    assert findings["sign-in"].keys() == {"check", "state", "concerns", "seen", "remedy"}
    assert [findings[check]["state"] for check in ("sources", "store", "durability", "budget")] == ["ok"] * 4
    assert [client["inactive"] for client in clients if client["name"].startswith("Parhelion doctor")] == [True]


async def test_each_trouble_is_named_with_its_remedy(env: dict[str, str]) -> None:
    async with look_alike() as halo:
        env |= {"PARHELION_HALO_URL": halo.url}
        await halo.faults(main_contact_required=True, role={"tickets": "none"})
        code, findings = await examined(env | {"PARHELION_HALO_SCOPE": "all read:teams"}, "--write-test", "--yes")
        assert code == 1
        assert "Refused: read:teams" in findings["sign-in"]["seen"]
        assert "Configuration > Agents > Roles" in findings["tickets"]["remedy"]
        assert "main contact" in findings["write-client"]["remedy"]

        await halo.faults(login_type="none")
        code, findings = await examined(env)
        assert code == 1
        assert "login type to Agent" in findings["closing-agent"]["remedy"]


async def test_the_table_shows_what_would_fail_where_and_how_to_mend_it(env: dict[str, str]) -> None:
    async with look_alike() as halo:
        await halo.faults(forbid=["GET /api/Tickets"])
        code, out, _ = await parhelion("doctor", env=env | {"PARHELION_HALO_URL": halo.url})
        clients = (await halo.state())["Client"]

    assert code == 1
    assert "not tried; with --write-test it is" in out[out.index("Not looked at") : out.index("Would fail")]
    shown = out[out.index("Would fail") :]
    assert "At: churn_client: snapshot, open-tickets, verify" in shown
    assert "To mend it: Under Configuration > Agents > Roles" in shown
    assert not any(client["name"].startswith("Parhelion doctor") for client in clients)


async def test_bad_settings_and_a_missing_yes_get_exit_code_2(env: dict[str, str]) -> None:
    code, _, err = await parhelion("doctor", env=env)
    assert (code, "PARHELION_HALO_URL: is not set" in err) == (2, True)

    code, _, err = await parhelion("doctor", "--write-test", env=env | {"PARHELION_HALO_URL": "http://halo.test"})
    assert (code, "--yes" in err) == (2, True)


async def test_an_address_where_nobody_answers_is_named(env: dict[str, str]) -> None:
    code, findings = await examined(env | {"PARHELION_HALO_URL": "http://127.0.0.1:9"})

    assert code == 1
    assert "PARHELION_HALO_URL" in findings["sign-in"]["remedy"]
    assert findings["tickets"]["state"] == "skipped"


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize(("limit", "state"), [(250, "warning"), (2, "ok")])
async def test_a_429_below_the_budget_is_a_warning(valkey: str, limit: int, state: str) -> None:
    settings = Settings(halo_budget_requests=limit)
    async with open_store(valkey) as store:
        setup, shared = Setup(settings, store), budget_of(Settings(), store)
        assert (await budget(setup)).state == "ok"
        hold = await shared.reserve(3, bulk=False, waiter="test", since=0)
        assert isinstance(hold, Hold)
        hold.sent = 3
        await shared.settle([hold])
        await shared.close(None)
        verdict = await budget(setup)

    assert verdict.state == state
    assert "when at most 3 were Parhelion's" in verdict.seen


@pytest.mark.parametrize(("accepted", "state"), [(False, "fails"), (True, "warning")])
async def test_a_valkey_that_loses_data_is_told(valkey: str, redis: Redis, accepted: bool, state: str) -> None:
    await redis.config_set("appendfsync", "everysec")
    try:
        async with open_store(valkey) as store:
            verdict = await durability(Setup(Settings(allow_data_loss=accepted), store))
    finally:
        await redis.config_set("appendfsync", "always")

    assert verdict.state == state
    assert "appendfsync always" in verdict.seen
