"""Recorded and published deliveries: each ends as an event, ignored, or refused."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from tests.unit.webhook_door import NOW
from webhooks.delivery import Delivery, Ignored
from webhooks.sources import find_source
from worker.events import Event

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not here")

ENDS = {
    "crm/hubspot-contact-creation.official.json": "ignored",
    "crm/hubspot-deal-won.default-pipeline.json": "hubspot.deal 18342601337",
    "crm/hubspot-batch-mixed-docs.official.json": "ignored ignored",
    "crm/hubspot-churn-subscription.json": "hubspot.subscription 41112146008",
    "crm/hubspot-association-change.json": "ignored",
    "crm/hubspot-crm-deal-with-associations.response.json": "hubspot.deal 18342601337",
    "crm/pipedrive-v2-deal-change.official.json": "ignored",
    "crm/pipedrive-v2-deal-delete.official.json": "pipedrive.deal 8",
    "crm/pipedrive-v2-deal-won.json": "pipedrive.deal 8",
    "crm/pipedrive-v2-deal-lost.json": "pipedrive.deal 8",
    "crm/pipedrive-v2-organization-change.official.json": "pipedrive.organization 1",
    "crm/pipedrive-v2-person-create.official.json": "ignored",
    "crm/salesforce-outbound-message-closed-won.xml": "salesforce.opportunity 0067F000003pmdQQAQ",
    "crm/salesforce-flow-http-callout.json": "salesforce.opportunity 0067F000003pmdQQAQ",
    "crm/zoho-notification.official.json": "ignored",
    "crm/dynamics-contact-update.official.json": "ignored",
    "crm/dynamics-opportunity-won.update.json": "dynamics.opportunity b1f1f0a0-8c57-ec11-8f8f-000d3aa2331c",
    "crm/halopsa-ticket-status-changed.captured.json": "halopsa.ticket 4242",
    "crm/halopsa-event-only.json": "halopsa.ticket 4242",
    "crm/standard-webhooks-deal-won.json": "deal.won",
    "halopsa/webhooks/01-recorded-ticket-status-changed-full.json": "halopsa.ticket 4242",
    "halopsa/webhooks/02-event-information-only.json": "halopsa.ticket 4242",
    "halopsa/webhooks/03-event-information-only-minimal.json": "halopsa.ticket 4242",
    "halopsa/webhooks/05-not-json.txt": "refused",
    "halopsa/webhooks/90-constructed-batched-array.json": "halopsa.ticket 4242 halopsa.ticket 4243",
    "halopsa/webhooks/91-constructed-new-ticket-logged.json": "halopsa.ticket 4300",
}


def read(source: str, body: bytes, kind: str = "application/json") -> list[Event | Ignored]:
    headers = Headers({"content-type": kind, "webhook-id": "msg_1"})
    return list(find_source(source).events(Delivery(headers, body, NOW)))


def recorded(path: str) -> list[Event | Ignored]:
    name = "halopsa" if path.startswith("halopsa") else Path(path).name.partition("-")[0]
    return read(name, (DATA / path).read_bytes(), "text/xml" if path.endswith("xml") else "application/json")


def event(path: str) -> Event:
    (one,) = recorded(path)
    assert isinstance(one, Event)
    return one


def ending(one: Event | Ignored) -> str:
    if isinstance(one, Ignored):
        assert one.reason
        return "ignored"
    return f"{one.type} {one.data['id']}" if "id" in one.data else one.type


@pytest.mark.parametrize(("path", "end"), ENDS.items())
def test_a_recorded_delivery_ends_as_its_note_says(path: str, end: str) -> None:
    try:
        found = " ".join(ending(one) for one in recorded(path))
    except ValueError:
        found = "refused"

    assert found == end


def test_no_payload_of_these_senders_is_forgotten() -> None:
    senders = ("hubspot", "pipedrive", "salesforce-[of]", "zoho", "dynamics", "halopsa")
    files = {f"crm/{path.name}" for sender in senders for path in (DATA / "crm").glob(f"{sender}*")}
    answers = {path for path in files if ".response." in path}

    assert files - answers <= ENDS.keys()


def test_halo_s_variants_are_survived_and_none_invents_a_record() -> None:
    lines = (DATA / "halopsa/webhooks/04-variants-a-receiver-must-survive.jsonl").read_bytes().splitlines()
    ends = [" ".join(map(ending, read("halopsa", line))) for line in lines]

    assert ends == ["halopsa.ticket 4242"] * 5 + ["ignored"] * 2


def test_what_hubspot_tells_of_a_deal() -> None:
    found = event("crm/hubspot-deal-won.default-pipeline.json")

    assert found.id == "hubspot:62515:deal.propertyChange::18342601337:dealstage:3181526809:1758700000000"
    assert found.origin == "hubspot/62515"
    assert found.occurred_at == datetime(2025, 9, 24, 7, 46, 40, tzinfo=UTC)
    assert found.data == {
        "id": "18342601337",
        "change": "changed",
        "values": {"dealstage": "closedwon"},
        "previous": {},
    }


def test_what_pipedrive_tells_of_a_deal() -> None:
    found = event("crm/pipedrive-v2-deal-won.json")

    assert found.id == "pipedrive:0b1f5f0e-3c54-4a4e-9d35-8a1f6b1f7c01"
    assert found.origin == "pipedrive/8087566"
    assert (found.data["values"]["status"], found.data["previous"]["status"]) == ("won", "open")
    assert event("crm/pipedrive-v2-deal-delete.official.json").data["change"] == "deleted"


def test_what_salesforce_tells_of_an_opportunity() -> None:
    message = event("crm/salesforce-outbound-message-closed-won.xml")
    callout = event("crm/salesforce-flow-http-callout.json")

    assert message.id == "salesforce:00D7F00000107XsUAI:04l7F000008aePZQAY"
    assert message.origin == callout.origin == "salesforce/00D7F00000107XsUAI"
    assert message.data["values"]["StageName"] == callout.data["values"]["StageName"] == "Closed Won"


def test_what_dynamics_tells_of_an_opportunity() -> None:
    found = event("crm/dynamics-opportunity-won.update.json")

    assert found.occurred_at == datetime(2017, 9, 26, 7, 4, 8, tzinfo=UTC)
    assert found.data["values"] | {"statecode": 1, "statuscode": 3, "actualvalue": 24000.0} == found.data["values"]
    assert found.data["message"] == "Update"


def test_what_halopsa_tells_of_a_ticket() -> None:
    found = event("halopsa/webhooks/01-recorded-ticket-status-changed-full.json")

    assert found.id == "halopsa:a726ee11-acb8-f111-8260-02725cb0e102"
    assert (found.data["event"], found.data["agent_id"]) == ("ticket status changed", "3")
    assert found.data["values"] == {"status_id": 9, "tickettype_id": 25, "client_id": 1, "hasbeenclosed": True}


@pytest.mark.parametrize("path", [path for path in ENDS if path.endswith(".json") and "standard" not in path])
def test_any_part_of_a_recorded_delivery_may_be_missing_or_of_another_type(path: str) -> None:
    source = "halopsa" if path.startswith("halopsa") else Path(path).name.partition("-")[0]
    for broken in variants(json.loads((DATA / path).read_text())):
        try:
            read(source, json.dumps(broken).encode())
        except ValueError as error:
            assert str(error)  # noqa: PT017 - that it has a text is all there is to say


def variants(value: Any) -> list[Any]:
    """Leave out each part once, and put another type in its place."""
    if isinstance(value, list):
        inner = [[*value[:n], one, *value[n + 1 :]] for n, old in enumerate(value) for one in variants(old)]
        return [[], [None], *inner]
    if isinstance(value, dict):
        without = [{name: old for name, old in value.items() if name != left} for left in value]
        return [None, *without, *({**value, name: one} for name, old in value.items() for one in variants(old))]
    return [None, [], {}, 1, -1.5, True, "", "x", "9" * 400, 10**400]
