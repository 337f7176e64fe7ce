"""Linking the clients that HaloPSA has to the companies of the CRM, by writing the companies' keys."""

import asyncio
import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from worker.errors import NeedsOperator, ParhelionError, RetryLater
from workflows.canonical import ClientData
from workflows.halopsa import Halo
from workflows.halopsa.models import Client
from workflows.matching import Candidate, candidate, find_match, spelling
from workflows.name_index import NameIndex
from workflows.policy.tenant import Names

T = TypeVar("T")
State = Literal["linked", "written", "certain", "uncertain", "none", "not written"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Tell = Callable[[str], None]
Pause = Callable[[float], Awaitable[None]]

HOST: Final = re.compile(r"(?:www\.)?((?:[\w-]+\.)+[\w-]+)")
TRIES: Final = 10
FIRST_TRIES: Final = 5
"""How often something is tried as long as HaloPSA has not answered at all: it may be the wrong address."""
LONGEST_PAUSE_S: Final = 60.0


class BadCompanies(ParhelionError):
    """A list of companies that cannot be read."""


class Company(BaseModel):
    """A company of the CRM: its key there, its name, and its internet domain or website, which may be empty."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, str_strip_whitespace=True)

    id: Text
    name: Text
    domain: str = ""


class Link(BaseModel):
    """What became of one company.

    Attributes:
        company: the CRM's.
        state: "linked" where the client has the key already, "certain" where it is to get it, "written" where it got
            it now, "not written" where it did not.
        client: the one that is meant; None where that is not certain.
        candidates: those that may be meant.
        trouble: why the key was not written.
    """

    model_config = ConfigDict(frozen=True)

    company: Company
    state: State
    client: Candidate | None = None
    candidates: list[Candidate] = []
    trouble: str = ""


def read_companies(text: str) -> list[Company]:
    """Read companies from CSV with a header, or from a JSON array: ``id``, ``name`` and perhaps ``domain``.

    Raises:
        BadCompanies: it is neither, something is missing, or an id comes twice.
    """
    rows = _json_rows(text) if text.lstrip().startswith(("[", "{")) else _csv_rows(text)
    try:
        companies = TypeAdapter(list[Company]).validate_python(rows)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = " ".join(str(part) for part in fault["loc"])
        raise BadCompanies(f"company {place} (counted from 0): {fault['msg']}") from error
    twice = [key for key, number in Counter(company.id for company in companies).items() if number > 1]
    if twice:
        raise BadCompanies(f"the id {twice[0]!r} comes more than once")
    return companies


def plan_links(clients: Sequence[Client], companies: Iterable[Company], names: Names) -> list[Link]:
    """Say which client each company is.

    What is certain is decided as for a won deal. A client that is certain for several companies is so for none.

    Args:
        clients: all of HaloPSA's, inactive ones included.
        companies: the CRM's.
        names: when two names are alike, and which domains prove nothing.
    """
    shortlist = _Shortlist(clients, names)
    links = [_link(company, shortlist.of(company), names) for company in companies]
    wanted = Counter(link.client.id for link in links if link.client)
    return [_contested(link) if link.client and wanted[link.client.id] > 1 else link for link in links]


async def link_companies(
    halo: Halo,
    companies: Iterable[Company],
    names: Names,
    *,
    write: bool,
    tell: Tell = lambda _: None,
    pause: Pause = asyncio.sleep,
) -> list[Link]:
    """Plan the links and, if asked, write the keys of those companies whose client is certain.

    Args:
        halo: HaloPSA.
        companies: the CRM's.
        names: when two names are alike, and which domains prove nothing.
        write: whether keys are written; what is linked already is left as it is.
        tell: is told of progress.
        pause: waits for so many seconds.

    Returns:
        The links as they are now.

    Raises:
        HaloUnavailable: HaloPSA cannot be asked for a long time; what was written stays.
        NeedsOperator: HaloPSA does not let its clients be read.
    """
    patience = _Patience(tell, pause)
    clients = await patience.with_(halo.clients.find)
    tell(f"clients: {len(clients)} read")
    links = await asyncio.to_thread(plan_links, clients, list(companies), names)
    if not write:
        return links
    done = [await patience.with_(partial(_write, halo, link)) for link in links]
    # HaloPSA ignores fields that it does not know: a key may not have been kept.
    kept = {client.id: client.key for client in await patience.with_(halo.clients.find)}
    return [_checked(link, kept) for link in done]


class _Patience:
    """Does things again while they meet trouble that may pass by itself."""

    def __init__(self, tell: Tell, pause: Pause) -> None:
        self._tell = tell
        self._pause = pause
        self._tries = FIRST_TRIES

    async def with_(self, act: Callable[[], Awaitable[T]]) -> T:
        for number in range(self._tries - 1):
            try:
                done = await act()
            except RetryLater as error:
                wait_s = error.after or min(2.0**number, LONGEST_PAUSE_S)
                self._tell(f"{error.reason}; again in {wait_s:.0f} s")
                await self._pause(wait_s)
            else:
                self._tries = TRIES
                return done
        return await act()


async def _write(halo: Halo, link: Link) -> Link:
    """Write the key of one link that is certain, unless the client has come to bear one meanwhile."""
    if link.state != "certain" or link.client is None:
        return link
    try:
        key = (await halo.clients.get(link.client.id)).key
        if not key:
            await halo.clients.update(link.client.id, key=link.company.id)
    except NeedsOperator as refusal:
        return _not_written(link, str(refusal))
    if key not in ("", link.company.id):
        return _not_written(link, f"the client bears the key {key!r} by now")
    return link.model_copy(update={"state": "written"})


def _checked(link: Link, kept: Mapping[int, str]) -> Link:
    if link.state != "written" or link.client is None or kept.get(link.client.id) == link.company.id:
        return link
    return _not_written(link, "HaloPSA took the key and did not keep it: see halopsa.external_key in the policy")


def _not_written(link: Link, trouble: str) -> Link:
    return link.model_copy(update={"state": "not written", "trouble": trouble})


class _Shortlist:
    """The clients that one company may be, out of all."""

    def __init__(self, clients: Sequence[Client], names: Names) -> None:
        self._names = names
        self._by_key: dict[str, list[Client]] = defaultdict(list)
        self._by_name: dict[str, list[Client]] = defaultdict(list)
        self._by_host: dict[str, list[Client]] = defaultdict(list)
        spellings = [spelling(client.name, names.legal_forms) for client in clients]
        for client, spelt in zip(clients, spellings, strict=True):
            self._by_key[client.key].append(client)
            self._by_name[spelt.core].append(client)
            for host in self._hosts(client.website, client.email, client.accounts_email):
                self._by_host[host].append(client)
        self._index = NameIndex(spellings, names.similarity)

    def of(self, company: Company) -> list[Client]:
        """Give those with the key, a name like the company's, or its domain."""
        found = [*self._by_key.get(company.id, ())]
        for core in self._index.alike(spelling(company.name, self._names.legal_forms)):
            found += self._by_name.get(core, ())
        for host in self._hosts(company.domain):
            found += self._by_host.get(host, ())
        return list({client.id: client for client in found}.values())

    def _hosts(self, *addresses: str) -> set[str]:
        found = {host for address in addresses for host in HOST.findall(address.casefold())}
        return found - set(self._names.shared_domains)


def _link(company: Company, clients: Sequence[Client], names: Names) -> Link:
    meant = ClientData(id=company.id, name=company.name, domains=[company.domain] if company.domain else [])
    match = find_match(clients, meant, names)
    if match.client is None:
        return Link(company=company, state="uncertain" if match.candidates else "none", candidates=match.candidates)
    state: State = "linked" if match.client.key == company.id else "certain"
    return Link(company=company, state=state, client=candidate(match.client))


def _contested(link: Link) -> Link:
    """Take the certainty away from a link whose client another company claims too, unless it bears the key."""
    if link.state != "certain" or link.client is None:
        return link
    contested = link.client.model_copy(update={"why": ["another company claims it too"]})
    return Link(company=link.company, state="uncertain", candidates=[contested])


def _json_rows(text: str) -> list[Any]:
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise BadCompanies(f"it is not JSON: {error}") from error
    if not isinstance(rows, list):
        raise BadCompanies("JSON must be an array of companies")
    return rows


def _csv_rows(text: str) -> list[Mapping[str, str]]:
    header, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=header.count)
    rows = csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter)
    rows.fieldnames = [name.strip().casefold() for name in rows.fieldnames or ()]
    return [{name: value or "" for name, value in row.items() if isinstance(name, str)} for row in rows]
