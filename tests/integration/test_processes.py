"""The product as its users run it: real processes, real HTTP, real signals."""

import asyncio
import copy
import fcntl
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.processes import Halo, Parhelion, Process, look_alike, parhelion, until

DEAL: dict[str, Any] = json.loads(files("worker.demo").joinpath("deal-won.json").read_text())
CHURN: dict[str, Any] = json.loads(files("worker.demo").joinpath("client-churned.json").read_text())


@pytest.fixture
async def halo() -> AsyncIterator[Halo]:
    async with look_alike() as halo:
        yield halo


@pytest.fixture
def product(tmp_path: Path, halo: Halo) -> Parhelion:
    return Parhelion(tmp_path / "data", halo.url)


def deal(number: int) -> dict[str, Any]:
    event = copy.deepcopy(DEAL)
    event["data"]["deal"]["id"] = f"D-{number}"
    event["data"]["client"] |= {"id": f"C-{number}", "name": f"Client {number}"}
    event["data"]["contacts"][0]["email"] = f"john@client-{number}.example.com"
    return event


def no_valkey_lives(data_dir: Path) -> bool:
    with (data_dir / "valkey.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def of_clients(records: list[dict[str, Any]], clients: list[dict[str, Any]], name: str = "client_id") -> Counter[str]:
    owners = {int(client["id"]): client["name"] for client in clients if client.get("ref")}
    return Counter(owners[int(record[name])] for record in records if int(record[name]) in owners)


async def test_a_won_deal_stands_in_halopsa_and_a_churn_winds_it_down(product: Parhelion, halo: Halo) -> None:
    process = await product.up()
    for _ in range(5):
        assert (await product.send(DEAL, "one-delivery")).status_code == 202
    for number in range(5):
        assert (await product.send(DEAL, f"delivery-{number}")).status_code == 202
    (onboarded,) = await product.ended(1)
    state = await halo.state()
    (client,) = [one for one in state["Client"] if one.get("ref") == "C-77"]
    (site,) = [one for one in state["Site"] if int(one["client_id"]) == client["id"]]
    contacts = [one for one in state["Users"] if int(one["site_id"]) == site["id"] and one.get("emailaddress")]
    contracts = [one for one in state["ClientContract"] if one["client_id"] == client["id"]]

    assert (onboarded["workflow"], onboarded["state"]) == ("onboard_client", "succeeded")
    assert (client["name"], site["name"], client["main_site_id"]) == ("Acme Corporation", "Acme HQ", site["id"])
    assert site["delivery_address"]["line1"] == "123 Main Street"
    assert [contact["emailaddress"] for contact in contacts] == ["john.smith@acme.example.com"]
    assert [contract["ref"] for contract in contracts] == ["D-1001"]

    await halo.plant(
        "Tickets",
        *({"summary": f"Ticket {n}", "client_id": client["id"], "tickettype_id": 1} for n in range(3)),
    )
    await product.send(CHURN, "churn")
    runs = await product.ended(2)
    state = await halo.state()
    (client,) = [one for one in state["Client"] if one.get("ref") == "C-77"]
    tickets = [one for one in state["Tickets"] if one["client_id"] == client["id"]]

    assert {run["workflow"]: run["state"] for run in runs} == {
        "onboard_client": "succeeded",
        "churn_client": "succeeded",
    }
    assert client["inactive"] is True
    assert [ticket["hasbeenclosed"] for ticket in tickets] == [True] * 3
    for ticket in tickets:
        notes = [one["note"] for one in state["Actions"] if one["ticket_id"] == ticket["id"]]
        assert any("moved to another provider" in note for note in notes)
    assert [one["end_date"][:10] for one in state["ClientContract"] if one["client_id"] == client["id"]] == [
        "2026-09-30"
    ]
    assert (await process.interrupt())[0] == 0


async def test_a_killed_worker_leaves_nothing_doubled_and_every_run_ends(product: Parhelion, halo: Halo) -> None:
    await halo.faults(latency_ms=150)
    process = await product.up()
    accepted = [(await product.send(deal(number), f"delivery-{number}")).json()["accepted"] for number in range(4)]
    for _ in range(2):
        before = await halo.requests()

        async def some_more(before: int = before) -> bool:
            return await halo.requests() >= before + 9

        await until(some_more)
        await process.kill()
        process = await product.up()
    runs = await product.ended(4)
    state = await halo.state()

    assert [len(ids) for ids in accepted] == [1] * 4
    assert {run["state"] for run in runs} == {"succeeded"}
    clients = [one for one in state["Client"] if one.get("ref")]
    expected = {f"Client {number}": 1 for number in range(4)}
    assert Counter(one["name"] for one in clients) == expected
    assert of_clients(state["Site"], clients) == expected
    assert of_clients(state["ClientContract"], clients) == expected
    assert of_clients([one for one in state["Users"] if one.get("emailaddress")], clients) == expected
    await process.interrupt()


async def test_an_invalid_deal_fails_with_all_its_problems_and_a_mended_one_passes(
    product: Parhelion, halo: Halo
) -> None:
    process = await product.up()
    broken = copy.deepcopy(DEAL)
    broken["data"]["client"] |= {"name": " ", "email": "not-an-address", "website": "not a website"}
    await product.send(broken, "broken")
    (failed,) = await product.ended(1)
    assert not [one for one in (await halo.state())["Client"] if one.get("ref")]

    await product.send(DEAL, "mended")
    runs = await product.ended(2)

    assert failed["state"] == "failed"
    for problem in ("Client name is required", "Invalid email format", "Invalid website URL"):
        assert problem in failed["error"]
    assert Counter(run["state"] for run in runs) == {"failed": 1, "succeeded": 1}
    await process.interrupt()


async def test_deliveries_are_refused_while_valkey_is_away_and_taken_when_it_is_back(
    product: Parhelion, halo: Halo
) -> None:
    process = await product.up()
    valkey = json.loads((Path(product.env["PARHELION_DATA_DIR"]) / "valkey.json").read_text())
    pid = await _valkey_pid(valkey["url"])
    os.kill(pid, signal.SIGSTOP)
    refused = await product.send(deal(1), "one")
    os.kill(pid, signal.SIGKILL)

    async def taken() -> bool:
        return (await product.send(deal(1), "one")).status_code == 202

    await until(taken)
    (run,) = await product.ended(1)

    assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert run["state"] == "succeeded"
    assert len([one for one in (await halo.state())["Client"] if one.get("ref")]) == 1
    await process.interrupt()


async def _valkey_pid(url: str) -> int:
    from worker.store import store_client  # noqa: PLC0415 - only here does the test look behind the commands

    client = store_client(url, tries=1)
    try:
        return int((await client.info("server"))["process_id"])
    finally:
        await client.aclose(close_connection_pool=True)


async def test_ctrl_c_stops_everything_and_a_reading_command_opens_the_idle_data(product: Parhelion) -> None:
    process = await product.up()
    await product.send(DEAL, "one")
    await product.ended(1)

    code, _, log = await process.interrupt()

    assert code == 0
    assert no_valkey_lives(Path(product.env["PARHELION_DATA_DIR"]))
    assert "Traceback" not in log
    assert [run["state"] for run in await product.runs()] == ["succeeded"]


async def test_the_demo_succeeds_and_a_second_one_onboards_nothing_again(tmp_path: Path) -> None:
    env = {"PARHELION_DATA_DIR": str(tmp_path), "PARHELION_WEB_BIND": "127.0.0.1:0"}
    first = await parhelion("demo", "--once", env=env)
    second = await parhelion("demo", "--once", env=env)
    _, listed, _ = await parhelion("runs", "list", "-o", "json", env=env)
    halo = json.loads((tmp_path / "sandbox.json").read_text())

    assert (first[0], first[2]) == (0, "")
    assert second[0] == 0
    assert "known already" in second[1]
    runs = json.loads(listed)
    assert {run["workflow"]: run["state"] for run in runs} == {
        "onboard_client": "succeeded",
        "churn_client": "succeeded",
    }
    assert len(runs) == 2
    assert len([one for one in halo["Client"] if one.get("ref") == "9045672210"]) == 1
    _, exported, _ = await parhelion("runs", "export", env=env)
    assert [json.loads(line)["id"] for line in exported.splitlines()] == [run["id"] for run in reversed(runs)]
    _, events, _ = await parhelion("events", "list", "-o", "json", env=env)
    (won,) = [event for event in json.loads(events) if event["runs"] == [runs[1]["id"]]]
    assert won["payload"]["told"]["data"]["values"] == {"dealstage": "closedwon"}, "HubSpot tells ids only"
    assert won["payload"]["data"]["client"]["name"] == "Acme Corporation"
    code, shown, _ = await parhelion("runs", "show", runs[0]["id"], "-o", "json", env=env)
    assert code == 0
    assert {step["state"] for step in json.loads(shown)["steps"]} == {"succeeded"}


async def test_the_demo_ends_at_ctrl_c_with_its_look_alike(tmp_path: Path) -> None:
    env = {"PARHELION_DATA_DIR": str(tmp_path), "PARHELION_WEB_BIND": "127.0.0.1:0"}
    demo = await Process.start("demo", env=env)
    assert demo.process.stdout
    story = ""
    async with asyncio.timeout(30):
        while "Ctrl-C" not in story:
            line = await demo.process.stdout.readline()
            assert line, await demo.end()
            story += line.decode()

    code, _, err = await demo.interrupt()

    assert (code, err) == (0, "")
    assert "curl -H 'Authorization: Bearer" in story
    assert no_valkey_lives(tmp_path)
    look_alike_url = next(word for word in story.split() if word.startswith("http") and "/" not in word[7:])
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(look_alike_url)


async def test_trigger_hands_in_an_event_and_waits_for_its_run(product: Parhelion, tmp_path: Path) -> None:
    process = await product.up()
    (tmp_path / "deal.json").write_text(json.dumps(DEAL))

    first = await parhelion("trigger", str(tmp_path / "deal.json"), "--wait", "-o", "json", env=product.env)
    again = await parhelion("trigger", str(tmp_path / "deal.json"), "--wait", "-o", "json", env=product.env)

    assert (first[0], again[0]) == (0, 0), first
    assert json.loads(first[1]) == json.loads(again[1])
    assert json.loads(first[1])[0]["state"] == "succeeded"
    code, _, complaint = await parhelion("runs", "show", "no-such-run", env=product.env)
    assert (code, complaint.count("\n")) == (4, 1)
    await process.interrupt()


REFUSED = {"POST /api/ClientContract": "Please select a valid Contract Type"}


async def failed_at_the_contract(product: Parhelion, halo: Halo, number: int) -> str:
    await halo.faults(refuse=REFUSED)
    await product.send(deal(number), f"deal-{number}")

    async def failed() -> list[dict[str, Any]]:
        return [run for run in await product.runs() if run["state"] == "failed"]

    (run, *_) = await until(failed)
    assert run["step"] == "contract"
    assert REFUSED["POST /api/ClientContract"] in run["error"]
    assert "retry" in run["error"]
    return str(run["id"])


async def test_failed_runs_are_retried_together_after_a_preview(product: Parhelion, halo: Halo) -> None:
    process = await product.up()
    await halo.faults(refuse=REFUSED)
    for number in range(3):
        await product.send(deal(number), f"deal-{number}")
    await product.ended(3)
    await halo.faults(refuse={})

    previewed = await parhelion("runs", "retry", "--error", "contract type", env=product.env)
    untouched = {run["state"] for run in await product.runs()}
    retried = await parhelion(
        "runs", "retry", "--error", "contract type", "--client", "client", "--yes", env=product.env
    )

    async def all_succeeded() -> bool:
        return {run["state"] for run in await product.runs()} == {"succeeded"}

    await until(all_succeeded)
    assert (previewed[0], previewed[1].count("onboard_client"), untouched) == (2, 3, {"failed"})
    assert (retried[0], retried[1].count("retried")) == (0, 3)
    assert (await parhelion("runs", "retry", "--error", "contract type", "--yes", env=product.env))[0] == 4
    await process.interrupt()


async def test_what_halopsa_refuses_can_be_mended_done_by_hand_or_left_out(product: Parhelion, halo: Halo) -> None:
    process = await product.up()

    async def act(*args: str) -> tuple[int, dict[str, Any]]:
        code, _, err = await parhelion("runs", *args, "--reason", "a test", env=product.env)
        assert code == 0, err
        code, shown, _ = await parhelion("runs", "wait", args[1], "-o", "json", env=product.env)
        return code, json.loads(shown)

    mended = await failed_at_the_contract(product, halo, 1)
    await halo.faults(refuse={})
    retried = await act("retry", mended)
    by_hand = await act(
        "mark-done", await failed_at_the_contract(product, halo, 2), "contract", "--result", '{"id": 301}'
    )
    left_out = await act("skip", await failed_at_the_contract(product, halo, 3), "contract")

    assert [(code, run["state"]) for code, run in (retried, left_out)] == [
        (0, "succeeded"),
        (0, "succeeded_with_skips"),
    ]
    assert by_hand[1]["history"][0]["action"] == "contract marked done"
    assert {entry["reason"] for entry in by_hand[1]["history"]} == {"a test"}
    assert left_out[1]["result"]["contract_id"] is None
    await process.interrupt()


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = {"PARHELION_DATA_DIR": str(tmp_path), "PARHELION_WEB_BIND": f"127.0.0.1:{taken.getsockname()[1]}"}
        code, _, complaint = await parhelion("demo", "--once", env=env)

    assert (code, complaint.count("\n")) == (3, 1)
    assert "PARHELION_WEB_BIND" in complaint


async def test_bad_settings_are_listed_whole(tmp_path: Path) -> None:
    env = {
        "PARHELION_DATA_DIR": str(tmp_path),
        "PARHELION_WEBHOOK_SECRET_STANDARD": "short",
        "PARHELION_WEBHOOK_SECRET_NOBODY": "x",
    }
    code, _, complaint = await parhelion("up", env=env)

    assert code == 2
    for name in (
        "WEBHOOK_SECRET_STANDARD",
        "WEBHOOK_SECRET_NOBODY",
        "HALO_URL",
        "HALO_CLIENT_ID",
        "HALO_CLIENT_SECRET",
    ):
        assert f"PARHELION_{name}: " in complaint
    assert complaint.count("\n") == 5


@pytest.mark.parametrize("body", ["", "[1", "[]", '{"data": {}}', "\ud800".encode("utf-8", "surrogatepass")])
async def test_trigger_refuses_what_is_no_event(tmp_path: Path, body: str | bytes) -> None:
    (tmp_path / "event.json").write_bytes(body if isinstance(body, bytes) else body.encode())
    code, _, complaint = await parhelion(
        "trigger", str(tmp_path / "event.json"), env={"PARHELION_DATA_DIR": str(tmp_path)}
    )

    assert (code, complaint.count("\n")) == (2, 1)
    assert "not a canonical event" in complaint


async def test_nothing_has_run_here_is_said(tmp_path: Path) -> None:
    code, _, complaint = await parhelion("runs", "list", env={"PARHELION_DATA_DIR": str(tmp_path / "empty")})

    assert (code, complaint.count("\n")) == (3, 1)
    assert "parhelion up" in complaint
    assert not (tmp_path / "empty").exists()


async def test_health_readiness_and_metrics_are_there(product: Parhelion) -> None:
    process = await product.up()
    await product.send(DEAL, "one")
    await product.ended(1)
    async with httpx.AsyncClient(base_url=product.web) as client:
        health, ready, metrics = [(await client.get(path)) for path in ("/healthz", "/readyz", "/metrics")]

    assert (health.status_code, ready.status_code) == (200, 200)
    assert 'parhelion_deliveries_total{outcome="accepted",source="standard"} 1.0' in metrics.text
    assert 'parhelion_runs{state="succeeded"} 1.0' in metrics.text
    await process.interrupt()
