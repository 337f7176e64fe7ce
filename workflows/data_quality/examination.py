"""Reading a tenant's lists and making the checks on them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from worker.errors import NeedsOperator, RetryLater
from worker.run import Guard
from workflows.closing_rules import closing_rules
from workflows.data_quality.checks import CHECKS, List, QualityCheck
from workflows.data_quality.finding import Finding, Records, WonDeal
from workflows.data_quality.tape import Tape, open_tape
from workflows.end_contracts import may_roll, runs_past
from workflows.halopsa import Halo, HaloConnection, HaloRefused
from workflows.halopsa.dialects import UNASSIGNED_AGENT_ID
from workflows.halopsa.models import Client, Contract
from workflows.policy import Policy

T = TypeVar("T")
Tell = Callable[[str], None]
Pause = Callable[[float], Awaitable[None]]

TRIES: Final = 10
"""How often in a row a list is asked for without getting any further: for five minutes and more, HaloPSA's window."""
FIRST_TRIES: Final = 5
"""The same as long as HaloPSA has not answered at all: it may be the wrong address."""
LONGEST_PAUSE_S: Final = 60.0
TELL_EVERY: Final = 25
"""Requests between two signs of life."""
SAMPLE: Final = 5
NOT_LISTED: Final = "Look for them in HaloPSA itself, or leave this check out: data_quality.skip in the policy."
RIGHTS: Final = "Let the API application's agent read them; parhelion doctor says which right is missing."


async def examine(
    connection: HaloConnection,
    guard: Guard,
    policy: Policy,
    *,
    tape: Path,
    now: datetime,
    won_deals: Sequence[WonDeal] = (),
    tell: Tell = lambda _: None,
    pause: Pause = asyncio.sleep,
) -> list[Finding]:
    """Read what the checks need, and make those that the policy does not skip.

    Interrupted, it goes on where it stopped when it is called again with the same file within a day.

    Args:
        connection: the way to HaloPSA.
        guard: stands before the requests, as bulk work.
        policy: the MSP's business rules.
        tape: keeps what was read until the examination is done.
        now: an aware time.
        won_deals: what the CRM says is won, where one can be asked.
        tell: is told of progress.
        pause: waits for so many seconds.

    Raises:
        HaloUnavailable: HaloPSA cannot be asked for a long time.
        NeedsOperator: HaloPSA does not let its clients be read.
        TapeInUse: another process is at it.
    """
    checks = [check for check in CHECKS if check.kind not in policy.data_quality.skip]
    reading = Reading(tell, pause)
    with open_tape(tape, now, reading.answered) as (kept, begun):
        if begun is not None:
            tell(f"going on with what an examination has read that began at {begun.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
        reading.tape, halo = kept, connection.for_reading(guard, kept.over)
        records = Records(policy.names, now.astimezone(policy.zone).date(), won_deals=won_deals)
        records.clients = {client.id: client for client in await reading.read("clients", halo.clients.find)}
        refused = await _read_lists(reading, halo, policy, records, checks)
        return await asyncio.to_thread(_findings, checks, records, refused)


class Reading:
    """Reads lists through trouble that passes.

    Args:
        tell: is told of progress.
        pause: waits for so many seconds.

    Attributes:
        tape: keeps the answers.
    """

    tape: Tape

    def __init__(self, tell: Tell, pause: Pause) -> None:
        self._tell = tell
        self._pause = pause
        self._requests = 0

    def answered(self) -> None:
        """Take note of an answer from HaloPSA."""
        self._requests += 1
        if self._requests % TELL_EVERY == 0:
            self._tell(f"{self._requests} requests so far")

    async def read(self, what: str, read: Callable[[], Awaitable[list[T]]]) -> list[T]:
        """Read a list; after trouble again, with the answers that came before it.

        Raises:
            RetryLater: it got no further for a long time.
        """
        start = reached = self.tape.place
        tries = 0
        while True:
            try:
                rows = await read()
            except RetryLater as error:
                # Where all answers came, it is their content that is of no use.
                useless = self.tape.sound
                further = not useless and self.tape.place > reached
                reached, tries = max(reached, self.tape.place), 1 if further else tries + 1
                self.tape.go_back(start, forget=useless)
                if tries == (TRIES if self._requests else FIRST_TRIES):
                    raise
                wait_s = error.after or min(2.0 ** (tries - 1), LONGEST_PAUSE_S)
                self._tell(f"{error.reason}; again in {wait_s:.0f} s")
                await self._pause(wait_s)
            else:
                self._tell(f"{what}: {len(rows)} read")
                return rows


async def _read_lists(
    reading: Reading, halo: Halo, policy: Policy, records: Records, checks: Sequence[QualityCheck]
) -> dict[List, NeedsOperator]:
    """Put the lists that the checks need into the records; returns those that may not be read, and why."""
    refused: dict[List, NeedsOperator] = {}
    needed = {check.needs for check in checks}
    for name, read in READERS.items():
        if name in needed:
            try:
                rows = await reading.read(name.replace("_", " "), partial(read, halo, policy, records))
            except NeedsOperator as error:
                refused[name] = error
            else:
                setattr(records, name, rows)
    return refused


def _findings(checks: Sequence[QualityCheck], records: Records, refused: Mapping[List, NeedsOperator]) -> list[Finding]:
    found: list[Finding] = []
    for check in checks:
        error = refused.get(check.needs) if check.needs else None
        if error is None:
            found += check.find(records)
        else:
            what = f"The check could not be made. {error.what}"
            mend = RIGHTS if isinstance(error, HaloRefused) else error.mend
            found.append(Finding(kind=check.kind, certainty="unknown", what=what, mend=mend))
    return found


async def _account_managers(halo: Halo, _policy: Policy, records: Records) -> list[Any]:
    """Name the clients that have an account manager; where the list shows none at all, look whether it shows them."""
    managed = [client.id for client in records.in_use if _has_account_manager(client)]
    for client in [] if managed else records.in_use[:SAMPLE]:
        if _has_account_manager(await halo.clients.get(client.id)):
            raise NeedsOperator("HaloPSA's list of clients does not show account managers.", mend=NOT_LISTED)
    return managed


def _has_account_manager(client: Client) -> bool:
    return client.account_manager_id > UNASSIGNED_AGENT_ID


async def _contacts(halo: Halo, _policy: Policy, _records: Records) -> list[Any]:
    return await halo.contacts.find()


async def _open_tickets(halo: Halo, policy: Policy, _records: Records) -> list[Any]:
    rules = await closing_rules(halo, policy)
    return [ticket for ticket in await halo.tickets.find() if rules.is_open(ticket)]


async def _contracts(halo: Halo, _policy: Policy, records: Records) -> list[Any]:
    """Read contracts; of inactive clients' past ones each by itself, where the list does not say whether it rolls."""
    rows = await halo.contracts.find()
    inactive = {client.id for client in records.clients.values() if client.inactive}
    return [
        await _whole(halo, row) if row.client_id in inactive and _is_open_whether_it_rolls(row, records.today) else row
        for row in rows
    ]


async def _whole(halo: Halo, row: Contract) -> Contract:
    try:
        return await halo.contracts.get(row.id)
    except HaloRefused:
        # Reading one contract takes more rights than the list; HaloPSA's word that it has expired must do then.
        return row


def _is_open_whether_it_rolls(row: Contract, today: date) -> bool:
    return may_roll(row) and not runs_past(row, today)


async def _recurring_invoices(halo: Halo, _policy: Policy, _records: Records) -> list[Any]:
    return await halo.recurring_invoices.find()


READERS: Final[Mapping[List, Callable[[Halo, Policy, Records], Awaitable[list[Any]]]]] = {
    "account_managers": _account_managers,
    "contacts": _contacts,
    "tickets": _open_tickets,
    "contracts": _contracts,
    "recurring_invoices": _recurring_invoices,
}
