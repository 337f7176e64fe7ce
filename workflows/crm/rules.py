"""The policy's rules for records: which of them mean that a deal is won or a client has churned."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from workflows.crm.mapping import at, text
from workflows.crm.records import Labelled, Record
from workflows.policy.sources import RecordRule


async def first_match(rules: Iterable[RecordRule], record: Record, crm: Labelled) -> RecordRule | None:
    """Find the first rule that a record as it is now fits; values and pipelines count by id and by label."""
    for rule in rules:
        fits = rule.object.casefold() == record.object and await _named(crm, record, rule.field, rule.values)
        if fits and (rule.pipeline is None or await _named(crm, record, crm.words.pipeline, [rule.pipeline])):
            return rule
    return None


def ruled_fields(rules: Iterable[RecordRule], pipeline: str) -> Iterator[tuple[str, str]]:
    """List kind and name of the fields that rules look at."""
    for rule in rules:
        yield rule.object.casefold(), rule.field
        if rule.pipeline is not None:
            yield rule.object.casefold(), pipeline


async def _named(crm: Labelled, record: Record, name: str, wanted: Sequence[str]) -> bool:
    value = at(record.values, name)
    asked = {one.casefold() for one in wanted}
    if asked & {one.casefold() for one in _texts(value)}:
        return True
    return bool(_texts(value)) and (await crm.label(record, name)).casefold() in asked


def _texts(value: Any) -> list[str]:
    """What a field holds: one value, or each of several."""
    if isinstance(value, bool):
        return [str(value)]
    shown = text(value) or ""
    return [one.strip() for one in (shown, *shown.split(";")) if one.strip()]
