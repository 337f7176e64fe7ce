"""A HaloPSA that stands nowhere but here: for demos, tests and benchmarks.

It knows nothing of the HaloPSA client in `workflows.halopsa`, so that the two cannot share a mistake.
"""

from workflows.sandbox.app import sandbox_app
from workflows.sandbox.faults import Faults, RateLimit, Role
from workflows.sandbox.sandbox import Sandbox

__all__ = ["Faults", "RateLimit", "Role", "Sandbox", "sandbox_app"]
