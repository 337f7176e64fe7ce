"""A delivery as it came over the wire, and what a source has to say about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.datastructures import Headers

from worker.errors import ParhelionError
from worker.events import Event


class NotProven(ParhelionError):
    """The sender has not shown that it is who it says. The text goes back to it: it names the check, never a value."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request to a source.

    Attributes:
        headers: as received; a name may occur more than once.
        body: the raw bytes, which are what a sender signs.
        received_at: when the request arrived (UTC).
    """

    headers: Headers
    body: bytes
    received_at: datetime

    def proof(self, name: str) -> str:
        """Read a header that proves the sender.

        Returns:
            Its value, never empty; latin-1 text, as HTTP has it.

        Raises:
            NotProven: the header is missing, or came more than once: then nobody can say which one was meant.
        """
        values = self.headers.getlist(name)
        if len(values) > 1:
            raise NotProven(f"the header {name} came more than once")
        if not values or not values[0]:
            raise NotProven(f"the header {name} is missing")
        return values[0]


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of sender as a value: listed in `webhooks.sources`. All three functions are pure.

    Attributes:
        name: its word in the address, ``/webhooks/{name}``; never changes.
        verify: takes the delivery and the secrets that count at present (never empty, several during a rotation);
            raises `NotProven` where none of them fits, whatever the headers hold.
        events: reads the events of a verified delivery; raises ValueError where it cannot be read.
        secret_problem: says why a secret cannot serve, or None.
    """

    name: str
    verify: Callable[[Delivery, Sequence[str]], None]
    events: Callable[[Delivery], Sequence[Event]]
    secret_problem: Callable[[str], str | None]
