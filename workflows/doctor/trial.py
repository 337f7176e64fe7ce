"""The client on which writes are tried, and putting it away afterwards."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from workflows.closing_rules import closing_rules
from workflows.doctor.patient import TRIAL_NAME, Patient
from workflows.doctor.sign_in import signed_in_agent
from workflows.ensure.contract import with_rolling
from workflows.halopsa import Halo, HaloRefused
from workflows.halopsa.models import Ticket
from workflows.resolve import chosen

CLOSED_BECAUSE: Final = "Closed by the write test of Parhelion's doctor."


@dataclass
class Trial:
    """What the write test has made so far.

    Attributes:
        patient: whose HaloPSA it is made in.
        now: when the test began (UTC); tells this test's client from those of others.
        tried: whether its making was asked for.
        client_id: the client; 0 as long as none is known to be made.
        main_site_id: its main site.
        contact_id: its contact.
        tickets: its tickets that are open; the first is kept for when the client is inactive.
        contracts: its contracts that go on.
        works: what HaloPSA let be done while the client was active.
    """

    patient: Patient
    now: datetime
    tried: bool = False
    client_id: int = 0
    main_site_id: int = 0
    contact_id: int = 0
    tickets: list[Ticket] = field(default_factory=list)
    contracts: list[int] = field(default_factory=list)
    works: set[str] = field(default_factory=set)

    @property
    def halo(self) -> Halo:
        """HaloPSA."""
        return self.patient.halo

    @property
    def today(self) -> date:
        """The day of the test (UTC)."""
        return self.now.date()

    @property
    def name(self) -> str:
        """The client's name."""
        return f"{TRIAL_NAME} {self.now:%Y-%m-%d %H:%M:%S}"

    @property
    def key(self) -> str:
        """The client's key, as a CRM would give it."""
        return f"parhelion-doctor-{self.now:%Y%m%d%H%M%S}"

    async def make_client(self) -> None:
        """Make the client with its main site, unless an earlier try has made it without an answer."""
        known = await self.own_clients() if self.tried else []
        self.tried = True
        self.client_id = known[0] if known else await self._new_client()

    async def own_clients(self) -> list[int]:
        """Find the client by its key or its name; there may be several where an answer was lost."""
        found = await self.halo.clients.find()
        return sorted(one.id for one in found if one.key == self.key or one.name == self.name)

    async def note(self, text: str) -> None:
        """Write a note on the client."""
        await self.halo.notes.create(client_id=self.client_id, text=text, at=self.now)

    async def take_portal_access(self) -> None:
        """Take the contact's access to the portal, as a churn does it."""
        await self.halo.contacts.update(self.contact_id, portal_access=0)

    async def give_reason(self, ticket_id: int) -> None:
        """Put an internal action on a ticket, as a churn does before it closes one."""
        await self.halo.actions.create(
            ticket_id=ticket_id,
            note=CLOSED_BECAUSE,
            outcome_id=self.patient.policy.churn_client.note_outcome_id,
            hidden=True,
            send_email=False,
            skip_rules=True,
        )

    async def open(self, type_id: int | None) -> Ticket:
        """Open a ticket that nobody is assigned to; None leaves its type to HaloPSA."""
        made = await self.halo.tickets.create(
            summary=self.name, client_id=self.client_id, site_id=self.main_site_id, type_id=type_id, skip_rules=True
        )
        return await self.halo.tickets.get(made.id)

    async def close(self, ticket: Ticket) -> bool:
        """Close a ticket that nobody is assigned to, as a churn does it.

        Returns:
            Whether HaloPSA shows it as closed.
        """
        rules = await closing_rules(self.halo, self.patient.policy)
        # An earlier try may have closed it without an answer, and to change a closed ticket takes a right of its own.
        if rules.is_open(await self.halo.tickets.get(ticket.id)):
            await self.halo.tickets.update(
                ticket.id,
                **rules.closing(ticket.type_id),
                type_id=ticket.type_id,
                client_id=self.client_id,
                agent_id=self.halo.closer_agent_id or rules.closer_agent_id or await self._signed_in_id(),
                skip_rules=True,
            )
        closed = not rules.is_open(await self.halo.tickets.get(ticket.id))
        if closed:
            self.tickets = [one for one in self.tickets if one.id != ticket.id]
        return closed

    async def end(self, contract_id: int) -> bool:
        """End a contract as a churn does it.

        Returns:
            Whether HaloPSA shows it as ended.
        """
        await self.halo.contracts.update(contract_id, end=self.today, rolling=False)
        ended = contract_id not in await self._running_contracts()
        if ended:
            self.contracts = [one for one in self.contracts if one != contract_id]
        return ended

    async def find_more(self) -> None:
        """Look for open tickets and running contracts also among those whose making had no answer."""
        rules = await closing_rules(self.halo, self.patient.policy)
        found = await self.halo.tickets.find(client_id=self.client_id)
        known = {one.id for one in self.tickets}
        self.tickets += [one for one in found if one.id not in known and rules.is_open(one)]
        self.contracts = sorted({*self.contracts, *await self._running_contracts()})

    async def _new_client(self) -> int:
        group = self.patient.policy.halopsa.customer_group
        groups = Counter(one.group_id for one in self.patient.clients if one.group_id).most_common(1)
        if group is not None:
            group = chosen(await self.halo.top_levels.find(), group, "customer group").id
        elif groups:
            group = groups[0][0]
        made = await self.halo.clients.create(name=self.name, key=self.key, group_id=group, site_name="Main")
        return made.id

    async def _running_contracts(self) -> list[int]:
        rows = await self.halo.contracts.find(client_id=self.client_id)
        found = [await with_rolling(self.halo, one) for one in rows if one.active]
        return [one.id for one in found if one.rolling or one.end != self.today]

    async def _signed_in_id(self) -> int | None:
        try:
            me = await signed_in_agent(self.halo)
        except HaloRefused:
            return None
        return me.id if me else None
