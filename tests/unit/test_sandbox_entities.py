"""The smaller entities: opportunities, webhooks, links, custom fields, set-up lists."""

from pathlib import Path

from tests.unit.halo_caller import HaloCaller
from workflows.sandbox import Sandbox


async def test_an_opportunity_needs_no_client_and_is_won_by_its_status(halo: HaloCaller) -> None:
    statuses = {row["name"]: row["id"] for row in await halo.get("Status", type="opportunity")}
    opportunity = await halo.post("Opportunities", {"summary": "Managed services", "oppcompanyname": "Acme"})
    assert not opportunity["hasbeenclosed"]
    won = await halo.post("Opportunities", {"id": opportunity["id"], "status_id": statuses["Won"]})
    assert (won["hasbeenclosed"], won["status_name"]) == (True, "Won")
    assert (await halo.get("Opportunities", open_only="true"))["tickets"] == []
    [row] = (await halo.get("Opportunities", search="managed"))["tickets"]
    assert row["oppcompanyname"] == "Acme"
    assert (await halo.get("Tickets"))["record_count"] == 0
    await halo.post("Opportunities", {"client_id": 12}, status=400)


async def test_statuses_are_told_apart_by_what_they_are_for(halo: HaloCaller) -> None:
    assert {row["name"] for row in await halo.get("Status", type="ticket")} >= {"New", "Closed"}
    assert "Won" not in {row["name"] for row in await halo.get("Status", type="ticket")}
    assert {row["name"] for row in await halo.get("Status")} >= {"New", "Won"}


async def test_a_webhook_listens_by_its_notifications(halo: HaloCaller) -> None:
    webhook = await halo.post(
        "Webhook", {"name": "Parhelion", "url": "https://x.example", "type": 0, "basic_password": "secret"}
    )
    assert len(webhook["id"]) == 36
    assert "basic_password" not in webhook
    await halo.post("Notification", {"webhook_id": webhook["id"], "type": -2, "delivery_method": 6, "eventno": "76"})
    [notification] = await halo.get("Notification", webhook_id=webhook["id"])
    assert notification["eventno"] == 76
    await halo.post("Webhook", {"id": webhook["id"], "active": False})
    [row] = await halo.get("Webhook", type=0)
    assert not row["active"]
    assert (await halo.get(f"Webhook/{webhook['id']}"))["url"] == "https://x.example"


async def test_what_a_webhook_sent_can_be_read_again(halo: HaloCaller) -> None:
    first, second = (halo.sandbox.plant("Webhook", {"name": name}) for name in "ab")
    for webhook, body in ((first, "1"), (second, "2"), (first, "3")):
        halo.sandbox.plant("WebhookEvent", {"webhook_id": webhook, "requestbody": body, "responsestatus": 200})
    events = await halo.get("WebhookEvent", webhook_id=first, pageinate="true", page_size=10)
    assert [event["requestbody"] for event in events["webhookevents"]] == ["1", "3"]


async def test_a_kept_guid_is_not_given_again(tmp_path: Path) -> None:
    first = Sandbox(tmp_path / "halo.json")
    one, two = (first.plant("Webhook", {"name": name}) for name in ("one", "two"))
    first.store["Webhook"].remove(first.store["Webhook"].rows[one])
    first.save()
    second = Sandbox(tmp_path / "halo.json")
    assert len({second.plant("Webhook", {"name": f"{n}"}) for n in range(3)} | {two}) == 4


async def test_links_to_other_systems_are_records_of_their_own(halo: HaloCaller) -> None:
    link = {"module_id": 45, "third_party_id": "C-77", "third_party_desc": "Acme"}
    client = await halo.post("Client", {"name": "Acme", "new_external_link": link})
    [found] = (await halo.get("ExternalLink", table_id=2, third_party_id="C-77"))["externallinks"]
    assert (found["halo_id"], found["module_id"]) == (client["id"], 45)
    await halo.post("ExternalLink", {"halo_id": client["id"], "third_party_id": "C-78"})
    assert (await halo.get("ExternalLink", halo_id=client["id"]))["record_count"] == 2


async def test_custom_fields_belong_to_one_kind_of_record(halo: HaloCaller) -> None:
    [field] = await halo.get("FieldInfo", typeid=5)
    sent = {"customfields": [{"id": field["id"], "value": "Gold"}, {"name": "CFCrmId", "value": "C-77"}]}
    contract = await halo.post("ClientContract", {"client_id": 12} | sent)
    assert contract["customfields"] == [{"id": field["id"], "name": "CFServiceLevel", "value": "Gold"}]
    assert (await halo.get("ClientContract", client_id=12))["contracts"][0]["customfields"] == []
    asked = await halo.get("ClientContract", client_id=12, include_custom_fields=field["id"])
    assert asked["contracts"][0]["customfields"] == contract["customfields"]
    assert (await halo.get(f"ClientContract/{contract['id']}"))["customfields"] == contract["customfields"]
    assert (await halo.post("Asset", {"client_id": 12, "assettype_id": 131} | sent))["customfields"] == []


async def test_the_next_reference_of_a_contract_can_be_asked_for(halo: HaloCaller) -> None:
    answer = await halo.http.post("/api/ClientContract/NextRef", json=[{"client_id": 12}])
    assert (answer.status_code, answer.json()) == (201, {"ref": "AGR-0001"})


async def test_set_up_lists_have_what_integrations_look_up(halo: HaloCaller) -> None:
    for lookup in (12, 17, 27, 33, 58, 74, 77, 89):
        assert await halo.get("Lookup", lookupid=lookup), lookup
    assert (await halo.get("Agent/3"))["name"] == "Jane Miller"
    priorities = await halo.get("Priority", slaid=2)
    assert {row["priorityid"] for row in priorities} == {1, 3}
    assert (await halo.get(f"Priority/{priorities[0]['id'].upper()}"))["slaid"] == 2
    for name in ("SLA", "Outcome", "Team", "AssetType"):
        assert {"id", "name"} <= (await halo.get(name))[0].keys()


async def test_a_clients_open_tickets_are_counted(halo: HaloCaller, acme: int) -> None:
    for status in (1, 2, 9):
        halo.sandbox.plant("Tickets", {"summary": "x", "client_id": acme, "status_id": status})
    assert (await halo.get(f"Client/{acme}"))["open_ticket_count"] == 2
