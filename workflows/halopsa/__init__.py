"""HaloPSA's REST API: signing in, reading tolerantly, writing under the run's guard."""

from workflows.halopsa.client import Halo, HaloConnection
from workflows.halopsa.errors import (
    HaloConflict,
    HaloForbidden,
    HaloInDoubt,
    HaloNotFound,
    HaloRefused,
    HaloUnavailable,
    Kind,
)

__all__ = [
    "Halo",
    "HaloConflict",
    "HaloConnection",
    "HaloForbidden",
    "HaloInDoubt",
    "HaloNotFound",
    "HaloRefused",
    "HaloUnavailable",
    "Kind",
]
