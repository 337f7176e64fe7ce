"""What records look like on their way out: ids in all their forms."""

from collections.abc import Callable
from typing import Any

from workflows.sandbox.faults import Faults
from workflows.sandbox.halopsa.entity import Entity
from workflows.sandbox.halopsa.store import Record, Store

_ID_FORMS: tuple[Callable[[int], Any], ...] = (int, float, str, "{}.0".format)


def present(store: Store, entity: Entity, record: Record) -> Record:
    """A stored record as a single read answers it."""
    return with_id_forms(store.faults, entity.show(store, record), entity.floats)


def with_id_forms(faults: Faults, shown: Record, floats: tuple[str, ...] = ()) -> Record:
    """A shown record with its ids in the forms that the switches want.

    Args:
        faults: the switches.
        shown: the record; it stays as it is.
        floats: the ids that are numbers with a decimal point in HaloPSA's own answers.
    """
    if faults.float_ids:
        shown = shown | {name: float(shown[name]) for name in floats}
    return {name: _in_turn(name, value) for name, value in shown.items()} if faults.mixed_ids else shown


def _in_turn(name: str, value: Any) -> Any:
    if name.rpartition("_")[2] != "id" or isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return _ID_FORMS[int(value) % len(_ID_FORMS)](int(value))
