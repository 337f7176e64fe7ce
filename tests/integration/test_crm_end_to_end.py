"""From a CRM's webhook to HaloPSA, with real processes: every delivery tells ids only."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crm_world import CLIENT_IDS, RECORDS
from tests.integration.processes import Halo, Parhelion, look_alike
from webhooks.delivery import Delivery
from webhooks.samples import sample
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

    async def deliver(self) -> httpx.Response:
        return await post(
            sample(self.system, SECRET, f"{self.parhelion.web}/webhooks/{self.system}", datetime.now(UTC))
        )


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
