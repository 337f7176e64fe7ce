"""Routes: the same fact and the same client get the same names, and junk never stops the inbox."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tenant import event
from worker.events import Event
from worker.run import Route
from workflows.registry import WORKFLOWS
from workflows.routes import (
    churn_route,
    departure_route,
    new_contact_route,
    onboarding_route,
    reactivation_route,
    reopening_route,
    update_route,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["deal", "client", "contact", "id", "name", "email", "last_service_day", "effective_at"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def test_names_and_versions_are_fixed() -> None:
    assert [(flow.name, flow.version, flow.on) for flow in WORKFLOWS] == [
        ("onboard_client", 1, "deal.won"),
        ("deal_reopened", 1, "deal.reopened"),
        ("churn_client", 1, "client.churned"),
        ("update_client", 1, "client.updated"),
        ("reactivate_client", 1, "client.reactivated"),
        ("onboard_contact", 1, "contact.created"),
        ("depart_contact", 1, "contact.departed"),
    ]


def test_a_won_deal_is_one_fact_of_its_origin() -> None:
    data = {"deal": {"id": "D-1001"}, "client": {"id": 77, "name": "ACME  Corp."}}
    route = onboarding_route(event("deal.won", data, source={"system": "hubspot", "account": "123"}))

    assert route.fact == "deal:hubspot/123:D-1001:won"
    assert route.keys == ["crm:77", "name:acme"]
    assert route.client == "ACME  Corp."


@pytest.mark.parametrize(
    ("data", "fact"),
    [
        ({"client": {"id": "C-77"}, "last_service_day": "2026-12-31"}, "client::C-77:leaves:2026-12-31"),
        ({"client": {"name": "Acme, Corp"}, "last_service_day": "2026-12-31"}, "client::acme corp:leaves:2026-12-31"),
        ({"client": {"id": "C-77"}, "effective_at": "2026-12-31T09:00:00Z"}, "client::C-77:leaves:2026-12-31"),
        ({"client": {"id": "C-77"}, "last_service_day": "soon"}, "client::C-77:leaves:2026-11-23"),
        ({"client": {"id": "C-77"}}, "client::C-77:leaves:2026-11-23"),
        ({"client": {"id": "C-77"}, "undated": True}, "client:C-77:left"),
        ({"client": {"id": "C-77"}, "last_end_note": 12}, "client::C-77:leaves:after 12"),
        (
            {"client": {"id": "C-77"}, "last_end_note": 12, "last_service_day": "2026-12-31"},
            "client::C-77:leaves:2026-12-31",
        ),
    ],
)
def test_a_client_leaves_once_on_a_day(data: dict[str, Any], fact: str) -> None:
    assert churn_route(event("client.churned", data)).fact == fact


def test_an_id_is_the_same_however_its_number_is_written() -> None:
    facts = {onboarding_route(event("deal.won", {"deal": {"id": one}})).fact for one in (12, 12.0, "12", " 12 ")}

    assert len(facts) == 1


def test_events_without_a_deal_id_are_facts_of_their_own() -> None:
    first, second = (Event(f"standard:{n}", "standard", "deal.won", datetime.now(UTC), {"data": {}}) for n in (1, 2))

    assert onboarding_route(first).fact != onboarding_route(second).fact


def later(happened: Event) -> Event:
    return replace(happened, occurred_at=happened.occurred_at + timedelta(days=1))


CONTACT = {"client": {"id": "C-77", "name": "Acme"}, "contact": {"email": "John@Acme.example", "name": "John"}}


def test_a_contact_is_new_once_and_may_leave_many_times() -> None:
    created, departed = event("contact.created", CONTACT), event("contact.departed", CONTACT)

    assert new_contact_route(created).fact == "contact::C-77:john@acme.example:created"
    assert new_contact_route(later(created)).fact == new_contact_route(created).fact
    assert departure_route(later(departed)).fact != departure_route(departed).fact


def test_a_reopening_stands_in_no_queue_of_the_run_that_it_is_to_stop() -> None:
    data = {"deal": {"id": "D-1001"}, "client": {"id": "C-77", "name": "Acme"}}
    reopened, won = event("deal.reopened", data), event("deal.won", data)

    assert reopening_route(later(reopened)).fact != reopening_route(reopened).fact
    assert not set(reopening_route(reopened).keys) & set(onboarding_route(won).keys)


def test_what_was_merged_waits_for_each_other() -> None:
    data = {"client": {"id": "8", "merged_ids": [7, "6", None, {}, "7"]}}

    assert update_route(event("client.updated", data)).keys == ["crm:8", "crm:7", "crm:6"]


def test_two_spellings_of_a_name_wait_for_each_other() -> None:
    keys = [
        onboarding_route(event("deal.won", {"client": {"name": name}})).keys
        for name in ("ACME Corp.", "Acme Corporation")
    ]

    assert keys[0] == keys[1]


@pytest.mark.parametrize("route", [update_route, reactivation_route])
def test_a_client_changes_and_comes_back_many_times(route: Callable[[Event], Route]) -> None:
    first = event("client.updated", {"client": {"id": "C-77"}})

    assert route(later(first)).fact != route(first).fact
    assert route(first).keys == ["crm:C-77"]


def test_a_departure_stands_in_no_queue_of_its_client() -> None:
    departed = departure_route(event("contact.departed", CONTACT))
    others = {
        key for flow in WORKFLOWS if flow.on != "contact.departed" for key in flow.route(event(flow.on, CONTACT)).keys
    }

    assert departed.keys
    assert not others & set(departed.keys)


@given(data=JSON, source=JSON)
def test_no_payload_stops_the_routes(data: Any, source: Any) -> None:
    junk = Event("x:1", "x", "deal.won", datetime(2026, 11, 23, tzinfo=UTC), {"data": data, "source": source})

    for flow in WORKFLOWS:
        route = flow.route(junk)
        assert all(len(key) < 1000 for key in [route.fact, route.client, *route.keys])
