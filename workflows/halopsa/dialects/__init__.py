"""The two languages in which a HaloPSA may be spoken to, as data: its own API, and the client-management guide's."""

from collections.abc import Callable, Mapping
from typing import Final

from workflows.halopsa.dialects.entity import Dialect, Entity
from workflows.halopsa.dialects.guide import GUIDE, guide
from workflows.halopsa.dialects.keys import Key, key_place
from workflows.halopsa.dialects.v2 import V2, v2

__all__ = ["DIALECTS", "GUIDE", "UNASSIGNED_AGENT_ID", "V2", "Dialect", "Entity", "Key", "key_place"]

UNASSIGNED_AGENT_ID: Final = 1
"""HaloPSA's built-in agent "Unassigned"."""

DIALECTS: Final[Mapping[str, Callable[[Key | None, Mapping[str, str] | None], Dialect]]] = {"v2": v2, "guide": guide}
"""What makes each dialect, out of the key's place and the meaning of the address lines; None = the dialect's own."""
