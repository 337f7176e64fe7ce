"""From a CRM's webhook to HaloPSA, with real processes: every delivery tells ids only."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crm_world import CLIENT_IDS, RECORDS
from tests.integration.processes import Halo, Parhelion, look_alike, parhelion, until
from webhooks.delivery import Delivery
from webhooks.samples import sample
from webhooks.sending import basic
from worker.assemble.store import Store, open_store
from workflows.sandbox.crm.crms import TOKEN
from workflows.sandbox.halopsa.reference import API_AGENT, WON_STATUS

SECRET = "secret-of-the-sender"
CONNECTION = {
    "hubspot": {"TOKEN": TOKEN},
    "pipedrive": {"TOKEN": TOKEN},
    "salesforce": {"CLIENT_ID": "app", "CLIENT_SECRET": "sandbox-secret"},
    "dynamics": {"CLIENT_ID": "app", "CLIENT_SECRET": "sandbox-secret", "TENANT": "t"},
}
SAMPLED = {
    "standard": "routed",
    "token": "ignored",  # the same deal
    "hubspot": "ignored",  # there is no such deal any more, as with the others
    "pipedrive": "ignored",
    "salesforce": "ignored",
    "dynamics": "ignored",
    "zoho": "failed",  # it is not connected
    "halopsa": "ignored",
}
"""What becomes of each source's sample."""

ACME: dict[str, list[dict[str, Any]]] = {
    "clients": [
        {
            "name": "Acme Corporation",
            "inactive": False,
            "website": "https://acme.example.com",
            "accountmanagertech": 3,
        }
    ],
    "sites": [
        {
            "name": "Springfield",
            "delivery_address": {
                "line1": "123 Main Street",
                "line2": "Suite 500",
                "line3": "Springfield",
                "line4": "IL",
                "postcode": "62701",
            },
        }
    ],
    "contacts": [
        {
            "firstname": "John",
            "surname": "Smith",
            "emailaddress": "john.smith@acme.example.com",
            "phonenumber": "555-123-4568",
        }
    ],
    "contracts": [{"start_date": "2026-11-23T00:00:00", "end_date": "1899-12-30T00:00:00", "active": True}],
}


def connection(system: str, halo: Halo) -> dict[str, str]:
    """The settings that connect a CRM."""
    there = {"URL": f"{halo.url}/{system}"} | ({"LOGIN_URL": f"{halo.url}/{system}"} if system == "dynamics" else {})
    return {f"PARHELION_{system.upper()}_{name}": text for name, text in (there | CONNECTION[system]).items()}


class Msp:
    """An MSP with one CRM, in which Acme's deal is won."""

    def __init__(self, system: str, halo: Halo, folder: Path) -> None:
        self.system = system
        self.halo = halo
        self.folder = folder
        self.parhelion = Parhelion(folder, halo.url)
        self.parhelion.env |= connection(system, halo)
        self.parhelion.env[f"PARHELION_WEBHOOK_SECRET_{system.upper()}"] = SECRET

    async def plant(self) -> None:
        for table, rows in RECORDS[self.system].items():
            await self.halo.plant(table, *rows)

    async def win_now(self) -> None:
        """Let the deal of HubSpot or Pipedrive be won at this moment."""
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        (deal,) = RECORDS[self.system][f"{self.system}.deals"]
        changed = deal | {"update_time": now}
        if self.system == "hubspot":
            changed = deal | {"properties": deal["properties"] | {"hs_lastmodifieddate": now}}
        await self.halo.plant(f"{self.system}.deals", changed)

    async def deliver(self) -> httpx.Response:
        return await post(
            sample(self.system, SECRET, f"{self.parhelion.web}/webhooks/{self.system}", datetime.now(UTC))
        )

    async def is_connected(self) -> bool:
        """Whether the worker has looked at the CRM; what is lost from now on is made up for."""
        async with running_store(self.folder) as store:
            return bool(await store.scripts.read("HEXISTS", "ph:backfilled", self.system))

    async def backfill(self, *args: str) -> tuple[int, list[dict[str, Any]]]:
        return await backfill(self.parhelion, self.system, *args)


@asynccontextmanager
async def running_store(folder: Path) -> AsyncIterator[Store]:
    """Look into the Valkey of the `up` that runs in a folder."""
    up = json.loads((folder / "valkey.json").read_text())
    async with open_store(up["url"]) as store:
        yield store


async def backfill(product: Parhelion, source: str, *args: str) -> tuple[int, list[dict[str, Any]]]:
    """Ask a source for what was missed since yesterday; returns the exit code and what it was."""
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    code, out, err = await parhelion(
        "events", "backfill", source, "--since", since, "-o", "json", *args, env=product.env
    )
    assert out, err
    return code, json.loads(out)[0]["missed"]


async def post(delivery: Delivery) -> httpx.Response:
    async with httpx.AsyncClient(timeout=20) as client:
        return await client.post(delivery.url, content=delivery.body, headers=dict(delivery.headers))


def only(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row.get(name) for name in names}


async def onboarded(halo: Halo) -> dict[str, list[dict[str, Any]]]:
    """What stands in HaloPSA of Acme; without the site's telephone, which Pipedrive's organisations do not have."""
    state = await halo.state()
    clients = [one for one in state["Client"] if one["name"] == "Acme Corporation"]
    of_acme = {one["id"] for one in clients}
    sites = [one for one in state["Site"] if one["client_id"] in of_acme]
    contacts = [one for one in state["Users"] if one.get("emailaddress")]
    contracts = [one for one in state["ClientContract"] if one["client_id"] in of_acme]
    return {
        "clients": [only(one, "name", "inactive", "website", "accountmanagertech", "ref") for one in clients],
        "sites": [only(one, "name", "delivery_address") for one in sites],
        "contacts": [only(one, "firstname", "surname", "emailaddress", "phonenumber") for one in contacts],
        "contracts": [only(one, "start_date", "end_date", "active") for one in contracts],
    }


@pytest.mark.parametrize("system", CONNECTION)
async def test_a_won_deal_becomes_the_same_client_whichever_crm_tells(system: str, tmp_path: Path) -> None:
    async with look_alike() as halo:
        msp = Msp(system, halo, tmp_path)
        await msp.plant()
        up = await msp.parhelion.up()
        answer = await msp.deliver()
        assert answer.is_success, answer.text
        (run,) = await msp.parhelion.ended(1)
        assert (run["workflow"], run["state"], run["error"]) == ("onboard_client", "succeeded", None)
        assert await onboarded(halo) == {**ACME, "clients": [{**ACME["clients"][0], "ref": CLIENT_IDS[system]}]}
        await up.interrupt()


async def test_deliveries_that_were_lost_while_the_endpoint_was_down_are_found_and_run_once(tmp_path: Path) -> None:
    async with look_alike() as halo:
        msp = Msp("hubspot", halo, tmp_path)
        up = await msp.parhelion.up()
        await until(msp.is_connected)
        await up.kill()
        await msp.plant()
        await msp.win_now()
        up = await msp.parhelion.up()

        (run,) = await msp.parhelion.ended(1)

        assert (run["workflow"], run["state"]) == ("onboard_client", "succeeded")
        await msp.deliver()
        assert await msp.backfill("--plan") == (0, [])
        assert [one["id"] for one in await msp.parhelion.runs()] == [run["id"]]
        assert len((await onboarded(halo))["clients"]) == 1
        await up.interrupt()


async def test_a_backfill_by_hand_shows_what_was_missed_and_hands_it_in(tmp_path: Path) -> None:
    async with look_alike() as halo:
        msp = Msp("pipedrive", halo, tmp_path)
        await msp.plant()
        await msp.win_now()
        up = await msp.parhelion.up()

        code, planned = await msp.backfill("--plan")
        assert (code, [(one["type"], one["client"]) for one in planned]) == (0, [("deal.won", "Acme Corporation")])
        assert await msp.parhelion.runs() == []
        assert await msp.backfill() == (0, planned)
        (run,) = await msp.parhelion.ended(1)
        assert (run["state"], await msp.backfill()) == ("succeeded", (0, []))
        await up.interrupt()


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("zoho", "--since", "2026-11-23"), 2, "zoho: cannot be asked; connected are hubspot"),
        (("--since", "yesterday"), 2, "must be an ISO date or time"),
        (("--since", "2026-11-23"), 1, "hubspot: cannot be asked"),
    ],
)
async def test_a_backfill_that_cannot_be_made_says_why(
    args: tuple[str, ...], code: int, says: str, tmp_path: Path, valkey: str
) -> None:
    nowhere = "http://127.0.0.1:1"
    msp = Msp("hubspot", Halo(nowhere, httpx.AsyncClient()), tmp_path)
    ended, _, err = await parhelion(
        "events", "backfill", *args, env=msp.parhelion.env | {"PARHELION_REDIS_URL": valkey}
    )

    assert (ended, says in err) == (code, True), err


INACTIVE_MEANS_CHURNED = """
[[sources.halopsa.churned]]
object = "client"
field = "inactive"
values = ["true"]
"""


async def halopsa_tells(product: Parhelion, folder: Path, client: int, number: int, **more: Any) -> str:
    """Send HaloPSA's message that a client has changed; returns what became of it."""
    told = {"id": f"message-{number}", "event": "client updated", "object_id": client, "client": {"id": client}, **more}
    address, proof = f"{product.web}/webhooks/halopsa", basic(SECRET, "halopsa")
    async with httpx.AsyncClient(timeout=20) as sender:
        answer = await sender.post(address, json=told | {"timestamp": datetime.now(UTC).isoformat()}, headers=proof)
    (event,) = answer.json()["accepted"]

    async with running_store(folder) as store:

        async def closed() -> str:
            stored = await store.reader.event(event) or {}
            return "" if stored.get("state") == "received" else stored.get("state", "")

        return str(await until(closed))


async def test_a_churn_of_our_own_does_not_start_a_second_one_and_a_persons_does(tmp_path: Path) -> None:
    policy, data = tmp_path / "parhelion.toml", tmp_path / "data"
    policy.write_text(INACTIVE_MEANS_CHURNED)
    async with look_alike() as halo:
        product = Parhelion(data, halo.url)
        product.env |= {"PARHELION_CONFIG": str(policy), "PARHELION_WEBHOOK_SECRET_HALOPSA": SECRET}
        up = await product.up()
        for name in ("deal-won", "client-churned"):
            event = json.loads(files("worker.demo").joinpath(f"{name}.json").read_text())
            await product.send(event, name)
        await product.ended(2)
        (acme,) = [one for one in (await halo.state())["Client"] if one["name"] == "Acme Corporation"]
        assert acme["inactive"]

        assert await halopsa_tells(product, data, acme["id"], 1, agent_id=API_AGENT) == "ignored"
        assert await halopsa_tells(product, data, acme["id"], 2) == "ignored"
        assert await backfill(product, "halopsa") == (0, [])

        await halo.plant("Client", {"id": 77, "name": "Northwind", "inactive": True, "toplevel_id": 2})
        await halo.plant("Tickets", {"summary": "VPN", "client_id": 77, "tickettype_id": 1})
        assert await halopsa_tells(product, data, 77, 3, agent_id=3) == "routed"
        assert [run["client"] for run in await product.runs()] == ["Northwind", "Acme Corporation", "Acme Corporation"]
        await up.interrupt()


async def test_the_sample_of_every_source_is_taken_in_and_ends(tmp_path: Path) -> None:
    secrets = {f"PARHELION_WEBHOOK_SECRET_{source.upper()}": SECRET for source in (*CONNECTION, "zoho", "halopsa")}
    async with look_alike() as halo:
        product = Parhelion(tmp_path, halo.url)
        product.env |= secrets | {
            name: text for system in CONNECTION for name, text in connection(system, halo).items()
        }
        up = await product.up()

        for source in [source for source in SAMPLED if source != "hubspot"]:
            secret = product.env[f"PARHELION_WEBHOOK_SECRET_{source.upper()}"]
            answer = await post(sample(source, secret, f"{product.web}/webhooks/{source}", datetime.now(UTC)))
            assert answer.is_success, answer.text
        code, _, complaint = await parhelion("events", "send", "hubspot", env=product.env)
        assert (code, complaint) == (0, "")

        async with running_store(tmp_path) as store:

            async def all_ended() -> dict[str, str]:
                states = {event["source"]: event["state"] for _, event in await store.reader.events()}
                return {} if "received" in states.values() else states

            assert await until(all_ended) == SAMPLED
        await up.interrupt()


async def test_a_won_deal_without_a_client_is_a_finding(tmp_path: Path) -> None:
    async with look_alike() as halo:
        msp = Msp("hubspot", halo, tmp_path)
        await msp.plant()
        await msp.win_now()

        _, out, err = await parhelion("data-quality", "-o", "json", env=msp.parhelion.env)

        assert "won-deal-without-client" in {finding["kind"] for finding in json.loads(out)}, err


async def test_an_opportunity_whose_message_halopsa_did_not_get_through_is_found(tmp_path: Path) -> None:
    won = {"summary": "Northwind", "status_id": WON_STATUS, "oppcompanyname": "Northwind", "oppcontactname": "Ann Lee"}
    async with look_alike() as halo:
        product = Parhelion(tmp_path, halo.url)
        product.env["PARHELION_WEBHOOK_SECRET_HALOPSA"] = SECRET
        up = await product.up()
        await halo.plant("Opportunities", won | {"oppemailaddress": "ann@northwind.example"})

        code, missed = await backfill(product, "halopsa")

        assert (code, [(one["type"], one["client"]) for one in missed]) == (0, [("deal.won", "Northwind")])
        (run,) = await product.ended(1)
        assert (run["workflow"], run["state"]) == ("onboard_client", "succeeded")
        assert await backfill(product, "halopsa") == (0, [])
        await up.interrupt()
