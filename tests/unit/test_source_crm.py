"""The sources "salesforce", "dynamics", "zoho" and "halopsa": which changes count, and what they tell."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.datastructures import Headers

from tests.unit.webhook_door import NOW, PUBLIC
from webhooks.delivery import Delivery, Ignored
from webhooks.samples import sample
from webhooks.sources import find_source
from worker.events import Event


def read(name: str, body: Any, *, later: int = 0) -> list[Event | Ignored]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/xml" if raw.startswith(b"<") else "application/json"
    delivery = Delivery(Headers({"content-type": kind}), raw, NOW + timedelta(seconds=later))
    return list(find_source(name).events(delivery))


def events(name: str, body: Any, *, later: int = 0) -> list[Event]:
    return [one for one in read(name, body, later=later) if isinstance(one, Event)]


def message(old: str = "", new: str = "") -> bytes:
    return sample("salesforce", "s", PUBLIC, NOW).body.replace(old.encode(), new.encode())


def test_a_message_of_salesforce_may_tell_of_several_records() -> None:
    text = message().decode()
    start, end = text.index("<Notification>"), text.index("</notifications>")
    second = text[start:end].replace("04l7F000008aePZQAY", "04l7F000008aePZQAZ").replace("pmdQQAQ", "pmdRRAR")
    found = events("salesforce", (text[:end] + second + text[end:]).encode())

    assert [event.data["id"] for event in found] == ["0067F000003pmdQQAQ", "0067F000003pmdRRAR"]
    assert found[0].occurred_at == NOW
    assert found[0].data["values"]["IsWon"] == "true"


def test_other_records_of_salesforce_are_ignored() -> None:
    assert isinstance(read("salesforce", message("sf:Opportunity", "sf:Lead"))[0], Ignored)
    assert isinstance(read("salesforce", {"note": "x"})[0], Ignored)
    assert isinstance(read("salesforce", message("<sf:Id>0067F000003pmdQQAQ</sf:Id>"))[0], Ignored)
    assert isinstance(read("salesforce", message("sObject", "other"))[0], Ignored)


def test_a_callout_without_a_time_is_never_taken_for_an_earlier_one() -> None:
    opportunity = {"Id": "0067F000003pmdQQAQ", "IsWon": True}
    timed = {"opportunity": opportunity | {"LastModifiedDate": "2026-11-23T08:00:00.000+0000"}}

    assert events("salesforce", opportunity) != events("salesforce", opportunity, later=60)
    assert events("salesforce", timed) == events("salesforce", timed, later=60)


def test_a_callout_is_about_its_opportunity_whatever_else_it_holds() -> None:
    (found,) = events("salesforce", {"account": {"Id": "0017F000007ydJg"}, "deal": {"Id": "0067F000003pmdQ"}})

    assert (found.type, found.data["id"]) == ("salesforce.opportunity", "0067F000003pmdQ")


@pytest.mark.parametrize(
    "body",
    [
        {"recordId": "0067F000003pmdQ"},
        {"flow": "won", "OpportunityId": "0067F000003pmdQ"},
        {"records": [{"Id": "0067F000003pmdQ"}, {"Id": "0017F000007ydJg"}]},
    ],
)
def test_a_callout_s_record_is_found_where_administrators_put_it(body: dict[str, Any]) -> None:
    (found,) = events("salesforce", body)

    assert (found.type, found.data["id"]) == ("salesforce.opportunity", "0067F000003pmdQ")


def test_a_callout_may_tell_of_several_opportunities() -> None:
    found = events("salesforce", {"deals": [{"Id": "0067F000003pmdQ"}, {"Id": "0067F000003pmdR"}]})

    assert [event.data["id"] for event in found] == ["0067F000003pmdQ", "0067F000003pmdR"]
    assert len({event.id for event in found}) == 2


def context(message_name: str, entity: str = "opportunity", **more: Any) -> dict[str, Any]:
    base = {"MessageName": message_name, "PrimaryEntityName": entity, "PrimaryEntityId": "b1", "OperationId": "o1"}
    return base | {"OrganizationId": "org", "OperationCreatedOn": "/Date(1763884800000+0100)/"} | more


def parameter(key: str, /, **columns: Any) -> dict[str, Any]:
    attributes = [{"key": column, "value": value} for column, value in columns.items()]
    return {"InputParameters": [{"key": key, "value": {"Attributes": attributes}}]}


@pytest.mark.parametrize(
    ("told", "identity"),
    [
        (context("Update", **parameter("Target", statecode={"Value": 1})), "b1"),
        (context("Update"), "b1"),
        (context("Win", **parameter("OpportunityClose", opportunityid={"Id": "c2"})), "c2"),
        (context("Lose", "opportunityclose", **parameter("OpportunityClose", opportunityid={"Id": "c2"})), "c2"),
        (context("SetState"), "b1"),
        (context(" Win\n"), "b1"),
        (context("Delete"), "b1"),
        (context("Update", "account", **parameter("Target", name="New")), "b1"),
        (context("Merge", "account"), "b1"),
    ],
)
def test_what_can_win_or_lose_something_in_dynamics_is_an_event(told: dict[str, Any], identity: str) -> None:
    (found,) = events("dynamics", told)

    assert found.data["id"] == identity
    assert found.occurred_at == datetime(2025, 11, 23, 8, tzinfo=UTC)
    assert found.origin == "dynamics/org"


@pytest.mark.parametrize(
    "told",
    [
        context("Update", **parameter("Target", name="New")),
        context("Update", "contact", **parameter("Target", statecode={"Value": 1})),
        context("Create", "account"),
        context("Assign"),
    ],
)
def test_the_rest_of_dynamics_is_ignored(told: dict[str, Any]) -> None:
    assert isinstance(read("dynamics", told)[0], Ignored)


def test_two_steps_of_one_save_are_two_events_and_a_repeat_is_none() -> None:
    one, other = (context("Win", OwningExtension={"Id": step}) for step in ("s1", "s2"))

    assert events("dynamics", one) == events("dynamics", one, later=60)
    assert events("dynamics", one) != events("dynamics", other)


ZOHO = {"module": "Deals", "operation": "update", "ids": ["1", 2], "channel_id": "9", "server_time": 1763884800000}


def test_a_notification_of_zoho_tells_of_each_record() -> None:
    found = events("zoho", ZOHO | {"token": "s3cret", "query_params": {"secret": "s3cret"}})

    assert [(event.type, event.data["id"], event.data["change"]) for event in found] == [
        ("zoho.deal", "1", "changed"),
        ("zoho.deal", "2", "changed"),
    ]
    assert found[0].occurred_at == datetime(2025, 11, 23, 8, tzinfo=UTC)
    assert "s3cret" not in repr(found)
    assert events("zoho", ZOHO, later=60) == events("zoho", ZOHO)
    assert events("zoho", ZOHO | {"server_time": 1763884800001})[0].id != found[0].id


@pytest.mark.parametrize(
    "more", [{"module": "Leads"}, {"operation": "?"}, {"module": "Accounts", "operation": "insert"}, {"ids": [None]}]
)
def test_the_rest_of_zoho_is_ignored(more: dict[str, Any]) -> None:
    assert isinstance(read("zoho", ZOHO | more)[0], Ignored)


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ({"OBJECT_ID": 4242.0, "Event": "Ticket Status Changed"}, "halopsa.ticket 4242"),
        ({"object_id": "17", "event": "client updated"}, "halopsa.client 17"),
        ({"client": {"ID": 17, "inactive": True}}, "halopsa.client 17"),
        ({"contract_id": 3}, "halopsa.contract 3"),
        ({"webhook_id": "x", "events": [{"object_id": 1}]}, "halopsa.ticket 1"),
        ({"webhook_id": "x", "events": [{"ticket": {"id": 5}}]}, "halopsa.ticket 5"),
        ({"object_id": 17, "event": "Customer Updated"}, "halopsa.client 17"),
        ({"object_id": 3, "event": "agreement updated"}, "halopsa.contract 3"),
        ({"object_id": 12, "event": "client_updated"}, "halopsa.client 12"),
        ({"object_id": 12, "event": "Client-Updated"}, "halopsa.client 12"),
        ({"object_id": 8, "event": "ticket assigned to agent"}, "halopsa.ticket 8"),
        ({"customer": {"id": 17.0}}, "halopsa.client 17"),
        ([{"events": [{"object_id": 1}]}], "halopsa.ticket 1"),
    ],
)
def test_halopsa_s_record_is_found_in_whatever_form_it_comes(body: Any, end: str) -> None:
    (found,) = events("halopsa", body)

    assert f"{found.type} {found.data['id']}" == end


@pytest.mark.parametrize(
    "body",
    [
        {"object_id": 55, "event": "quotation approved"},
        {"object_id": 55, "event": "_test"},
        {"object_id": 0, "event": "ticket created"},
        {"object_id": "0"},
        {"object_id": -1, "event": "ticket created"},
        {"webhook_id": "x"},
    ],
)
def test_a_number_that_is_no_record_s_is_never_taken_for_a_ticket_s(body: dict[str, Any]) -> None:
    assert isinstance(read("halopsa", body)[0], Ignored)


def test_one_message_of_a_batch_that_names_no_record_loses_none_of_the_others() -> None:
    found = read("halopsa", {"webhook_id": "x", "events": [{"object_id": 1}, {"event": "?"}, {"object_id": 2}]})

    assert [one.data["id"] if isinstance(one, Event) else "ignored" for one in found] == ["1", "ignored", "2"]


def test_a_message_of_halopsa_without_a_name_or_time_is_never_taken_for_an_earlier_one() -> None:
    named, timed = {"object_id": 1, "id": "guid"}, {"object_id": 1, "timestamp": "2026-09-25T06:41:08.7895915Z"}

    assert events("halopsa", {"object_id": 1}) != events("halopsa", {"object_id": 1}, later=60)
    assert events("halopsa", named, later=60)[0].id == events("halopsa", named)[0].id
    assert events("halopsa", timed, later=60) == events("halopsa", timed)
