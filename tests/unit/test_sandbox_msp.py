"""The seeded MSP holds the faults that it names, and no others."""

import itertools
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest
from rapidfuzz import fuzz

from workflows.sandbox import Sandbox
from workflows.sandbox.halopsa.dialects import DialectName
from workflows.sandbox.msp import DataFault, FaultKind, plant_msp

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SEEDS = (0, 1, 7, 2026)
GENERAL_USER = "General User"
LEGAL_FORMS = r"\b(corp|corporation|ltd|limited|llp|plc)\b"

Found = tuple[str, frozenset[int], frozenset[int], str]


def fresh(dialect: DialectName = "v2") -> Sandbox:
    return Sandbox(clock=lambda: NOW, dialect=dialect)


def normalised(name: str) -> str:
    return " ".join(re.sub(LEGAL_FORMS, "", re.sub(r"\W+", " ", name.lower())).split())


class Audit:
    """Looks for faults in the records alone, as an auditor who knows nothing of the seed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.state = sandbox.state()
        self.clients = {client["id"]: client for client in self.state["Client"]}
        self.guide = sandbox.dialect == "guide"
        self.found: list[Found] = []

    def faults(self) -> Counter[Found]:
        self.contacts()
        self.names()
        self.managers()
        self.parents()
        self.left_behind()
        return Counter(self.found)

    def note(self, kind: FaultKind, clients: list[int], records: list[int] | None = None, detail: str = "") -> None:
        self.found.append((kind, frozenset(clients), frozenset(records or []), detail))

    def contacts(self) -> None:
        people = [user for user in self.state["Users"] if user["name"] != GENERAL_USER]
        having = {user["client_id"] for user in people if not user["inactive"]}
        for client in self.clients.keys() - having:
            self.note(FaultKind.NO_CONTACTS, [client])
        for user in people:
            if not user["emailaddress"]:
                self.note(FaultKind.NO_EMAIL, [user["client_id"]], [user["id"]])

    def names(self) -> None:
        by_name = defaultdict(list)
        for client in self.clients.values():
            by_name[normalised(client["name"])].append(client["id"])
        for ids in by_name.values():
            if len(ids) > 1:
                self.note(FaultKind.DUPLICATE_NAMES, ids)

    def managers(self) -> None:
        for client in self.clients.values():
            if not client["accountmanager_id" if self.guide else "accountmanagertech"]:
                self.note(FaultKind.NO_ACCOUNT_MANAGER, [client["id"]])

    def parents(self) -> None:
        parent_of = {client["id"]: client["client_to_invoice"] for client in self.clients.values()}
        for client, parent in parent_of.items():
            if parent == client:
                self.note(FaultKind.HIERARCHY, [client], detail="parent itself")
            elif parent and parent not in self.clients:
                self.note(FaultKind.HIERARCHY, [client], detail="parent missing")
            elif parent and self.clients[parent]["inactive"]:
                self.note(FaultKind.HIERARCHY, [client], detail="parent inactive")
        for cycle in {self.cycle_of(client, parent_of) for client in parent_of} - {frozenset()}:
            self.note(FaultKind.HIERARCHY, list(cycle), detail="cycle")

    def cycle_of(self, client: int, parent_of: dict[int, int]) -> frozenset[int]:
        chain = [client]
        while (parent := parent_of.get(chain[-1], 0)) and parent not in chain:
            chain.append(parent)
        return frozenset(chain) if parent == client and len(chain) > 1 else frozenset()

    def left_behind(self) -> None:
        for client in self.clients.values():
            if client["inactive"]:
                self.left_at(client["id"], "Tickets", FaultKind.OPEN_TICKETS)
                self.left_at(client["id"], "ClientContract", FaultKind.RUNNING_CONTRACTS)
                self.left_at(client["id"], "RecurringInvoice", FaultKind.RECURRING_INVOICES)

    def left_at(self, client: int, entity: str, kind: FaultKind) -> None:
        alive = {"Tickets": is_open, "ClientContract": is_running, "RecurringInvoice": is_enabled}[entity]
        left = [record["id"] for record in self.state[entity] if record["client_id"] == client and alive(record)]
        if left:
            self.note(kind, [client], left)


def is_open(ticket: dict[str, Any]) -> bool:
    return not ticket["hasbeenclosed"]


def is_enabled(invoice: dict[str, Any]) -> bool:
    return not invoice["disabled"]


def is_running(contract: dict[str, Any]) -> bool:
    never = contract["end_date"] < "1901"
    return bool(contract["active"]) and (never or contract["rollingcontract"] or contract["end_date"] > NOW.isoformat())


def found(fault: DataFault) -> Found:
    return fault.kind, frozenset(fault.clients), frozenset(fault.records), fault.detail


@pytest.mark.parametrize("dialect", ["v2", "guide"])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_planted_fault_is_there_and_no_other(seed: int, dialect: DialectName) -> None:
    sandbox = fresh(dialect)
    planted = plant_msp(sandbox, seed)
    assert Audit(sandbox).faults() == Counter(map(found, planted.faults))
    assert {fault.kind for fault in planted.faults} == set(FaultKind)


@pytest.mark.parametrize("seed", SEEDS)
def test_names_are_alike_only_where_they_are_planted_so(seed: int) -> None:
    sandbox = fresh()
    planted = plant_msp(sandbox, seed)
    twins = {fault.clients for fault in planted.faults if fault.kind is FaultKind.DUPLICATE_NAMES}
    for one, other in itertools.combinations(sandbox.state()["Client"], 2):
        alike = fuzz.WRatio(normalised(one["name"]), normalised(other["name"]))
        assert (alike > 75) == ((one["id"], other["id"]) in twins), (one["name"], other["name"], alike)


def test_it_is_a_plausible_msp() -> None:
    sandbox = fresh()
    plant_msp(sandbox, 7)
    state = sandbox.state()
    tickets = state["Tickets"]
    assert len(state["Client"]) == 50 + 2
    assert len(tickets) == 400
    assert 100 < sum(map(is_open, tickets)) < 200
    assert any(is_open(ticket) and ticket["agent_id"] == 1 for ticket in tickets)
    assert any(ticket["parent_id"] for ticket in tickets)
    assert len({client["ref"] for client in state["Client"]} - {""}) > 25
    assert len(state["Site"]) > 60
    assert len(state["Asset"]) > 60
    assert {is_running(contract) for contract in state["ClientContract"]} == {True, False}


def test_no_open_ticket_hangs_on_a_closed_one() -> None:
    sandbox = fresh()
    plant_msp(sandbox, 7)
    tickets = {ticket["id"]: ticket for ticket in sandbox.state()["Tickets"]}
    children = [ticket for ticket in tickets.values() if ticket["parent_id"]]
    assert all(is_open(tickets[child["parent_id"]]) for child in children if is_open(child))
    assert all(tickets[child["parent_id"]]["client_id"] == child["client_id"] for child in children)


def test_addresses_lead_nowhere() -> None:
    sandbox = fresh()
    plant_msp(sandbox, 7)
    addresses = [user["emailaddress"] for user in sandbox.state()["Users"] if user["emailaddress"]]
    assert len(addresses) == len(set(addresses))
    assert all(address.endswith(".example") for address in addresses)


def test_a_seed_is_repeatable() -> None:
    tenants = [fresh() for _ in range(3)]
    planted = [plant_msp(tenant, seed) for tenant, seed in zip(tenants, (7, 7, 8), strict=True)]
    assert planted[0] == planted[1]
    assert tenants[0].state() == tenants[1].state()
    assert tenants[0].state() != tenants[2].state()


def test_both_dialects_hold_the_same_msp() -> None:
    ours, guide = fresh("v2"), fresh("guide")
    planted = plant_msp(ours, 7), plant_msp(guide, 7)
    for entity, field in (("Client", "name"), ("Site", "name"), ("Tickets", "summary"), ("ClientContract", "end_date")):
        mine, theirs = ([(row["id"], row[field]) for row in tenant.state()[entity]] for tenant in (ours, guide))
        assert mine == theirs
    assert [fault.clients for fault in planted[0].faults] == [fault.clients for fault in planted[1].faults]
    keys = [{row["ref"] for row in ours.state()["Client"]}, {row["notes"] for row in guide.state()["Client"]}]
    assert {key.removeprefix("Parhelion key: ") for key in keys[1]} == keys[0]
