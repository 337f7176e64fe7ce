"""Contracts and recurring invoices: two records that end apart from each other."""

from typing import Any

from workflows.sandbox.answers import require
from workflows.sandbox.halopsa.fields import read_moment
from workflows.sandbox.halopsa.store import Record, Store

NEVER = "1899-12-30T00:00:00"
_NO_CLIENT = "Please select a valid Client"

_CONTRACT_DEFAULTS: dict[str, Any] = {
    "ref": "",
    "refextra": "",
    "site_id": 0,
    "start_date": NEVER,
    "end_date": NEVER,
    "active": True,
    "status": 0,
    "contracttype": 0,
    "billingperiod": 2,
    "periodchargeamount": 0.0,
    "rollingcontract": False,
    "termmonths": 0,
    "endtype": 0,
    "previouscontract": 0,
    "sla_id": 0,
    "dontinvoice": False,
    "next_invoice_date": NEVER,
    "periodicinvoicenextdate": NEVER,
    "contract_prepaytotal": 0.0,
    "contract_prepayused": 0.0,
    "contract_prepaybalance": 0.0,
    "billingplans": [],
    "note": "",
    "customfields": [],
}
_ONLY_IN_SINGLE_READS = frozenset(
    {
        "rollingcontract",
        "termmonths",
        "endtype",
        "previouscontract",
        "dontinvoice",
        "contract_prepaytotal",
        "contract_prepayused",
        "contract_prepaybalance",
        "billingplans",
    }
)
_INVOICE_DEFAULTS: dict[str, Any] = {
    "contract_id": 0,
    "disabled": False,
    "schedule_id": 0,
    "startdate": NEVER,
    "enddate": NEVER,
    "nextcreationdate": NEVER,
    "lastcreated": NEVER,
    "total": 0.0,
}


def create_contract(store: Store, sent: Record) -> Record:
    """Create a contract; two with one ``ref`` are fine.

    Raises:
        Refused: it has no client.
    """
    require(sent.get("client_id") in store["Client"], _NO_CLIENT)
    return store["ClientContract"].add(_CONTRACT_DEFAULTS | {"start_date": store.now()} | sent)


def update_contract(store: Store, contract: Record, sent: Record) -> None:
    """Change the sent fields of a contract.

    Raises:
        Refused: the new client is none.
    """
    require(sent.get("client_id", contract["client_id"]) in store["Client"], _NO_CLIENT)
    store["ClientContract"].change(contract, sent)


def show_contract(store: Store, contract: Record) -> Record:
    """A contract as reads show it: whether it has started or expired follows from the dates and today's."""
    today = store.clock().date()
    start, end = read_moment(contract["start_date"]), read_moment(contract["end_date"])
    started = start is None or start.date() <= today
    expired = end is not None and end.date() < today and not contract["rollingcontract"]
    return contract | {
        "client_name": store.name_of("Client", contract["client_id"]),
        "site_name": store.name_of("Site", contract["site_id"]),
        "started": started,
        "expired": expired,
        "contract_status": "Expired" if expired else "Active" if started else "Not Started",
    }


def contract_row(contract: Record) -> Record:
    """A shown contract as lists hold it: not whether it rolls on, nor its term, its predecessor and what is prepaid."""
    return {name: value for name, value in contract.items() if name not in _ONLY_IN_SINGLE_READS}


def create_invoice(store: Store, sent: Record) -> Record:
    """Create a recurring invoice.

    Raises:
        Refused: it has no client.
    """
    require(sent.get("client_id") in store["Client"], _NO_CLIENT)
    return store["RecurringInvoice"].add(_INVOICE_DEFAULTS | sent)


def update_invoice(store: Store, invoice: Record, sent: Record) -> None:
    """Change the sent fields of a recurring invoice."""
    store["RecurringInvoice"].change(invoice, sent)


def show_invoice(store: Store, invoice: Record) -> Record:
    """A recurring invoice as reads show it."""
    contract = store["ClientContract"].rows.get(invoice["contract_id"])
    return invoice | {
        "client_name": store.name_of("Client", invoice["client_id"]),
        "contract_ref": contract["ref"] if contract else "",
    }
