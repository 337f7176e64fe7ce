"""Which client of HaloPSA is meant: one for certain, several that a person must choose from, or none.

HaloPSA knows no unique names, and its search may find everything or too little, so all clients are compared here.
"""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict
from rapidfuzz import fuzz, process

from worker.errors import NeedsOperator
from workflows.canonical import ClientData, normalised_name
from workflows.halopsa.models import Client
from workflows.policy.tenant import LEGAL_FORMS, Names

JOINERS: Final = frozenset({"and", "und", "et", "the"})
SAME_FORMS: Final = {"limited": "ltd", "corporation": "corp", "incorporated": "inc", "company": "co"}
ACCENTS: Final = 200
"""From this combining class of Unicode on, marks are accents; below it they make other letters."""
LENIENCY: Final = 10
"""By so many per cent more than whole names two words may differ that are one, spelt wrongly."""
TELLING_LENGTH: Final = 2
"""Words up to this length, and words with digits, tell names apart however alike the rest is: "Site 12", "Site 13"."""


class Candidate(BaseModel):
    """A client that may be meant.

    Attributes:
        id: HaloPSA's; with its name, its CRM key and whether it is inactive.
        why: what speaks for it.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    name: str
    key: str
    inactive: bool
    why: list[str]

    def __str__(self) -> str:
        marks = [f"key {self.key!r}", *(["inactive"] if self.inactive else []), *self.why]
        return f"{self.id} {self.name!r} ({', '.join(marks)})"


@dataclass(frozen=True, slots=True)
class Match:
    """What a look at all clients brought.

    Attributes:
        client: the one that is meant for certain.
        candidates: where none is certain, those that may be meant; empty where there is nothing like it.
    """

    client: Client | None = None
    candidates: list[Candidate] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Spelling:
    """A company's name in the forms that are compared.

    Attributes:
        whole: normalised.
        words: the same without legal forms at the end, accents and joining words, in alphabetical order.
        forms: the legal forms, each in one spelling.
    """

    whole: str
    words: tuple[str, ...]
    forms: frozenset[str]

    @property
    def core(self) -> str:
        """The words as text."""
        return " ".join(self.words)

    @property
    def telling(self) -> list[str]:
        """The words that tell this name from others that are nearly alike."""
        return [word for word in self.words if len(word) <= TELLING_LENGTH or any(map(str.isdigit, word))]


def spelling(name: str, legal_forms: Collection[str] = LEGAL_FORMS) -> Spelling:
    """Bring a company's name into the forms in which it is compared.

    Args:
        name: the name.
        legal_forms: words that do not count at its end, normalised.
    """
    whole = normalised_name(name)
    words = _without_accents(whole).split()
    end = len(words)
    while end > 1 and words[end - 1] in legal_forms:
        end -= 1
    core = [word for word in words[:end] if word not in JOINERS] or words[:end]
    forms = frozenset(SAME_FORMS.get(word, word) for word in words[end:])
    return Spelling(whole, tuple(sorted(core)), forms)


def queue_name(name: str) -> str:
    """Return what names of clients have in common that may be one client, so that their runs wait for each other."""
    return spelling(name).core


def match_client(rows: Sequence[Client], key: str, name: str, *, own_doubles: bool) -> Client | None:
    """Find a client by the CRM's key, else by its normalised name.

    Args:
        rows: all clients, inactive ones included.
        key: the CRM's key; may be empty.
        name: the name; may be empty.
        own_doubles: several clients with the key are this run's own; the eldest counts.

    Raises:
        NeedsOperator: several match, or the one that has the name bears another key.
    """
    found = [row for row in rows if key and row.key == key]
    if not found:
        found = [row for row in rows if name and normalised_name(row.name) == normalised_name(name)]
    if len(found) > 1 and not own_doubles:
        raise undecided(f"Several clients in HaloPSA match {name or key!r}", [candidate(row) for row in found], key)
    match = min(found, key=lambda row: row.id, default=None)
    if match and _differ(match.key, key):
        what = f"The client in HaloPSA named {name!r} bears another key than {key!r}"
        raise undecided(what, [candidate(match)], key)
    return match


def find_match(rows: Sequence[Client], client: ClientData, names: Names) -> Match:
    """Find the client that an event means.

    Certain are the CRM's key, else the name: exactly, or but for its legal form where nothing else speaks against it.
    A name alike, an internet domain or a tax number only make candidates; so does a name whose client bears another
    key. Two keys of one CRM that have nothing but a domain in common are two clients.

    Args:
        rows: all clients, inactive ones included.
        client: what the event says.
        names: when two names are alike, and which domains prove nothing.
    """
    keyed = [row for row in rows if client.id and row.key == client.id]
    if keyed:
        return Match(keyed[0]) if len(keyed) == 1 else Match(candidates=[candidate(row, "same key") for row in keyed])
    comparison = _Comparison(rows, client, names)
    namesakes = comparison.exact or comparison.but_for_form
    if len(namesakes) == 1 and comparison.is_certain(namesakes[0]):
        return Match(namesakes[0])
    return Match(candidates=comparison.candidates())


def undecided(what: str, candidates: Sequence[Candidate], key: str) -> NeedsOperator:
    """Make the error that leaves the choice between clients to a person.

    Args:
        what: what was found.
        candidates: the clients.
        key: the CRM's key; may be empty.
    """
    given = f"give it alone the key {key!r} where HaloPSA keeps the CRM's keys" if key else "rename the others"
    return NeedsOperator(
        f"{what}: {', '.join(map(str, candidates))}.",
        mend=f"decide which client is meant and {given}, then retry the run.",
    )


def candidate(row: Client, *why: str) -> Candidate:
    """Describe a client to a person who must choose."""
    return Candidate(id=row.id, name=row.name, key=row.key, inactive=row.inactive, why=list(why))


def named_client(rows: Sequence[Client], reference: str) -> list[Client]:
    """Find the clients that a reference means: those with the key, else those with the name."""
    name = normalised_name(reference)
    return [row for row in rows if row.key == reference] or [row for row in rows if normalised_name(row.name) == name]


class _Comparison:
    """All clients beside the one that an event means.

    Attributes:
        exact: those with the same name.
        but_for_form: those with the same name but for its legal form.
    """

    def __init__(self, rows: Sequence[Client], client: ClientData, names: Names) -> None:
        self._rows, self._client, self._names = rows, client, names
        self._wanted = spelling(client.name, names.legal_forms)
        self._spellings = [spelling(row.name, names.legal_forms) for row in rows]
        self._domains = _domains(names, client.website, client.email, *client.domains)
        spelt = list(zip(rows, self._spellings, strict=True))
        self.exact = [row for row, name in spelt if name.whole == self._wanted.whole]
        self.but_for_form = [row for row, name in spelt if name.words == self._wanted.words]

    def is_certain(self, row: Client) -> bool:
        """Whether a client of the same name is the one that is meant."""
        if _differ(row.key, self._client.id) or any(other.id != row.id for other in self._same_tax_number()):
            return False
        if row in self.exact:
            return True
        forms = spelling(row.name, self._names.legal_forms).forms
        nested = forms <= self._wanted.forms or self._wanted.forms <= forms
        return nested and not self._contradicts(row)

    def candidates(self) -> list[Candidate]:
        """Everything that may be meant, with what speaks for it; the likeliest first."""
        found: dict[int, tuple[Client, list[str]]] = {}
        nearly = [row for row in self.but_for_form if row not in self.exact]
        for why, rows in (
            ("same name", self.exact),
            ("same name but for its legal form", nearly),
            ("same tax number", self._same_tax_number()),
            ("name alike", self._alike()),
            ("same domain", self._same_domain()),
        ):
            for row in rows:
                found.setdefault(row.id, (row, []))[1].append(why)
        return [candidate(row, *why) for row, why in found.values()]

    def _same_tax_number(self) -> list[Client]:
        wanted = _bare(self._client.tax_number)
        return [row for row in self._rows if wanted and _bare(row.tax_number) == wanted]

    def _alike(self) -> list[Client]:
        cores, relatives = [spelt.core for spelt in self._spellings], self._relatives()
        alike = process.extract(
            self._wanted.core, cores, scorer=fuzz.ratio, score_cutoff=self._names.similarity, limit=None
        )
        return [
            self._rows[number]
            for core, _, number in alike
            if core != self._wanted.core
            and _may_be_misspelt(self._spellings[number], self._wanted, self._names.similarity - LENIENCY)
            and not self._contradicts(self._rows[number])
            and not _family(self._rows[number]) & relatives
        ]

    def _same_domain(self) -> list[Client]:
        if not self._domains:
            return []
        relatives = self._relatives()
        return [
            row
            for row in self._rows
            if self._domains & self._domains_of(row)
            and not (_differ(row.key, self._client.id) and not self._resembles(row))
            and not _family(row) & relatives
        ]

    def _resembles(self, row: Client) -> bool:
        theirs = spelling(row.name, self._names.legal_forms)
        alike = fuzz.ratio(theirs.core, self._wanted.core) >= self._names.similarity
        return alike and _may_be_misspelt(theirs, self._wanted, self._names.similarity - LENIENCY)

    def _relatives(self) -> set[int]:
        """The clients that the event itself names as others: the parent and who pays."""
        named = filter(None, (self._client.parent_id, self._client.invoice_to))
        return {row.id for reference in named for row in named_client(self._rows, reference)}

    def _contradicts(self, row: Client) -> bool:
        theirs, tax = self._domains_of(row), (_bare(row.tax_number), _bare(self._client.tax_number))
        elsewhere = bool(self._domains and theirs and not self._domains & theirs)
        return elsewhere or (all(tax) and tax[0] != tax[1])

    def _domains_of(self, row: Client) -> set[str]:
        return _domains(self._names, row.website, row.email, row.accounts_email)


def _may_be_misspelt(one: Spelling, other: Spelling, similarity: int) -> bool:
    """Whether what two names do not share may be one word, spelt wrongly: "East" and "West" are two."""
    mine = " ".join(word for word in one.words if word not in other.words)
    theirs = " ".join(word for word in other.words if word not in one.words)
    return one.telling == other.telling and fuzz.ratio(mine, theirs) >= similarity


def _family(row: Client) -> set[int]:
    """A client with the one above it and the one that pays for it."""
    return {row.id, row.parent_id, row.invoice_to}


def _domains(names: Names, *addresses: str | None) -> set[str]:
    """The internet domains of websites and e-mail addresses, but for those that many companies share."""
    return {domain for one in addresses if one and (domain := _domain(one))} - set(names.shared_domains)


def _domain(address: str) -> str:
    rest = address.strip().casefold().rpartition("@")[2]
    try:
        host = urlsplit(rest if "://" in rest else f"//{rest}").hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.").rstrip(".")


def _bare(number: Any) -> str:
    """A tax number without the signs that people put between its parts."""
    return "".join(character for character in str(number or "").casefold() if character.isalnum())


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join(character for character in parts if unicodedata.combining(character) < ACCENTS)
