"""A delivery as it came over the wire, and what a source has to say about it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from worker.errors import ParhelionError
from worker.events import Event

ADDRESS_SECRET: Final = re.compile(r"/webhooks/[^/]+/([^/]+)/?$")
JSON_TYPE: Final = re.compile(r"application/(?:[^\s;/]+\+)?json")


class NotProven(ParhelionError):
    """The sender has not shown that it is who it says. The text goes back to it: it names the check, never a value."""


class Missing(NotProven):
    """Nothing that could prove the sender came with the delivery."""


class WrongScheme(NotProven):
    """What came is a proof of another kind."""


class Malformed(NotProven):
    """What came cannot be a proof, whatever the secret: it does not have its form."""


class TooOld(NotProven):
    """The sender's time is too far from the clock here; whether the rest is right has not been looked at.

    Args:
        text: names the header.
        sent_at: the sender's time (UTC), or None where it is beyond every calendar.
    """

    def __init__(self, text: str, sent_at: datetime | None) -> None:
        super().__init__(text)
        self.sent_at = sent_at


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request to a source.

    Attributes:
        headers: as received; a name may occur more than once.
        body: the raw bytes, which are what a sender signs.
        received_at: when the request arrived (UTC).
        url: the address as the sender has it: the public one, path and query as they came.
        method: the HTTP method.
    """

    headers: Headers
    body: bytes
    received_at: datetime
    url: str = ""
    method: str = "POST"

    def proof(self, name: str) -> str:
        """Read a header that proves the sender.

        Returns:
            Its value, never empty; latin-1 text, as HTTP has it.

        Raises:
            Missing: it did not come.
            Malformed: it came more than once: then nobody can say which one was meant.
        """
        values = self.headers.getlist(name)
        if len(values) > 1:
            raise Malformed(f"the header {name} came more than once")
        if not values or not values[0]:
            raise Missing(f"the header {name} is missing")
        return values[0]

    @property
    def address_secret(self) -> str:
        """What follows the source's name in the address (``/webhooks/zoho/<secret>``), or an empty string."""
        found = ADDRESS_SECRET.search(self.url.partition("?")[0])
        return unquote(found[1]) if found else ""

    @property
    def query(self) -> Sequence[tuple[str, str]]:
        """The parameters of the address."""
        return parse_qsl(self.url.partition("?")[2], keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Ignored:
    """A part of a delivery that the bytes alone show to be of no interest.

    Attributes:
        reason: for the log; names no person and no secret.
    """

    reason: str


def accepted(_: Delivery, answer: Mapping[str, Any]) -> Response:
    """Answer 202 with what was kept, as JSON."""
    return JSONResponse(answer, 202)


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of sender as a value: listed in `webhooks.sources`. All functions are pure.

    Attributes:
        name: its word in the address, ``/webhooks/{name}``; never changes.
        verify: takes the delivery and the secrets that count at present (never empty, several during a rotation);
            raises `NotProven` where none of them fits, whatever the delivery holds.
        events: reads a verified delivery: its events, whose ids stay the same when the sender repeats it, and its parts
            of no interest; raises ValueError where it cannot be read.
        secret_problem: says why a secret cannot serve, or None.
        sample: makes a realistic delivery from a secret, the source's address (``https://…/webhooks/{name}``) and the
            time of sending (UTC).
        media_type: what the whole Content-Type, without its parameters and in lower case, must match.
        signs_body: whether its proof covers the body.
        by_address: whether ``/webhooks/{name}/{secret}`` is served; such an address proves the sender.
        success: makes the answer from the delivery and what is to be told of it.
        busy_status: what tells the sender to come again later, or None where it must never be told so.
        refuses_other_accounts: whether a delivery from an account that is not allowed is refused; otherwise its events
            are ignored.
        account_length: how many characters of an account's id count; None for all.
    """

    name: str
    verify: Callable[[Delivery, Sequence[str]], None]
    events: Callable[[Delivery], Sequence[Event | Ignored]]
    secret_problem: Callable[[str], str | None]
    sample: Callable[[str, str, datetime], Delivery]
    media_type: re.Pattern[str] = JSON_TYPE
    signs_body: bool = False
    by_address: bool = False
    success: Callable[[Delivery, Mapping[str, Any]], Response] = accepted
    busy_status: int | None = 429
    refuses_other_accounts: bool = False
    account_length: int | None = None
