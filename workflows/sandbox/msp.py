"""A plausible MSP, repeatable by seed, with known faults in its data."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from workflows.sandbox.plausible import PlausibleRecords, Term, domain_of
from workflows.sandbox.sandbox import OWN_CLIENT, UNKNOWN_CLIENT, Sandbox


class FaultKind(StrEnum):
    """What is wrong with a piece of data."""

    NO_CONTACTS = "client-without-contacts"
    NO_EMAIL = "contact-without-email"
    DUPLICATE_NAMES = "duplicate-client-names"
    HIERARCHY = "client-hierarchy"
    NO_ACCOUNT_MANAGER = "client-without-account-manager"
    OPEN_TICKETS = "inactive-client-with-open-tickets"
    RUNNING_CONTRACTS = "inactive-client-with-running-contracts"
    RECURRING_INVOICES = "inactive-client-with-recurring-invoices"


Detail = Literal["", "parent missing", "parent itself", "parent inactive", "cycle"]


@dataclass(frozen=True, slots=True)
class DataFault:
    """One planted fault.

    Attributes:
        kind: what is wrong.
        clients: ids of the clients that it is about: one; both that have one name; all that form a cycle.
        records: ids of the contacts, tickets, contracts or recurring invoices that the kind names, else none.
        detail: what is wrong in a hierarchy.
    """

    kind: FaultKind
    clients: tuple[int, ...]
    records: tuple[int, ...] = ()
    detail: Detail = ""


@dataclass(frozen=True, slots=True)
class Planted:
    """What `plant_msp` has planted.

    Attributes:
        seed: what it was planted by.
        faults: everything that is wrong with the data.
    """

    seed: int
    faults: tuple[DataFault, ...]


_TICKETS, _CHILDREN, _OPEN_AT_INACTIVE = 400, 30, 3
_OPEN_SHARE, _CHILD_OPEN_SHARE, _OLD_CONTRACT_SHARE = 0.4, 0.7, 0.4
_NO_CLIENT = 90_000

_TWINS = (("{0} Corp.", "{1} Corporation"), ("{0} Ltd", "{0} Limited"), ("{0}", "{1}"))
"""Two spellings of one name: as it is, and in capitals."""

_RUNNING = (Term(-240, 490), Term(-800, -70, rolling=True), Term(-400, None))
_ENDED = Term(-1100, -370)

_CASES: dict[FaultKind | None, int] = {
    None: 16,
    FaultKind.NO_CONTACTS: 3,
    FaultKind.NO_EMAIL: 3,
    FaultKind.DUPLICATE_NAMES: 2 * len(_TWINS),
    FaultKind.HIERARCHY: 2 + 1 + 2 + 2 + 3,
    FaultKind.NO_ACCOUNT_MANAGER: 3,
}
_INACTIVE_CASES: dict[FaultKind | None, int] = {
    None: 2,
    FaultKind.OPEN_TICKETS: 2,
    FaultKind.RUNNING_CONTRACTS: len(_RUNNING),
    FaultKind.RECURRING_INVOICES: 2,
}
"""How many clients have which fault: 50 in all."""


def plant_msp(sandbox: Sandbox, seed: int) -> Planted:
    """Plant 50 clients with sites, contacts, assets, contracts and recurring invoices, and 400 tickets.

    HaloPSA's own two clients get a contact and an account manager, so that nothing but the planted faults is wrong.
    The same seed gives the same MSP in both dialects, ids of contacts aside; dates lie around today.

    Args:
        sandbox: a fresh tenant of either dialect; its state file gets the records with the next `Sandbox.save`.
        seed: for names, numbers and which client has which fault.
    """
    return _Msp(sandbox, seed).plant()


@dataclass(slots=True)
class _Company:
    """A client as it is being planted; the people are those who report tickets, with their sites."""

    id: int
    fault: FaultKind | None
    inactive: bool
    sites: list[int]
    people: list[tuple[int, int | None]] = field(default_factory=list)


class _Msp:
    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self._seed = seed
        self._records = PlausibleRecords(sandbox, seed)
        self._random = self._records.random
        self._parent_fields = {"v2": ("client_to_invoice",), "guide": ("client_to_invoice", "toplevel_id")}[
            sandbox.dialect
        ]
        self._companies: list[_Company] = []
        self._faults: list[DataFault] = []

    def plant(self) -> Planted:
        self._complete_built_in_clients()
        for name, fault, inactive in self._named_cases():
            self._companies.append(self._company(name, fault, inactive=inactive))
        self._note_duplicates()
        self._contracts()
        self._faulty_hierarchy()
        self._sound_hierarchy()
        self._tickets()
        return Planted(self._seed, tuple(self._faults))

    def _complete_built_in_clients(self) -> None:
        manager = self._records.managers[0]
        for client in (OWN_CLIENT, UNKNOWN_CLIENT):
            self._records.change("Client", client, accountmanagertech=manager, accountmanager_id=manager)
            self._records.contact(client, self._records.main_site(client), "msp.example", important=True)

    def _named_cases(self) -> Iterator[tuple[str, FaultKind | None, bool]]:
        """Give every client's name, fault and whether it is inactive, in random order."""
        active = [(fault, False) for fault, number in _CASES.items() for _ in range(number)]
        inactive = [(fault, True) for fault, number in _INACTIVE_CASES.items() for _ in range(number)]
        names = self._records.company_names()
        twins = iter([form.format(name, name.upper()) for forms in _TWINS for name in [next(names)] for form in forms])
        for fault, is_inactive in self._records.shuffled(active + inactive):
            twin = fault is FaultKind.DUPLICATE_NAMES
            yield next(twins) if twin else next(names) + self._records.legal_form(), fault, is_inactive

    def _company(self, name: str, fault: FaultKind | None, *, inactive: bool) -> _Company:
        manager = 0 if fault is FaultKind.NO_ACCOUNT_MANAGER else self._random.choice(self._records.managers)
        client = self._records.client(name, manager=manager, inactive=inactive)
        sites = [self._records.main_site(client), *self._records.branches(client)]
        company = _Company(client, fault, inactive, sites)
        if fault in (FaultKind.NO_ACCOUNT_MANAGER, FaultKind.NO_CONTACTS):
            self._note(fault, client)
        if fault is not FaultKind.NO_CONTACTS:
            self._contacts(company, domain_of(name))
        for _ in range(self._random.randint(0, 5)):
            self._records.asset(client, self._random.choice(company.sites), inactive=inactive)
        return company

    def _contacts(self, company: _Company, domain: str) -> None:
        for position in range(self._random.randint(2, 7)):
            site = self._random.choice(company.sites)
            contact = self._records.contact(company.id, site, domain, important=position == 0)
            company.people.append((site, contact))
            if company.fault is FaultKind.NO_EMAIL and position == 0:
                self._records.change("Users", contact, emailaddress="")
                self._note(FaultKind.NO_EMAIL, company.id, records=(contact,))

    def _note_duplicates(self) -> None:
        """Note the twins, who were named one after the other."""
        twins = self._having(FaultKind.DUPLICATE_NAMES)
        for one, other in zip(twins[::2], twins[1::2], strict=True):
            self._note(FaultKind.DUPLICATE_NAMES, one.id, other.id)

    def _contracts(self) -> None:
        for company in self._companies:
            term = _ENDED if company.inactive else self._random.choice(_RUNNING)
            contract = self._records.contract(company.id, term)
            forgotten = company.fault is FaultKind.RECURRING_INVOICES
            enabled = forgotten or not company.inactive
            invoice = self._records.recurring_invoice(company.id, contract, enabled=enabled)
            if forgotten:
                self._note(FaultKind.RECURRING_INVOICES, company.id, records=(invoice,))
            if not company.inactive and self._random.random() < _OLD_CONTRACT_SHARE:
                self._records.contract(company.id, _ENDED)
        for company, term in zip(self._having(FaultKind.RUNNING_CONTRACTS), _RUNNING, strict=True):
            self._note(FaultKind.RUNNING_CONTRACTS, company.id, records=(self._records.contract(company.id, term),))

    def _faulty_hierarchy(self) -> None:
        missing, missing_too, own, orphan, orphan_too, *rings = self._having(FaultKind.HIERARCHY)
        for company in (missing, missing_too):
            self._wrong_parent(company, _NO_CLIENT + company.id, "parent missing")
        self._wrong_parent(own, own.id, "parent itself")
        for company, parent in zip((orphan, orphan_too), self._sound(inactive=True), strict=True):
            self._wrong_parent(company, parent.id, "parent inactive")
        for ring in (rings[:2], rings[2:]):
            for child, parent in zip(ring, ring[1:] + ring[:1], strict=True):
                self._set_parent(child, parent.id)
            self._note(FaultKind.HIERARCHY, *(company.id for company in ring), detail="cycle")

    def _wrong_parent(self, company: _Company, parent: int, detail: Detail) -> None:
        self._set_parent(company, parent)
        self._note(FaultKind.HIERARCHY, company.id, detail=detail)

    def _sound_hierarchy(self) -> None:
        """Give one client three children, and one of them a child of its own."""
        top, *children, grandchild = self._sound(inactive=False)[:5]
        for child in children:
            self._set_parent(child, top.id)
        self._set_parent(grandchild, children[0].id)

    def _set_parent(self, company: _Company, parent: int) -> None:
        self._records.change("Client", company.id, **dict.fromkeys(self._parent_fields, parent))

    def _tickets(self) -> None:
        forgotten = self._having(FaultKind.OPEN_TICKETS)
        for company in forgotten:
            tickets = [self._ticket(company, is_open=True) for _ in range(_OPEN_AT_INACTIVE)]
            self._note(FaultKind.OPEN_TICKETS, company.id, records=tuple(tickets))
        parents: list[tuple[_Company, bool, int]] = []
        for _ in range(_TICKETS - _CHILDREN - _OPEN_AT_INACTIVE * len(forgotten)):
            company = self._random.choice(self._companies)
            is_open = not company.inactive and self._random.random() < _OPEN_SHARE
            parents.append((company, is_open, self._ticket(company, is_open=is_open)))
        for _ in range(_CHILDREN):
            company, is_open, parent = self._random.choice(parents)
            self._ticket(company, is_open=is_open and self._random.random() < _CHILD_OPEN_SHARE, parent=parent)

    def _ticket(self, company: _Company, *, is_open: bool, parent: int = 0) -> int:
        site, contact = self._random.choice([*company.people, (company.sites[0], None)])
        return self._records.ticket(company.id, site, contact, is_open=is_open, parent=parent)

    def _having(self, fault: FaultKind) -> list[_Company]:
        return [company for company in self._companies if company.fault is fault]

    def _sound(self, *, inactive: bool) -> list[_Company]:
        return [company for company in self._companies if company.fault is None and company.inactive is inactive]

    def _note(self, kind: FaultKind, *clients: int, records: tuple[int, ...] = (), detail: Detail = "") -> None:
        self._faults.append(DataFault(kind, clients, records, detail))
