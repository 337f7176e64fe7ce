"""The source "hubspot": which events count, and what they tell."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.datastructures import Headers

from tests.unit.webhook_door import NOW
from webhooks.delivery import Delivery, Ignored
from webhooks.sources.hubspot import source
from worker.events import Event

TOLD = {
    "eventId": 1,
    "subscriptionId": 2,
    "portalId": 62515,
    "occurredAt": 1758700000000,
    "subscriptionType": "deal.propertyChange",
    "attemptNumber": 0,
    "objectId": 77,
    "propertyName": "dealstage",
    "propertyValue": "1f4f1ec1-8174-49f3-a112-4eaa4748e38e",
}

SUBSCRIPTION = {"objectTypeId": "0-69", "propertyName": "hs_status"}


def read(body: Any, url: str = "") -> list[Event | Ignored]:
    return list(source.events(Delivery(Headers(), json.dumps(body).encode(), NOW, url)))


def told(**changes: Any) -> Event | Ignored:
    (one,) = read([TOLD | changes])
    return one


def event(**changes: Any) -> Event:
    one = told(**changes)
    assert isinstance(one, Event)
    return one


@pytest.mark.parametrize(
    ("kind", "more", "end"),
    [
        ("deal.creation", {}, "hubspot.deal created"),
        ("deal.deletion", {}, "hubspot.deal deleted"),
        ("deal.restore", {}, "hubspot.deal restored"),
        ("deal.propertyChange", {"propertyName": "hs_is_closed_won"}, "hubspot.deal changed"),
        ("company.propertyChange", {"propertyName": "lifecyclestage"}, "hubspot.company changed"),
        ("company.privacyDeletion", {}, "hubspot.company deleted"),
        ("object.propertyChange", {"objectTypeId": "0-3"}, "hubspot.deal changed"),
        ("object.creation", {"objectTypeId": "0-3"}, "hubspot.deal created"),
        (
            "object.propertyChange",
            {"objectTypeId": "0-69", "propertyName": "hs_status"},
            "hubspot.subscription changed",
        ),
    ],
)
def test_what_can_win_or_lose_something_is_an_event(kind: str, more: dict[str, Any], end: str) -> None:
    found = event(subscriptionType=kind, **more)

    assert f"{found.type} {found.data['change']}" == end


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("deal.propertyChange", {"propertyName": "amount"}),
        ("deal.associationChange", {}),
        ("company.creation", {}),
        ("contact.creation", {}),
        ("contact.propertyChange", {"propertyName": "lifecyclestage"}),
        ("object.propertyChange", {"objectTypeId": "0-69", "propertyName": "hs_mrr"}),
        ("object.propertyChange", {"objectTypeId": "2-123"}),
        ("conversation.newMessage", {}),
        ("something.new", {}),
        ("deal.propertyChange", {"objectId": None}),
    ],
)
def test_the_rest_is_ignored_with_a_reason(kind: str, more: dict[str, Any]) -> None:
    found = told(subscriptionType=kind, **more)

    assert isinstance(found, Ignored)
    assert kind in found.reason


def test_another_attempt_is_a_repeat_and_another_change_is_not() -> None:
    assert event(attemptNumber=3) == event()
    for part in ({"objectId": 78}, {"occurredAt": 1758700000001}, {"portalId": 1}, {"eventId": 2}):
        assert event(**part).id != event().id
    assert event(subscriptionType="company.propertyChange").id != event().id


def test_a_merge_tells_which_records_are_gone() -> None:
    merge = {"subscriptionType": "company.merge", "primaryObjectId": 5, "mergedObjectIds": [6, 7], "newObjectId": 8}
    found = event(**merge, objectId=None)

    assert (found.data["id"], found.data["merged_ids"]) == ("8", ["6", "7", "5"])


@pytest.mark.parametrize("merged", [123, True, "123", {"a": 1}, [None]])
def test_merged_ids_that_are_none_are_left_out(merged: Any) -> None:
    merge = {"subscriptionType": "company.merge", "primaryObjectId": 5, "mergedObjectIds": merged, "newObjectId": 8}

    assert event(**merge, objectId=None).data["merged_ids"] == ["5"]


def test_a_lone_event_is_read_like_a_batch() -> None:
    assert read(TOLD) == read([TOLD])


def test_a_workflow_sends_a_record_or_some_of_its_properties() -> None:
    flat = {"hs_object_id": "77", "dealname": "Acme", "dealstage": "closedwon", "updatedAt": "2026-11-23T08:00:00Z"}
    record = {"id": "77", "properties": {"dealname": {"value": "Acme"}, "dealstage": "closedwon"}}
    company = {"companyId": 5, "portalId": 62515, "properties": {"lifecyclestage": {"value": "former"}}}
    (first,), (second,), (third,) = read(flat), read(record), read(company)

    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert isinstance(third, Event)
    assert first.occurred_at == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert first.data["id"] == second.data["id"] == "77"
    assert first.data["values"] == second.data["values"] == {"dealstage": "closedwon"}
    assert (third.type, third.data["id"], third.origin) == ("hubspot.company", "5", "hubspot/62515")


def test_a_workflow_s_record_without_an_id_cannot_be_read_and_a_contact_is_ignored() -> None:
    with pytest.raises(ValueError, match="hs_object_id"):
        read({"dealstage": "closedwon"})
    assert isinstance(read({"hs_object_id": "5", "lifecyclestage": "customer", "firstname": "Jo"})[0], Ignored)
    assert isinstance(read({"vid": 1, "email": "a@b.example", "lifecyclestage": "customer"})[0], Ignored)
    assert isinstance(read({"objectTypeId": "0-1", "objectId": 1})[0], Ignored)
    assert isinstance(read({"objectTypeId": "0-3", "objectId": 1})[0], Event)


def test_a_workflow_s_address_may_say_whose_record_it_is() -> None:
    with pytest.raises(ValueError, match="objectTypeId"):
        read({"hs_object_id": "9", "hs_churn": "yes"})
    (found,) = read({"hs_object_id": "9", "hs_churn": "yes"}, url="https://x/webhooks/hubspot?objectTypeId=0-2")

    assert isinstance(found, Event)
    assert (found.type, found.data["id"]) == ("hubspot.company", "9")


@pytest.mark.parametrize("body", [1, "x", [1], [None], [[]]])
def test_what_is_no_batch_cannot_be_read(body: Any) -> None:
    with pytest.raises(ValueError, match="array of events"):
        read(body)
