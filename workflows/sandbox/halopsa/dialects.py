"""The two dialects that the look-alike can speak, as values."""

from collections.abc import Mapping
from typing import Literal

from workflows.sandbox.halopsa.entities import ENTITIES
from workflows.sandbox.halopsa.entity import Entity
from workflows.sandbox.halopsa.guide import GUIDE_ENTITIES

DialectName = Literal["v2", "guide"]
Dialect = Mapping[str, Entity]

_V2 = {entity.name: entity for entity in ENTITIES}

DIALECTS: Mapping[str, Dialect] = {"v2": _V2, "guide": _V2 | {entity.name: entity for entity in GUIDE_ENTITIES}}
"""Dialect → entity's name → entity.

``v2`` is HaloPSA's own API; ``guide`` has the client-management guide's clients, sites and contacts instead of its own.
"""
