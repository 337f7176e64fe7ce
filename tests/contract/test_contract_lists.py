"""The sandbox lists of contracts and contacts what HaloPSA's own document has in lists; single reads show the rest."""

import pytest

from tests.openapi import DOCUMENT, document
from workflows.sandbox import Sandbox
from workflows.sandbox.halopsa import entities

pytestmark = pytest.mark.skipif(not DOCUMENT.exists(), reason="HaloPSA's OpenAPI document is not here")


def test_contracts_are_listed_without_what_only_single_reads_show() -> None:
    schemas = document()["components"]["schemas"]
    listed, whole = (set(schemas[name]["properties"]) for name in ("ContractHeader_List", "ContractHeader"))
    sandbox = Sandbox()
    sandbox.plant("ClientContract", {"client_id": 12})
    (contracts,) = [entity for entity in entities.ENTITIES if entity.name == "ClientContract"]
    (stored,) = sandbox.state()["ClientContract"]
    shown = contracts.show(sandbox.store, stored)

    assert set(shown) <= whole
    assert set(contracts.row(shown)) == set(shown) & listed
    assert {"rollingcontract", "contract_prepaybalance"} <= set(shown) - listed


def test_contacts_are_listed_without_what_only_single_reads_show() -> None:
    schemas = document()["components"]["schemas"]
    listed, whole = (set(schemas[name]["properties"]) for name in ("Users_List", "Users"))
    sandbox = Sandbox()
    sandbox.plant("Client", {"name": "Acme"})
    (contacts,) = [entity for entity in entities.ENTITIES if entity.name == "Users"]
    shown = contacts.show(sandbox.store, sandbox.state()["Users"][0])

    assert set(shown) - set(contacts.row(shown)) == {"web_access_level", "ismaincontact"} <= whole - listed
