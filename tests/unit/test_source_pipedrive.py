"""The source "pipedrive": which changes count, in both versions."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.datastructures import Headers

from tests.unit.webhook_door import NOW
from webhooks.delivery import Delivery, Ignored
from webhooks.sources.pipedrive import source
from worker.events import Event

META = {
    "action": "change",
    "entity": "deal",
    "entity_id": "8",
    "company_id": "8087566",
    "id": "0b1f5f0e-3c54-4a4e-9d35-8a1f6b1f7c01",
    "timestamp": "2026-11-23T08:00:00.101Z",
    "webhook_id": "1",
    "attempt": 1,
}
V1 = {
    "v": 1,
    "meta": {"action": "updated", "object": "deal", "id": 8, "company_id": 5, "timestamp": 1763884800, "webhook_id": 1},
    "current": {"id": 8, "status": "won", "org_id": 1},
    "previous": {"id": 8, "status": "open", "org_id": 1},
    "retry": 0,
}


def read(meta: dict[str, Any], data: Any, previous: Any) -> Event | Ignored:
    return read_body({"meta": META | meta, "data": data, "previous": previous})


def read_body(body: Any) -> Event | Ignored:
    (one,) = source.events(Delivery(Headers(), json.dumps(body).encode(), NOW))
    return one


@pytest.mark.parametrize(
    ("meta", "data", "previous", "change"),
    [
        ({}, {"status": "won"}, {"status": "open"}, "changed"),
        ({}, {"status": "lost"}, {"status": "open"}, "changed"),
        ({}, {"status": "open"}, {"status": "won"}, "changed"),
        ({"action": "create"}, {"status": "won"}, None, "created"),
        ({"action": "delete"}, None, {"status": "won"}, "deleted"),
        ({"action": "delete", "merged_to_id": "9"}, None, {"status": "won"}, "merged"),
        ({"entity": "organization"}, {"name": "New"}, {"name": "Old"}, "changed"),
    ],
)
def test_what_can_win_or_lose_something_is_an_event(
    meta: dict[str, Any], data: Any, previous: Any, change: str
) -> None:
    found = read(meta, data, previous)

    assert isinstance(found, Event)
    assert (found.data["id"], found.data["change"]) == ("8", change)
    assert found.data.get("merged_into") == meta.get("merged_to_id")


@pytest.mark.parametrize(
    ("meta", "data", "previous"),
    [
        ({}, {"status": "won"}, {"value": 1}),
        ({}, {"status": "won"}, {}),
        ({}, {"status": "won"}, {"status": "won"}),
        ({"action": "create"}, {"status": "open"}, None),
        ({"action": "create", "entity": "organization"}, {"name": "New"}, None),
        ({"entity": "person"}, {"name": "New"}, {"name": "Old"}),
        ({"action": "unheard-of"}, {"status": "won"}, {"status": "open"}),
    ],
)
def test_the_rest_is_ignored_with_a_reason(meta: dict[str, Any], data: Any, previous: Any) -> None:
    found = read(meta, data, previous)

    assert isinstance(found, Ignored)
    assert found.reason


def test_the_event_s_own_id_is_never_taken_for_the_record_s() -> None:
    told = {name: value for name, value in META.items() if name != "entity_id"}
    one = read_body({"meta": told, "data": {"id": 8, "status": "won"}, "previous": {"status": "open"}})

    assert isinstance(one, Event)
    assert one.data["id"] == "8"


def test_version_1_tells_the_same() -> None:
    found = read_body(V1)
    without_change = read_body(V1 | {"previous": V1["current"]})

    assert isinstance(found, Event)
    assert isinstance(without_change, Ignored)
    assert (found.type, found.data["values"]) == ("pipedrive.deal", {"status": "won"})
    assert found.data["previous"] == {"status": "open"}
    assert found.occurred_at == datetime(2025, 11, 23, 8, tzinfo=UTC)


def test_two_webhooks_and_several_attempts_tell_one_event() -> None:
    again = {"webhook_id": "2", "attempt": 3}
    first = read({}, {"status": "won"}, {"status": "open"})

    assert read(again, {"status": "won"}, {"status": "open"}) == first
    assert read({"id": "another"}, {"status": "won"}, {"status": "open"}) != first
    assert read_body(V1 | {"retry": 2, "meta": {**dict(V1["meta"]), "webhook_id": 2}}) == read_body(V1)  # type: ignore[call-overload]  # a dict, as is written above


@pytest.mark.parametrize("body", [[], {}, {"meta": []}, "x"])
def test_what_has_no_meta_cannot_be_read(body: Any) -> None:
    with pytest.raises(ValueError, match="meta"):
        read_body(body)
