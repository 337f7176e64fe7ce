"""HaloPSA's REST API: signing in, reading tolerantly, writing under the run's guard."""

from workflows.halopsa.client import Halo, HaloConnection
from workflows.halopsa.errors import HaloForbidden, HaloNotFound, HaloRefused, HaloUnavailable

__all__ = ["Halo", "HaloConnection", "HaloForbidden", "HaloNotFound", "HaloRefused", "HaloUnavailable"]
