"""The client that leaves is found for certain, or a person says which one it is."""

import json
from typing import Any

import httpx
import pytest

from tests.memory_run import STARTED, Asleep, Notebook, restored
from tests.tenant import Tenant, Wire, event
from worker.events import Event
from workflows.report import DRAFT


class KeylessListings(Wire):
    """HaloPSA whose listings of clients do not show where the key is kept."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if (request.method, request.url.path) != ("GET", "/api/Client"):
            return response
        page = json.loads(await response.aread())
        for row in page["clients"]:
            row.pop("ref", None)
            row.pop("notes", None)
        return httpx.Response(response.status_code, json=page, request=request)


@pytest.fixture
def keyless(tenant: Tenant) -> Tenant:
    tenant.wire = KeylessListings(tenant.sandbox)
    tenant.restart()
    return tenant


def leaves(**client: str) -> Event:
    return event("client.churned", {"client": client, "last_service_day": "2026-11-22"})


async def question(tenant: Tenant, told: Event, notebook: Notebook) -> str:
    """Return what a person is asked next."""
    before = tenant.picture()
    with pytest.raises(Asleep) as asked:
        await tenant.claim(told, notebook)
    assert tenant.picture() == before
    return str(asked.value)


async def test_a_key_that_listings_do_not_show_is_read(keyless: Tenant) -> None:
    client_id = keyless.sandbox.plant("Client", keyless.keyed("C-77", name="Acme"))
    keyless.sandbox.plant("Client", keyless.keyed("C-78", name="ACME."))

    assert (await keyless.claim(leaves(id="C-77", name="acme"), Notebook())).client_id == client_id


async def test_another_key_that_listings_do_not_show_is_named(keyless: Tenant) -> None:
    client_id = keyless.sandbox.plant("Client", keyless.keyed("C-99", name="Acme"))
    notebook, told = Notebook(), leaves(id="C-77", name="Acme")

    asked = await question(keyless, told, notebook)
    assert "bears another key than 'C-77'" in asked
    assert f"{client_id} 'Acme' (key 'C-99')" in asked

    notebook.answers["which-client"] = None
    assert (await keyless.claim(told, notebook)).client_id == client_id


async def test_without_any_key_it_was_found_by_its_name_alone(keyless: Tenant) -> None:
    keyless.sandbox.plant("Client", {"name": "Acme"})
    with pytest.raises(Asleep, match="found by its name alone"):
        await keyless.claim(leaves(id="C-77", name="Acme"), Notebook())


async def test_of_several_clients_of_one_name_a_person_chooses_one(tenant: Tenant) -> None:
    one, other = (tenant.sandbox.plant("Client", {"name": name}) for name in ("Acme", "ACME."))
    notebook, told = Notebook(), leaves(name="acme")
    asked = await question(tenant, told, notebook)
    assert asked.startswith("Several clients in HaloPSA match 'acme'")
    assert all(part in asked for part in (f"{one} 'Acme'", f"{other} 'ACME.'", "--use ID"))
    assert "give it alone the key" not in asked

    notebook.answers["which-client"] = None
    assert await question(tenant, told, notebook) == asked
    notebook.answers["which-client:2"] = {"use": 99999}
    assert "HaloPSA has no client 99999" in await question(tenant, told, notebook)

    notebook.answers["which-client-2"] = {"use": other}
    assert (await tenant.claim(told, notebook)).client_id == other
    assert [row["inactive"] for row in tenant.rows("Client") if row["id"] in (one, other)] == [False, True]


@pytest.mark.parametrize(
    ("named", "unlike"),
    [("Totally Different Ltd", True), ("Right Name Holdings GmbH", False), ("right name", False), ("", False)],
)
async def test_a_name_quite_unlike_halopsas_is_remarked(tenant: Tenant, named: str, *, unlike: bool) -> None:
    tenant.sandbox.plant("Client", tenant.keyed("C-77", name="Right Name"))
    notebook = Notebook(clock=STARTED)
    await tenant.claim(leaves(id="C-77", name=named), notebook)

    said = "the client with the key 'C-77' is called 'Right Name' in HaloPSA, and 'Totally Different Ltd' by the event"
    remarks: list[Any] = restored(notebook, DRAFT)["remarks"]
    assert (notebook.remarks.get("client:remark") == said, said in remarks) == (unlike, unlike)
