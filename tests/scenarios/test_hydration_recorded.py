"""Recorded and published deliveries, from their bytes to what they mean."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from tests.crm_world import CLIENT_IDS, DEAL_IDS, CrmWorld
from webhooks.delivery import Delivery, Ignored
from webhooks.sources import find_source
from worker import errors
from worker.events import Event
from workflows.policy.sources import RecordRule, Source

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "crm"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
CANCELLED = Source(churned=(RecordRule(object="subscription", field="hs_status", values=("canceled",)),))
SUBSCRIPTION = {
    "id": "41112146008",
    "properties": {"hs_status": "canceled"},
    "associations": {"companies": [CLIENT_IDS["hubspot"]]},
}

MEANS = {
    "hubspot-contact-creation.official.json": "ignored",
    "hubspot-deal-won.default-pipeline.json": "deal.won",
    "hubspot-batch-mixed-docs.official.json": "ignored ignored",
    "hubspot-churn-subscription.json": "client.churned",
    "hubspot-association-change.json": "ignored",
    "hubspot-crm-deal-with-associations.response.json": "deal.won",
    "pipedrive-v2-deal-won.json": "deal.won",
    "pipedrive-v2-deal-lost.json": "ignored",
    "pipedrive-v2-deal-change.official.json": "ignored",
    "pipedrive-v2-deal-delete.official.json": "ignored",
    "pipedrive-v2-organization-change.official.json": "client.updated",
    "pipedrive-v2-person-create.official.json": "ignored",
    "salesforce-outbound-message-closed-won.xml": "deal.won",
    "salesforce-flow-http-callout.json": "deal.won",
    "dynamics-opportunity-won.update.json": "deal.won",
    "dynamics-contact-update.official.json": "ignored",
    "zoho-notification.official.json": "ignored",
    "standard-webhooks-deal-won.json": "deal.won",
}


def read(name: str) -> list[Event | Ignored]:
    system = name.partition("-")[0]
    kind = "text/xml" if name.endswith("xml") else "application/json"
    headers = Headers({"content-type": kind, "webhook-id": "msg_1"})
    return list(find_source(system).events(Delivery(headers, (DATA / name).read_bytes(), NOW)))


async def meaning(world: CrmWorld, one: Event | Ignored) -> str:
    if isinstance(one, Ignored):
        return "ignored"
    try:
        return (await world.hydration(hubspot=CANCELLED).hydrate(one)).type
    except errors.Ignored:
        return "ignored"


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not here")
@pytest.mark.parametrize(("name", "means"), MEANS.items())
async def test_a_recorded_delivery_means_what_its_note_says(name: str, means: str) -> None:
    world = CrmWorld()
    world.crms.plant("hubspot.subscriptions", SUBSCRIPTION)
    if "lost" in name:
        world.change("pipedrive.deals", 8, status="lost")

    assert " ".join([await meaning(world, one) for one in read(name)]) == means


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not here")
@pytest.mark.parametrize(
    "name",
    [
        "hubspot-deal-won.default-pipeline.json",
        "pipedrive-v2-deal-won.json",
        "salesforce-outbound-message-closed-won.xml",
        "dynamics-opportunity-won.update.json",
    ],
)
async def test_a_recorded_win_names_deal_and_client(name: str) -> None:
    (event,) = read(name)
    assert isinstance(event, Event)

    data: dict[str, Any] = (await CrmWorld().hydration().hydrate(event)).data

    assert (data["deal"]["id"], data["client"]["id"]) == (DEAL_IDS[event.source], CLIENT_IDS[event.source])
