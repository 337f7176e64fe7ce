"""Names in the policy, found in HaloPSA's lists."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Protocol, TypeVar, get_args, get_type_hints

from worker.errors import NeedsOperator
from workflows.halopsa import Halo
from workflows.halopsa.client import Collection
from workflows.policy import Policy
from workflows.policy.file import Problem, key_path
from workflows.policy.parts import ListedAs, ListName, Section
from workflows.policy.tenant import NATIVE_KEYS

COLLECTIONS: Final[Mapping[ListName, Callable[[Halo], Collection[Any]]]] = {
    "agent": attrgetter("agents"),
    "client": attrgetter("clients"),
    "customer group": attrgetter("top_levels"),
    "SLA": attrgetter("slas"),
    "team": attrgetter("teams"),
    "ticket status": attrgetter("statuses"),
    "ticket type": attrgetter("ticket_types"),
}
LOOKUPS: Final[Mapping[ListName, int]] = {"customer type": 33, "customer relationship": 89}
"""The numbers of HaloPSA's lookups."""


class Entry(Protocol):
    """An entry of one of HaloPSA's lists."""

    @property
    def id(self) -> int | str:
        """HaloPSA's."""

    @property
    def name(self) -> str:
        """As HaloPSA's screens show it."""


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Reference:
    """A place of the policy that names an entry of one of HaloPSA's lists.

    Attributes:
        key: where it stands in the policy.
        list: what it names.
        wanted: the entry's name or id.
    """

    key: str
    list: ListName
    wanted: int | str


def chosen(entries: Sequence[E], wanted: int | str, what: str) -> E:
    """Find the one entry that the policy names.

    Args:
        entries: HaloPSA's list.
        wanted: an id, or a name (of an agent or custom field also the e-mail address or label); upper and lower case
            alike.
        what: what an entry is, for the error's text.

    Raises:
        NeedsOperator: there is none, or several have the name.
    """
    found = [entry for entry in entries if _is(entry, wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(str(entry.id) for entry in found)
        raise NeedsOperator(f"HaloPSA has {len(found)} entries {wanted!r} ({what}).", mend=f"write the id: {ids}.")
    near = _nearest(str(wanted), [name for entry in entries for name in _names(entry)])
    mend = f"write {near!r}, if that is meant." if near else "write it as HaloPSA's screens do."
    raise NeedsOperator(f"HaloPSA has no {what} {wanted!r}.", mend=mend)


async def resolve(halo: Halo, policy: Policy) -> list[Problem]:
    """Look up every name of the policy in HaloPSA.

    Returns:
        What cannot be found, is ambiguous or may not be looked up.

    Raises:
        HaloUnavailable: HaloPSA cannot be asked now.
    """
    lists: dict[str, Sequence[Entry] | NeedsOperator] = {}
    problems = []
    for reference in references(policy):
        if reference.list not in lists:
            lists[reference.list] = await _entries_or_refusal(halo, reference.list)
        entries = lists[reference.list]
        try:
            if isinstance(entries, NeedsOperator):
                raise entries
            chosen(entries, reference.wanted, reference.list)
        except NeedsOperator as error:
            problems.append(Problem(reference.key, str(error)))
    return problems


def references(policy: Policy) -> Iterator[Reference]:
    """Find every place of the policy that names an entry of one of HaloPSA's lists."""
    if policy.halopsa.external_key not in NATIVE_KEYS:
        yield Reference("halopsa.external_key", "custom field of clients", policy.halopsa.external_key)
    yield from _in_section(policy, ())


def _in_section(section: Section, path: tuple[int | str, ...]) -> Iterator[Reference]:
    for name, annotation in get_type_hints(type(section), include_extras=True).items():
        if name in type(section).model_fields:
            yield from _in_value(getattr(section, name), (*path, name), annotation)


def _in_value(value: Any, path: tuple[int | str, ...], annotation: Any) -> Iterator[Reference]:
    match value:
        case Section():
            yield from _in_section(value, path)
        case tuple():
            for number, one in enumerate(value):
                yield from _in_value(one, (*path, number), annotation)
        case dict():
            of_key, of_value = get_args(annotation)
            for name, one in value.items():
                yield from _in_value(name, (*path, name), of_key)
                yield from _in_value(one, (*path, name), of_value)
        case int() | str():
            yield from (Reference(key_path(path), name, value) for name in _marks(annotation))


def _marks(annotation: Any) -> Iterator[ListName]:
    if isinstance(annotation, ListedAs):
        yield annotation.name
    for part in get_args(annotation):
        yield from _marks(part)


async def _entries_or_refusal(halo: Halo, name: ListName) -> Sequence[Entry] | NeedsOperator:
    try:
        return await _entries(halo, name)
    except NeedsOperator as refusal:
        return refusal


async def _entries(halo: Halo, name: ListName) -> Sequence[Entry]:
    """Read a list, without what is not in use any more."""
    if name in LOOKUPS:
        return await halo.lookup(LOOKUPS[name])
    if name == "custom field of clients":
        return await halo.custom_fields()
    entries = await COLLECTIONS[name](halo).find()
    return [entry for entry in entries if entry.in_use and not getattr(entry, "disabled", False)]


def _is(entry: Entry, wanted: int | str) -> bool:
    name = str(wanted).casefold()
    return str(entry.id) == name or any(known.strip().casefold() == name for known in _names(entry))


def _names(entry: Entry) -> list[str]:
    return [known for field in ("name", "email", "label") if (known := getattr(entry, field, ""))]


def _nearest(wanted: str, names: Sequence[str]) -> str | None:
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(wanted.casefold(), folded, n=1)
    return folded[near[0]] if near else None
