"""`parhelion data-quality` and `parhelion link` as their users start them."""

import contextlib
import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.integration.processes import Halo, Parhelion, Process, parhelion
from workflows.sandbox import Sandbox
from workflows.sandbox.msp import plant_msp


@contextlib.asynccontextmanager
async def seeded() -> AsyncIterator[Halo]:
    """A look-alike with a plausible MSP, faults in its data included."""
    process = await Process.start("sandbox", "--bind", "127.0.0.1:0", "--until-eof", "--seed", "7")
    assert process.process.stdout
    url = json.loads(await process.process.stdout.readline())["url"]
    async with httpx.AsyncClient() as client:
        yield Halo(url, client)
    await process.interrupt()


@pytest.fixture
async def halo() -> AsyncIterator[Halo]:
    async with seeded() as one:
        yield one


@pytest.fixture
def env(halo: Halo, tmp_path: Path) -> dict[str, str]:
    return Parhelion(tmp_path / "data", halo.url).env


SIGN_IN = 2
"""Requests: where to sign in, and the token."""
Found = set[tuple[str, frozenset[int], frozenset[int]]]
PLANTED: Found = {
    (fault.kind, frozenset(fault.clients), frozenset(fault.records)) for fault in plant_msp(Sandbox(), 7).faults
}


def found(out: str) -> Found:
    return {
        (one["kind"], frozenset(c["id"] for c in one["clients"]), frozenset(r["id"] for r in one["records"]))
        for one in json.loads(out)
    }


async def test_the_planted_faults_are_shown_in_every_form(env: dict[str, str]) -> None:
    code, out, err = await parhelion("data-quality", "-o", "json", env=env)
    findings = json.loads(out)
    assert code == 1
    assert found(out) == PLANTED
    assert "contacts: " in err
    assert "sandbox-secret" not in out + err

    code, out, _ = await parhelion("data-quality", "-o", "csv", env=env)
    rows = list(csv.DictReader(out.splitlines()))
    assert code == 1
    assert [row["kind"] for row in rows] == [one["kind"] for one in findings]
    assert [row["clients"] for row in rows] == ["; ".join(c["name"] for c in one["clients"]) for one in findings]
    assert all(row["what"] and row["mend"] for row in rows)

    code, out, _ = await parhelion("data-quality", env=env)
    assert code == 1
    assert "client-hierarchy (" in out
    assert "To mend it: " in out
    assert f"{len(findings)} findings." in out


async def test_a_killed_examination_goes_on(env: dict[str, str], halo: Halo) -> None:
    await halo.faults(page_cap=10, latency_ms=20)
    before = await halo.requests()
    first = await Process.start("data-quality", "-o", "json", env=env)
    assert first.process.stderr
    while b"clients: " not in await first.process.stderr.readline():
        pass
    await first.kill()
    code, out, err = await parhelion("data-quality", "-o", "json", env=env)

    assert code == 1
    assert err.startswith("going on with what an examination has read")
    assert found(out) == PLANTED
    both = await halo.requests() - before
    await parhelion("data-quality", "-o", "json", env=env)
    whole = await halo.requests() - before - both
    assert both <= whole + SIGN_IN + 1, "what the first one was told was not asked for again"


async def test_what_the_policy_skips_is_not_looked_for(env: dict[str, str], tmp_path: Path) -> None:
    kinds = {kind for kind, _, _ in PLANTED}
    policy = tmp_path / "parhelion.toml"
    policy.write_text(f"[data_quality]\nskip = {json.dumps(sorted(kinds))}\n")
    code, out, _ = await parhelion("data-quality", "-o", "json", env=env | {"PARHELION_CONFIG": str(policy)})

    assert (code, json.loads(out)) == (0, [])


async def test_the_requests_are_counted_as_bulk_in_the_shared_budget(env: dict[str, str], halo: Halo) -> None:
    running = Parhelion(Path(env["PARHELION_DATA_DIR"]), halo.url)
    await running.up()
    code, _, err = await parhelion("data-quality", "-o", "json", env=running.env)
    async with httpx.AsyncClient() as client:
        metrics = (await client.get(f"{running.web}/metrics")).text

    assert code == 1, err
    spent = next(line for line in metrics.splitlines() if line.startswith('parhelion_budget_requests{kind="spent"}'))
    assert float(spent.split()[1]) >= 8


async def test_bad_settings_get_exit_code_2_and_a_halopsa_that_refuses_3(env: dict[str, str]) -> None:
    code, _, err = await parhelion("data-quality", env={"PARHELION_DATA_DIR": env["PARHELION_DATA_DIR"]})
    assert (code, "PARHELION_HALO_URL: is not set" in err) == (2, True)

    code, out, err = await parhelion("data-quality", env=env | {"PARHELION_HALO_CLIENT_SECRET": "wrong"})
    assert (code, out) == (3, "")
    assert "invalid_client" in err


async def test_link_plans_asks_and_writes(env: dict[str, str], halo: Halo, tmp_path: Path) -> None:
    await halo.plant("Client", {"name": "Zyx Brokers Ltd"}, {"name": "Wvu Marine", "ref": "C-2"})
    companies = tmp_path / "companies.csv"
    companies.write_text("id,name,domain\nC-1,ZYX Brokers Limited,zyx.example\nC-2,Wvu Marine,\n")

    code, out, _ = await parhelion("link", str(companies), "--plan", "-o", "json", env=env)
    assert (code, [one["state"] for one in json.loads(out)]) == (0, ["certain", "linked"])
    code, _, err = await parhelion("link", str(companies), "--apply", env=env)
    assert (code, "--yes" in err) == (2, True)
    assert await keys(halo, "C-1") == []

    code, out, _ = await parhelion("link", str(companies), "--apply", "--yes", "--reason", "first sync", env=env)
    assert (code, "written" in out) == (0, True)
    assert await keys(halo, "C-1") == ["Zyx Brokers Ltd"]
    kept = json.loads((Path(env["PARHELION_DATA_DIR"]) / "links.jsonl").read_text())
    assert (kept["reason"], list(kept["links"].values())) == ("first sync", ["C-1"])


async def test_link_leaves_what_is_uncertain_to_a_person(env: dict[str, str], halo: Halo, tmp_path: Path) -> None:
    await halo.plant("Client", {"name": "Zyx Brokers"}, {"name": "Zyx Brokers Ltd"})
    companies = tmp_path / "companies.json"
    companies.write_text(json.dumps([{"id": 1, "name": "Zyx Brokers Inc"}]))
    code, out, _ = await parhelion("link", str(companies), "--apply", "--yes", env=env)

    assert code == 1
    assert "uncertain" in out
    assert await keys(halo, "1") == []
    companies.write_text("id\n1\n")
    code, _, err = await parhelion("link", str(companies), env=env)
    assert (code, "name" in err) == (2, True)


async def keys(halo: Halo, key: str) -> list[str]:
    return [client["name"] for client in (await halo.state())["Client"] if client["ref"] == key]
