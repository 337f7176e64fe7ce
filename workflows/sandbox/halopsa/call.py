"""One call of the API: who asks what, of which tenant."""

from collections.abc import Mapping
from dataclasses import dataclass

from workflows.sandbox.faults import Faults
from workflows.sandbox.halopsa.permissions import Grant
from workflows.sandbox.halopsa.store import Store
from workflows.sandbox.injector import FaultInjector


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call whose token is valid.

    Attributes:
        store: the tenant.
        injector: decides about the faults that change answers.
        grant: what the token stands for.
        number: the call's, from 1.
        method: the HTTP method.
        path: the parts of the path below ``/api``; letter case does not matter.
        query: names in lower case.
        body: as it came.
    """

    store: Store
    injector: FaultInjector
    grant: Grant
    number: int
    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes

    @property
    def faults(self) -> Faults:
        """The switches."""
        return self.injector.faults
