"""The client on which writes are tried, and putting it away afterwards."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from workflows.doctor.patient import Patient
from workflows.doctor.setup import closing_status
from workflows.doctor.sign_in import signed_in_agent
from workflows.ensure import ClientRef
from workflows.halopsa import Halo, HaloRefused

NAME: Final = "Parhelion doctor"
CLOSED_BECAUSE: Final = "Closed by the write test of Parhelion's doctor."


@dataclass
class Trial:
    """What the write test has made so far.

    Attributes:
        patient: whose HaloPSA it is made in.
        now: when the test began (UTC); tells this test's client from those of others.
        made: the client; None as long as there is none.
        main_site_id: its main site.
        tickets: its tickets that are still to be closed, with their types.
        contracts: its contracts that are still to end.
        works: what HaloPSA let be done while the client was active.
    """

    patient: Patient
    now: datetime
    made: ClientRef | None = None
    main_site_id: int = 0
    tickets: dict[int, int] = field(default_factory=dict)
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
        return f"{NAME} {self.now:%Y-%m-%d %H:%M:%S}"

    @property
    def key(self) -> str:
        """The client's key, as a CRM would give it."""
        return f"parhelion-doctor-{self.now:%Y%m%d%H%M%S}"

    @property
    def client(self) -> ClientRef:
        """The client.

        Raises:
            LookupError: it is not made yet.
        """
        if self.made is None:
            raise LookupError("there is no client for the write test")
        return self.made

    async def note(self, text: str) -> None:
        """Write a note on the client."""
        await self.halo.notes.create(client_id=self.client.id, text=text, at=self.now)

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

    async def close(self, ticket_id: int) -> bool:
        """Close a ticket that nobody is assigned to, as a churn does it.

        Returns:
            Whether HaloPSA shows it as closed.
        """
        status_id = (await closing_status(self.patient)).id
        await self.halo.tickets.update(
            ticket_id,
            status_id=status_id,
            type_id=self.tickets[ticket_id],
            client_id=self.client.id,
            agent_id=await self._closer_id(),
            skip_rules=True,
        )
        shown = await self.halo.tickets.get(ticket_id)
        if closed := shown.closed or shown.status_id == status_id:
            del self.tickets[ticket_id]
        return closed

    async def end(self, contract_id: int) -> bool:
        """End a contract as a churn does it.

        Returns:
            Whether HaloPSA shows it as ended.
        """
        await self.halo.contracts.update(contract_id, end=self.today, rolling=False)
        shown = await self.halo.contracts.find(client_id=self.client.id)
        ended = any(one.id == contract_id and one.end == self.today and not one.rolling for one in shown)
        if ended:
            self.contracts.remove(contract_id)
        return ended

    async def _closer_id(self) -> int | None:
        if self.halo.closer_agent_id is not None:
            return self.halo.closer_agent_id
        try:
            me = await signed_in_agent(self.halo)
        except HaloRefused:
            return None
        return me.id if me else None
