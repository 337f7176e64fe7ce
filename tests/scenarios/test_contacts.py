"""Contacts that come to a client, and contacts that leave it."""

import html
from typing import Any

import pytest
import time_machine

from tests.memory_run import STARTED, Notebook
from tests.tenant import AFTER, BEFORE, DAYS, Tenant, event
from worker.errors import NeedsOperator, NotYet
from workflows.canonical import InvalidEvent
from workflows.routes import new_contact_route
from workflows.sandbox import Faults

JOHN = {
    "name": "John Smith",
    "first_name": "John",
    "last_name": "Smith",
    "email": "John.Smith@acme.example.com",
    "mobile": "555-987-6543",
    "job_title": "IT Director",
    "site": "depot",
    "vip": True,
}
ACME = {"id": "C-77", "name": "Acme Corporation"}
EARLIER = "2026-11-23T08:00:00Z"


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


@pytest.fixture
def acme(tenant: Tenant) -> int:
    """A client with a main site and a depot."""
    client = int(tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation")))
    if tenant.dialect == "guide":
        tenant.sandbox.plant("Site", {"client_id": client, "name": "Main", "main_site": True})
    tenant.sandbox.plant("Site", {"client_id": client, "name": "Depot"})
    return client


def site_id(tenant: Tenant, name: str) -> int:
    (site,) = tenant.rows("Site", name=name, client_id=tenant.rows("Client", name="Acme Corporation")[0]["id"])
    return int(site["id"])


def person(tenant: Tenant, client: int, site: str = "Main", **fields: Any) -> int:
    row = {"client_id": client, "site_id": site_id(tenant, site), "name": "John Smith"} | fields
    return int(tenant.sandbox.plant("Users", row))


def people(tenant: Tenant) -> list[dict[str, Any]]:
    return [user for user in tenant.rows("Users") if user["name"] != "General User"]


def created(contact: dict[str, Any] = JOHN, **more: Any) -> Any:
    return event("contact.created", {"client": ACME, "contact": contact}, **more)


def departed(contact: dict[str, Any] = JOHN, **more: Any) -> Any:
    return event("contact.departed", {"client": ACME, "contact": contact}, **more)


async def test_a_new_contact_stands_at_its_site_once(tenant: Tenant, acme: int) -> None:
    notebook = Notebook()
    result = await tenant.finish(created(), notebook)
    again = await tenant.finish(created())

    (john,) = people(tenant)
    assert (john["id"], True, False) == (result.contact_id, result.created, again.created)
    assert (john["client_id"], john["site_id"]) == (acme, site_id(tenant, "Depot"))
    assert (john["emailaddress"], john["isimportantcontact"]) == (JOHN["email"], True)
    assert john.get("title", john.get("jobtitle")) == "IT Director"
    assert notebook.keys == {f"halo:{acme}"}
    first, second = (note["note"] for note in tenant.rows("CRMNote", client_id=acme))
    assert f"contact {john['id']} (John Smith): made" in first
    assert f"contact {john['id']} (John Smith): found" in second


async def test_a_contact_without_a_known_site_stands_at_the_main_one(tenant: Tenant, acme: int) -> None:
    result = await tenant.finish(created(JOHN | {"site": "Atlantis"}))

    (john,) = people(tenant)
    assert john["site_id"] == site_id(tenant, "Main")
    assert result.remarks == ["stands at 'Main': the client has no site 'Atlantis'"]
    assert result.client_id == acme


async def test_a_site_that_is_not_in_use_is_not_taken(tenant: Tenant, acme: int) -> None:
    tenant.change("Site", site_id(tenant, "Depot"), inactive=True)

    result = await tenant.finish(created())

    assert people(tenant)[0]["site_id"] == site_id(tenant, "Main")
    assert (result.client_id, len(result.remarks)) == (acme, 1)


async def test_the_main_site_is_the_one_that_halopsa_calls_so(tenant: Tenant) -> None:
    client = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation"))
    mark = "isinvoicesite" if tenant.dialect == "v2" else "main_site"
    for name in ("Depot", "Headquarters"):
        tenant.sandbox.plant("Site", {"client_id": client, "name": name, mark: name == "Headquarters"})

    await tenant.finish(created(JOHN | {"site": ""}))

    assert people(tenant)[0]["site_id"] == site_id(tenant, "Headquarters")


async def test_a_contact_that_had_left_is_active_again(tenant: Tenant, acme: int) -> None:
    john = person(tenant, acme, emailaddress="john.smith@ACME.example.com", inactive=True)

    result = await tenant.finish(created())

    (row,) = people(tenant)
    assert (row["id"], row["inactive"], result.created) == (john, False, False)
    (note,) = tenant.rows("CRMNote", client_id=acme)
    assert "inactive: True → False" in note["note"]


async def test_nobody_gets_the_portal_or_a_mail_unasked(acme: int, tenant: Tenant) -> None:
    await tenant.finish(created())

    assert all(not user.get("web_access_level") for user in people(tenant))
    assert tenant.rows("mails") == []
    assert acme


@pytest.mark.parametrize(("allowed", "asked"), [(True, True), (True, False), (False, True)])
async def test_a_welcome_mail_is_sent_once_where_event_and_policy_ask_for_it(allowed: bool, asked: bool) -> None:
    tenant = Tenant(dialect="v2")
    tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation"))
    welcome = tenant.policy.onboard_contact.model_copy(update={"welcome_mail": allowed})
    tenant.policy = tenant.policy.model_copy(update={"onboard_contact": welcome})

    await tenant.finish(created(JOHN | {"send_welcome": asked}))
    await tenant.finish(created(JOHN | {"send_welcome": asked}))

    assert [mail["to"] for mail in tenant.rows("mails")] == [JOHN["email"]] * (allowed and asked)


async def test_a_contact_gets_the_portal_where_its_event_asks_for_it() -> None:
    tenant = Tenant(dialect="v2")
    tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation"))

    await tenant.finish(created(JOHN | {"portal_access": True}))

    assert people(tenant)[0]["web_access_level"] == 1


async def test_a_contact_waits_for_its_client(tenant: Tenant) -> None:
    with pytest.raises(NotYet, match="C-77"):
        await tenant.finish(created())

    left = tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation", inactive=True))
    with pytest.raises(NotYet, match="inactive"):
        await tenant.finish(created())
    assert people(tenant) == []
    assert tenant.rows("CRMNote", client_id=left) == []


async def test_a_contact_without_a_name_is_refused(tenant: Tenant) -> None:
    with pytest.raises(InvalidEvent, match="Contact name is required"):
        await tenant.finish(created({"email": "nobody@acme.example.com"}))


async def test_a_contact_that_leaves_is_inactive_and_without_the_portal(tenant: Tenant, acme: int) -> None:
    john = person(tenant, acme, emailaddress="john.smith@acme.example.com")
    ada = person(tenant, acme, name="Ada Jones", emailaddress="ada@acme.example.com")
    if tenant.dialect == "v2":
        for one in (john, ada):
            tenant.change("Users", one, web_access_level=2)
    main = site_id(tenant, "Main")
    ticket = tenant.sandbox.plant("Tickets", {"summary": "Laptop", "client_id": acme, "site_id": main, "user_id": john})
    tenant.sandbox.plant("Tickets", {"summary": "Printer", "client_id": acme, "site_id": main, "user_id": ada})
    notebook = Notebook()

    result = await tenant.finish(departed(), notebook)

    rows = {row["id"]: row for row in people(tenant)}
    assert (rows[john]["inactive"], rows[ada]["inactive"]) == (True, False)
    assert (rows[john].get("web_access_level", 0), rows[ada].get("web_access_level", 2)) == (0, 2)
    assert (result.contact_ids, result.open_ticket_ids) == ([john], [ticket])
    assert notebook.keys == set()
    (note,) = tenant.rows("CRMNote", client_id=acme)
    assert f"contact {john} (John Smith): changed: inactive: False → True" in note["note"]
    assert f"ticket {ticket}: left: open tickets of this contact" in note["note"]


async def test_closed_tickets_of_a_contact_are_nobodys_concern(tenant: Tenant, acme: int) -> None:
    john = person(tenant, acme, emailaddress="john.smith@acme.example.com")
    ticket = {"client_id": acme, "site_id": site_id(tenant, "Main"), "user_id": john, "summary": "Old"}
    tenant.sandbox.plant("Tickets", ticket | {"hasbeenclosed": True, "status_id": 9})
    tenant.sandbox.faults = Faults(ignore={"open_only", "user_id"})

    assert (await tenant.finish(departed())).open_ticket_ids == []


async def test_a_contact_that_left_already_is_left_alone(tenant: Tenant, acme: int) -> None:
    person(tenant, acme, emailaddress="john.smith@acme.example.com", inactive=True)

    await tenant.finish(departed())

    assert "POST /api/Users" not in tenant.wire.calls


async def test_a_general_user_never_leaves(tenant: Tenant, acme: int) -> None:
    if tenant.dialect == "guide":
        person(tenant, acme, name="General User")

    result = await tenant.finish(departed({"name": "General User"}))

    assert result.contact_ids == []
    assert not any(user["inactive"] for user in tenant.rows("Users"))


async def test_a_contact_that_nobody_knows_has_left(tenant: Tenant, acme: int) -> None:
    result = await tenant.finish(departed())

    assert (result.client_id, result.contact_ids) == (acme, [])
    assert result.remarks == ["HaloPSA has no contact john.smith@acme.example.com of this client"]


async def test_a_person_decides_who_of_two_namesakes_leaves(tenant: Tenant, acme: int) -> None:
    person(tenant, acme, emailaddress="john@acme.example.com")
    with pytest.raises(NeedsOperator, match="not clear who leaves"):
        await tenant.finish(departed())  # the same name with another address

    person(tenant, acme, emailaddress="")
    with pytest.raises(NeedsOperator, match="not clear who leaves"):
        await tenant.finish(departed({"name": "john smith"}))
    assert not any(user["inactive"] for user in people(tenant))


async def test_who_has_only_the_name_leaves_too(tenant: Tenant, acme: int) -> None:
    john = person(tenant, acme, emailaddress="")

    assert (await tenant.finish(departed())).contact_ids == [john]


async def test_the_main_contact_of_a_site_leaves_with_a_remark(faults: Faults) -> None:
    tenant = Tenant(dialect="v2")
    tenant.sandbox.faults = faults
    client = int(tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation")))
    person(tenant, client, emailaddress="john.smith@acme.example.com", ismaincontact=True)

    result = await tenant.finish(departed())

    assert result.remarks == ["John Smith was the main contact of its site: choose another"]


async def test_a_departure_stops_what_would_still_make_the_contact(tenant: Tenant, acme: int) -> None:
    notebook = Notebook()
    await tenant.finish(departed(), notebook)

    ((workflow, fact, _),) = notebook.halted
    assert (workflow, fact) == ("onboard_contact", new_contact_route(created()).fact)
    assert acme


async def test_a_late_departure_leaves_a_contact_that_is_back(tenant: Tenant, acme: int) -> None:
    person(tenant, acme, emailaddress="john.smith@acme.example.com")
    notebook = Notebook(halts={new_contact_route(created()).fact: "newer"})

    result = await tenant.finish(departed(), notebook)

    assert result.remarks == ["john.smith@acme.example.com is back by a later event and stays as it is"]
    assert not any(user["inactive"] for user in people(tenant))


async def test_a_contact_that_has_left_since_is_not_made_by_a_late_event(tenant: Tenant, acme: int) -> None:
    await tenant.finish(departed())

    result = await tenant.finish(created(timestamp=EARLIER))

    assert result.contact_id is None
    assert people(tenant) == []
    assert len(tenant.rows("CRMNote", client_id=acme)) == 1
    await tenant.finish(created(timestamp="2026-11-23T10:00:00Z"))
    assert len(people(tenant)) == 1


async def test_a_departure_is_known_by_its_note_however_halopsa_shows_it(tenant: Tenant, acme: int) -> None:
    conan = {"name": "Conan O'Brien", "email": "o'brien@acme.example.com"}
    await tenant.finish(departed(conan))
    (note,) = tenant.rows("CRMNote", client_id=acme)
    tenant.change("CRMNote", note["id"], note=f"<p>{html.escape(note['note'])}</p>")

    assert (await tenant.finish(created(conan, timestamp=EARLIER))).contact_id is None


@pytest.mark.parametrize("mishap", [*BEFORE, *AFTER])
@pytest.mark.parametrize("happened", [created(), departed()], ids=["created", "departed"])
@time_machine.travel(STARTED, tick=False)  # reports bear the time
async def test_whatever_goes_wrong_once_the_contact_ends_the_same(dialect: Any, happened: Any, mishap: str) -> None:
    def new_tenant() -> Tenant:
        tenant = Tenant(dialect=dialect)
        client = int(tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Acme Corporation")))
        tenant.sandbox.plant("Site", {"client_id": client, "name": "Depot"})
        if happened.type == "contact.departed":
            person(tenant, client, "Depot", emailaddress="john.smith@acme.example.com")
        return tenant

    clean = new_tenant()
    await clean.finish(happened)
    for number in range(1, len(clean.wire.calls) + 1):
        tenant = new_tenant()
        tenant.wire.mishaps = {number: mishap}
        await tenant.finish(happened)
        assert tenant.picture() == clean.picture(), f"{mishap} at {number}, {clean.wire.calls[number - 1]}"
