"""Why a captured request is refused: each cause is tried out on the real check, until one explains it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from webhooks.captured import Captured
from webhooks.delivery import Delivery, Ignored, Missing, NotProven, Source, TooOld, WrongScheme
from webhooks.sources import find_source
from worker.events import read_json

Cause = Literal[
    "good", "missing", "wrong_scheme", "too_old", "wrong_url", "changed_body", "wrong_secret", "not_readable"
]

STRONGER: Final = "x-hubspot-signature-v3"
"""HubSpot sends an older signature beside it, which covers secret and body only."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a captured request.

    Attributes:
        cause: one word.
        text: a sentence for the operator; holds no secret.
    """

    cause: Cause
    text: str


def explain(captured: Captured, secrets: Sequence[str], *, public_url: str = "", source: str = "") -> Verdict:
    """Say whether a request would be let in, and if not, why.

    Args:
        captured: the request.
        secrets: those of its source; none of them appears in the answer.
        public_url: the address that Parhelion is set to; where it is empty, the request's own counts.
        source: the source's name, where the address does not tell.

    Raises:
        ValueError: there is no such source, or no secret.
    """
    sender = find_source(source or captured.source)
    if not secrets:
        raise ValueError(f"no secret is set for {sender.name}")
    here = _as_seen_here(captured.delivery, public_url)
    refusal = _refusal(sender, here, secrets)
    if isinstance(refusal, TooOld) and refusal.sent_at:
        at_its_time = replace(here, received_at=refusal.sent_at)
        seconds = (here.received_at - refusal.sent_at).total_seconds()
        later = _refusal(sender, at_its_time, secrets)
        if later is None and captured.dated:
            word = "after" if seconds > 0 else "before"
            return Verdict("too_old", f"it came {abs(seconds):.0f} seconds {word} the time that it is signed with")
        here, refusal = at_its_time, later
    return _judge(sender, captured.delivery, here, secrets, refusal)


def _judge(
    source: Source, seen: Delivery, here: Delivery, secrets: Sequence[str], refusal: NotProven | None
) -> Verdict:
    match refusal:
        case None:
            return _read(source, here)
        case Missing():
            return Verdict("missing", str(refusal))
        case WrongScheme():
            return Verdict("wrong_scheme", str(refusal))
    for address in _addresses(seen) if source.signs_body else ():
        if _refusal(source, replace(here, url=address), secrets) is None:
            return Verdict("wrong_url", f"it was signed for {address}, but the address here is {here.url}")
    weaker = replace(here, headers=_without(here.headers, STRONGER))
    if STRONGER in here.headers and _refusal(source, weaker, secrets) is None:
        return Verdict("wrong_url", f"secret and body are right; it was not signed for {here.url}")
    return _secret_or_body(source, here, secrets, refusal)


def _secret_or_body(source: Source, here: Delivery, secrets: Sequence[str], refusal: NotProven) -> Verdict:
    for how, body in _bodies(here.body):
        if _refusal(source, replace(here, body=body), secrets) is None:
            return Verdict("changed_body", f"the body was written anew on the way: {how} it fits")
    announced = here.headers.get("content-length", "")
    if announced.isdigit() and int(announced) != len(here.body) and "content-encoding" not in here.headers:
        return Verdict("changed_body", f"the body has {len(here.body)} bytes, but {announced} were announced")
    if not source.signs_body:
        return Verdict("wrong_secret", f"{refusal}: none of the secrets here is the sender's")
    how = "without changing its length" if announced else "after it was signed; nothing in the request tells which"
    return Verdict(
        "wrong_secret", f"{refusal}: none of the secrets here is the sender's, or the body was changed {how}"
    )


def _read(source: Source, delivery: Delivery) -> Verdict:
    if delivery.address_secret and not source.by_address:
        return Verdict("wrong_url", f"{source.name} takes no secret in its address: send to /webhooks/{source.name}")
    try:
        items = source.events(delivery)
    except ValueError as error:
        return Verdict("not_readable", f"it is proven, but cannot be read: {error}")
    told = [f"ignored ({item.reason})" if isinstance(item, Ignored) else f"{item.type} {item.id}" for item in items]
    return Verdict("good", f"it is proven and read: {'; '.join(told) or 'nothing in it'}")


def _refusal(source: Source, delivery: Delivery, secrets: Sequence[str]) -> NotProven | None:
    try:
        source.verify(delivery, secrets)
    except NotProven as refusal:
        return refusal
    return None


def _as_seen_here(delivery: Delivery, public_url: str) -> Delivery:
    if not public_url:
        return delivery
    return replace(delivery, url=public_url.rstrip("/") + delivery.url[max(delivery.url.find("/webhooks/"), 0) :])


def _addresses(delivery: Delivery) -> Iterator[str]:
    """Give other addresses that the sender may have signed."""
    address = urlsplit(delivery.url)
    hosts = {address.netloc, delivery.headers.get("host", ""), delivery.headers.get("x-forwarded-host", "")}
    for host in sorted(hosts - {""}):
        for scheme in ("https", "http"):
            for path in sorted({address.path, address.path.rstrip("/"), address.path.rstrip("/") + "/"}):
                plain = address._replace(scheme=scheme, netloc=host, path=path)
                yield plain.geturl()
                yield plain._replace(query="").geturl()
    yield address._replace(scheme="", netloc="").geturl()


def _bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give other forms that the body may have had when it was signed."""
    yield "without the blanks around it", body.strip()
    yield "with a line end", body + b"\n"
    yield "with other line ends", body.replace(b"\r\n", b"\n")
    try:
        value = read_json(body)
    except ValueError:
        return
    for indent, separators in ((None, (",", ":")), (None, (", ", ": ")), (2, (",", ": ")), (4, (",", ": "))):
        for ascii_only in (False, True):
            text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only)
            yield "as JSON with other blanks", text.encode()


def _without(headers: Headers, name: str) -> Headers:
    return Headers(raw=[(key, value) for key, value in headers.raw if key.decode("latin-1").lower() != name])
