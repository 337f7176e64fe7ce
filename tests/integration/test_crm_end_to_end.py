"""From a CRM's webhook to HaloPSA, with real processes: every delivery tells ids only."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crm_world import CLIENT_IDS, RECORDS
from tests.integration.processes import Halo, Parhelion, look_alike, parhelion, until
from webhooks.delivery import Delivery
from webhooks.samples import sample
from worker.assemble import open_store
from workflows.sandbox.crm.crms import TOKEN

SECRET = "secret-of-the-sender"
SIGN_IN = {
    "hubspot": {"TOKEN": TOKEN},
    "pipedrive": {"TOKEN": TOKEN},
    "salesforce": {"CLIENT_ID": "app", "CLIENT_SECRET": "sandbox-secret"},
    "dynamics": {"CLIENT_ID": "app", "CLIENT_SECRET": "sandbox-secret", "TENANT": "t"},
}

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


class Msp:
    """An MSP with one CRM, in which Acme's deal is won."""

    def __init__(self, system: str, halo: Halo, folder: Path) -> None:
        self.system = system
        self.halo = halo
        self.folder = folder
        self.parhelion = Parhelion(folder, halo.url)
        prefix = f"PARHELION_{system.upper()}_"
        there = {f"{prefix}URL": f"{halo.url}/{system}"}
        if system == "dynamics":
            there[f"{prefix}LOGIN_URL"] = f"{halo.url}/{system}"
        self.parhelion.env |= there | {f"{prefix}{name}": value for name, value in SIGN_IN[system].items()}
        self.parhelion.env[f"PARHELION_WEBHOOK_SECRET_{system.upper()}"] = SECRET

    async def plant(self) -> None:
        for table, rows in RECORDS[self.system].items():
            await self.halo.plant(table, *rows)

    async def win_now(self) -> None:
        """Let HubSpot's deal be won at this moment."""
        (deal,) = RECORDS["hubspot"]["hubspot.deals"]
        now = {"hs_lastmodifieddate": datetime.now(UTC).isoformat()}
        await self.halo.plant("hubspot.deals", deal | {"properties": deal["properties"] | now})

    async def deliver(self) -> httpx.Response:
        return await post(
            sample(self.system, SECRET, f"{self.parhelion.web}/webhooks/{self.system}", datetime.now(UTC))
        )

    async def is_connected(self) -> bool:
        """Whether the worker has looked at the CRM; what is lost from now on is made up for."""
        up = json.loads((self.folder / "valkey.json").read_text())
        async with open_store(up["url"]) as store:
            return bool(await store.scripts.read("HEXISTS", "ph:backfilled", self.system))

    async def backfill(self, *args: str) -> tuple[int, list[dict[str, Any]]]:
        since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
        command = ("events", "backfill", self.system, "--since", since, "-o", "json", *args)
        code, out, err = await parhelion(*command, env=self.parhelion.env)
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


@pytest.mark.parametrize("system", SIGN_IN)
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
