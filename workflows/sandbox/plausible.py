"""Records as an MSP's tenant has them: made-up names, example addresses, dates around today."""

import itertools
import json
import random
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

from workflows.sandbox.halopsa.dialects import DIALECTS
from workflows.sandbox.halopsa.reference import UNASSIGNED_AGENT
from workflows.sandbox.halopsa.store import Record
from workflows.sandbox.sandbox import Sandbox

T = TypeVar("T")

_NEVER = "1899-12-30T00:00:00"

_WORDS: dict[str, list[str]] = json.loads(files(__package__).joinpath("plausible.json").read_text())
"""No word of a company's name comes twice and no two look alike, so that only planted names match each other."""

_TICKET_TYPES = (1, 1, 1, 3, 3, 23)
_OPEN_STATUSES, _CLOSED_STATUSES = (1, 2, 2, 23), (9, 9, 9, 8)
"""Ids of the fresh tenant's set-up lists, the frequent ones more often."""
_ASSET_TYPES = {131: "LT", 130: "MN", 132: "SV"}
"""Asset type → what its inventory numbers begin with."""

_WITH_KEY, _DEPARTED, _UNASSIGNED = 0.8, 0.1, 0.3
"""Shares: of the clients that the CRM knows, of the contacts that have left, of the open tickets that nobody has."""


class Term(NamedTuple):
    """How long a contract runs.

    Attributes:
        start: its first day, in days from today.
        end: its last day; None for HaloPSA's "never".
        rolling: whether it goes on after that.
    """

    start: int
    end: int | None
    rolling: bool = False


class PlausibleRecords:
    """Plants one record at a time, each with a client that it belongs to.

    A record has the names of both dialects; a tenant drops those that it does not know.

    Args:
        sandbox: the tenant.
        seed: for names, numbers and choices; the same seed and the same calls plant the same on the same day.

    Attributes:
        random: for the caller's own choices.
        managers: the agents who look after clients.
    """

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.managers: list[int] = [
            agent["id"] for agent in sandbox.store.reference["Agent"] if agent["email"] and not agent["isdisabled"]
        ]
        self._sandbox = sandbox
        self._midnight = sandbox.store.clock().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        self._people = iter(self.shuffled(itertools.product(_WORDS["first_names"], _WORDS["last_names"])))
        self._numbers = itertools.count(1)

    def shuffled(self, values: Iterable[T]) -> list[T]:
        """The values in random order."""
        shuffled = list(values)
        self.random.shuffle(shuffled)
        return shuffled

    def company_names(self) -> Iterator[str]:
        """Names that nobody takes for each other, without a legal form; there are 47."""
        return map(" ".join, zip(self.shuffled(_WORDS["first_words"]), self.shuffled(_WORDS["trades"]), strict=True))

    def legal_form(self) -> str:
        """What follows a company's name, if anything."""
        return self.random.choice(("", "", " Ltd", " LLP", " plc"))

    def client(self, name: str, *, manager: int, inactive: bool) -> int:
        """Plant a client; most have the key that a CRM knows them by. Returns its id."""
        domain = domain_of(name)
        return self._plant(
            "Client",
            name=name,
            **(self._key() if self._happens(_WITH_KEY) else {}),
            website=f"https://{domain}",
            accountsemailaddress=f"accounts@{domain}",
            emailaddress=f"info@{domain}",
            phonenumber=self._phone(),
            accountmanagertech=manager,
            accountmanager_id=manager,
            paymentterms=30,
            payment_terms=30,
            customertype=1,
            inactive=inactive,
        )

    def main_site(self, client: int) -> int:
        """Fill in the main site that came with a client, or plant it where none did. Returns its id."""
        fields = {"client_id": client, "name": "Main", "main_site": True} | self._location()
        came = next(iter(self._sandbox.store["Site"].where("client_id", client)), None)
        if came is None:
            return self._plant("Site", **fields)
        self.change("Site", came["id"], **fields)
        return int(came["id"])

    def branches(self, client: int) -> list[int]:
        """Plant a client's further sites, if it has any. Returns their ids."""
        cities = self.random.sample(_WORDS["cities"], self.random.choice((0, 0, 0, 1, 2)))
        return [self._plant("Site", client_id=client, name=city, **self._location()) for city in cities]

    def contact(self, client: int, site: int, domain: str, *, important: bool) -> int:
        """Plant a contact with an e-mail address; some that are not important have left. Returns its id."""
        first, last = next(self._people)
        title = self.random.choice(_WORDS["job_titles"])
        return self._plant(
            "Users",
            client_id=client,
            site_id=site,
            name=f"{first} {last}",
            firstname=first,
            surname=last,
            emailaddress=f"{first}.{last}@{domain}".lower(),
            phonenumber=self._phone(),
            title=title,
            jobtitle=title,
            isimportantcontact=important,
            inactive=not important and self._happens(_DEPARTED),
        )

    def asset(self, client: int, site: int, *, inactive: bool) -> int:
        """Plant an asset. Returns its id."""
        kind = self.random.choice(list(_ASSET_TYPES))
        return self._plant(
            "Asset",
            client_id=client,
            site_id=site,
            assettype_id=kind,
            inventory_number=f"{_ASSET_TYPES[kind]}-{next(self._numbers):04}",
            inactive=inactive,
        )

    def contract(self, client: int, term: Term) -> int:
        """Plant a contract. Returns its id."""
        return self._plant(
            "ClientContract",
            client_id=client,
            ref=f"CON-{next(self._numbers):04}",
            start_date=self._day(term.start),
            end_date=_NEVER if term.end is None else self._day(term.end),
            rollingcontract=term.rolling,
            periodchargeamount=self._amount(),
        )

    def recurring_invoice(self, client: int, contract: int, *, enabled: bool) -> int:
        """Plant the recurring invoice of a contract. Returns its id."""
        return self._plant(
            "RecurringInvoice",
            client_id=client,
            contract_id=contract,
            disabled=not enabled,
            startdate=self._day(-400),
            lastcreated=self._day(-20 if enabled else -390),
            nextcreationdate=self._day(10) if enabled else _NEVER,
            total=self._amount(),
        )

    def ticket(self, client: int, site: int, contact: int | None, *, is_open: bool, parent: int = 0) -> int:
        """Plant a ticket that was logged within the last 300 days; some open ones nobody has.

        Args:
            client: its id.
            site: the site's id.
            contact: who reported it; None for nobody by name.
            is_open: whether it is not closed.
            parent: the ticket that it is a child of; 0 for none.

        Returns:
            Its id.
        """
        logged = -self.random.randint(1, 60 if is_open else 300)
        touched = self._day(self.random.randint(logged, 0))
        unassigned = is_open and self._happens(_UNASSIGNED)
        return self._plant(
            "Tickets",
            client_id=client,
            site_id=site,
            **({} if contact is None else {"user_id": contact}),
            summary=self.random.choice(_WORDS["summaries"]),
            tickettype_id=self.random.choice(_TICKET_TYPES),
            status_id=self.random.choice(_OPEN_STATUSES if is_open else _CLOSED_STATUSES),
            agent_id=UNASSIGNED_AGENT if unassigned else self.random.choice(self.managers),
            parent_id=parent,
            dateoccurred=self._day(logged),
            datecreated=self._day(logged),
            last_update=touched,
            **({} if is_open else {"hasbeenclosed": True, "dateclosed": touched}),
        )

    def change(self, entity: str, record_id: int, **fields: Any) -> None:
        """Write fields into a record, past HaloPSA's rules."""
        known = DIALECTS[self._sandbox.dialect][entity].read(fields, 0)
        table = self._sandbox.store[entity]
        table.change(table.rows[record_id], known)

    def _plant(self, entity: str, **fields: Any) -> int:
        return int(self._sandbox.plant(entity, fields))

    def _key(self) -> Record:
        key = str(self.random.randrange(10**9, 10**10))
        return {"ref": key} if self._sandbox.dialect == "v2" else {"notes": f"Parhelion key: {key}"}

    def _location(self) -> Record:
        street = f"{self.random.randint(1, 200)} {self.random.choice(_WORDS['streets'])}"
        city, postcode = self.random.choice(_WORDS["cities"]), f"ZZ{self.random.randint(1, 99)} 9ZZ"
        nested = {"line1": street, "line2": "", "line3": city, "line4": "", "postcode": postcode}
        flat = {"line1": street, "line4": city, "postcode": postcode, "country": "United Kingdom"}
        return flat | {"phonenumber": self._phone(), "country_code": "224", "delivery_address": nested}

    def _phone(self) -> str:
        # Ofcom keeps these numbers free for stories.
        return f"+44 20 7946 0{self.random.randrange(1000):03}"

    def _amount(self) -> float:
        return float(self.random.randrange(200, 4000, 50))

    def _day(self, distance: int) -> str:
        return (self._midnight + timedelta(days=distance)).isoformat()

    def _happens(self, share: float) -> bool:
        return self.random.random() < share


def domain_of(name: str) -> str:
    """The domain of a client of this name, below ``example``, where no mail arrives."""
    return re.sub("[^a-z]+", "-", name.lower()).strip("-") + ".example"
