"""Entries of the lists that HaloPSA's administrators keep, found by name."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Named(Protocol):
    """Something with a name."""

    @property
    def name(self) -> str:
        """What people call it."""


N = TypeVar("N", bound=Named)


def named(choices: Sequence[N], name: str) -> N | None:
    """Find an entry by its name, upper and lower case alike."""
    return next((choice for choice in choices if choice.name.strip().casefold() == name.strip().casefold()), None)
