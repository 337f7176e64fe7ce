"""Steps that make sure something stands in HaloPSA: look first, write only what is missing.

HaloPSA knows neither unique names nor idempotency keys, so every record that is made here can be found again by what
was written with it: a client by the CRM's key or its name, a site by its name, a contact by its e-mail address or
name, a contract by the deal's id, an asset by its tag, a note or ticket by its mark.
"""

from workflows.ensure.asset import ensure_asset
from workflows.ensure.choices import named
from workflows.ensure.client import Choice, Undecided, Wanted, client_key, ensure_client, ensure_key
from workflows.ensure.client_data import Lack, fill, find_lack, is_prospect
from workflows.ensure.contact import contact_key, ensure_contact
from workflows.ensure.contract import ensure_contract, term_end
from workflows.ensure.ensured import ClientRef, Ensured, Skippable, listed, remark_all
from workflows.ensure.note import ensure_note
from workflows.ensure.site import ensure_main_site, ensure_site
from workflows.ensure.ticket import ensure_ticket
from workflows.matching import match_client

__all__ = [
    "Choice",
    "ClientRef",
    "Ensured",
    "Lack",
    "Skippable",
    "Undecided",
    "Wanted",
    "client_key",
    "contact_key",
    "ensure_asset",
    "ensure_client",
    "ensure_contact",
    "ensure_contract",
    "ensure_key",
    "ensure_main_site",
    "ensure_note",
    "ensure_site",
    "ensure_ticket",
    "fill",
    "find_lack",
    "is_prospect",
    "listed",
    "match_client",
    "named",
    "remark_all",
    "term_end",
]
