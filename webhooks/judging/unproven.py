"""Why the proof of a captured request fails: each explanation is tried on the real check."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from starlette.datastructures import Headers

from webhooks.credentials import check_shared_secret
from webhooks.delivery import Delivery, Malformed, Missing, NotProven, Source, WrongScheme
from webhooks.judging.causes import Verdict
from webhooks.judging.guesses import guesses
from webhooks.judging.other_secrets import other_secrets
from webhooks.public_keys import PUBLIC
from webhooks.signatures import standard_content, standard_signature
from webhooks.sources import hubspot

ACCESS_TOKEN: Final = "pat-"  # noqa: S105 - how such tokens begin, none itself
"""How the access tokens of HubSpot's private apps begin."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request whose proof fails.

    Attributes:
        source: its source.
        secrets: those of the source.
        seen: as it was captured.
        here: as the door checks it: its address, its body unpacked, and at the time that its sender gives.
        seconds_off: how far the sender's time is from the time of receipt if it is too far, else 0.
    """

    source: Source
    secrets: Sequence[str]
    seen: Delivery
    here: Delivery
    seconds_off: float = 0

    def refusal(self, delivery: Delivery, secrets: Sequence[str] = ()) -> NotProven | None:
        """Check another form of the request, or other secrets; None where it is proven."""
        return refusal(self.source, delivery, secrets or self.secrets)


def refusal(source: Source, delivery: Delivery, secrets: Sequence[str]) -> NotProven | None:
    """Check a delivery; None where it is proven."""
    try:
        source.verify(delivery, secrets)
    except NotProven as refused:
        return refused
    except ValueError:
        return NotProven("a secret here cannot serve")
    return None


def explain_secrets(case: Case) -> Verdict:
    """Say what is wrong with secrets of which none can serve."""
    return _other_secret(case) or Verdict("wrong_secret", "none of the secrets here can be the sender's")


def explain_refusal(case: Case, refused: NotProven) -> Verdict:
    """Name the cause of a refusal; where nothing tells several apart, the text says so."""
    match refused:
        case Missing():
            return Verdict("missing", f"{refused}{_elsewhere(case)}")
        case WrongScheme():
            return Verdict("wrong_scheme", f"{refused}{_elsewhere(case)}")
        case Malformed():
            return _malformed(case, refused)
    explained = _guessed(case) or _nearly_signed(case) or _other_secret(case) or _rescued(case)
    return explained or _undecided(case, refused)


def _elsewhere(case: Case) -> str:
    """Say that a secret stands where only other sources look for one."""
    try:
        check_shared_secret(case.here, case.secrets)
    except NotProven:
        return ""
    return "; the secret itself came, but in another place or form"


def _malformed(case: Case, refused: Malformed) -> Verdict:
    if (length := length_problem(case.seen)) and not _is_readable(case):
        return Verdict("changed_body", f"{length}; {refused}")
    return Verdict("malformed", str(refused))


def _guessed(case: Case) -> Verdict | None:
    if not case.source.signs_body:
        return None
    for guess in guesses(case.seen, case.here):
        if case.refusal(guess.delivery) is None:
            return Verdict(guess.cause, guess.text)
    return None


def _nearly_signed(case: Case) -> Verdict | None:
    """Recognise a signature in which some characters are others."""
    for header, given, expected in _signatures(case):
        if any(_is_near(one, other) for one in given for other in expected):
            return Verdict("changed_header", f"{header} was changed: all but a part of it is as it must be")
    return None


def _signatures(case: Case) -> Iterator[tuple[str, Sequence[str], Iterable[str]]]:
    """Give the headers that hold a signature, what they hold, and what they should."""
    here, headers = case.here, case.here.headers
    if (given := headers.get(hubspot.V3)) and case.source is hubspot.source:
        stamp = headers.get(hubspot.TIMESTAMP, "")
        yield hubspot.V3, [given], [hubspot.sign_v3(secret, here, here.url, stamp) for secret in case.secrets]
    elif (given := headers.get(hubspot.OLDER)) and case.source is hubspot.source:
        forms = (here.body, f"{here.method}{here.url}".encode() + here.body)
        signed = [hashlib.sha256(secret.encode() + form).hexdigest() for secret in case.secrets for form in forms]
        yield hubspot.OLDER, [given], signed
    for family in ("webhook", "svix") if case.source.name == "standard" else ():
        content = standard_content(headers.get(f"{family}-id", ""), headers.get(f"{family}-timestamp", ""), here.body)
        shared = [secret for secret in case.secrets if not secret.startswith(PUBLIC)]
        name = f"{family}-signature"
        yield name, headers.get(name, "").split(), [standard_signature(secret, content) for secret in shared]


def _is_near(given: str, expected: str) -> bool:
    same = sum(left == right for left, right in zip(given, expected, strict=False))
    return given.lower() == expected.lower() or same >= len(expected) * 3 // 4


def _other_secret(case: Case) -> Verdict | None:
    for how, secret in other_secrets(case.secrets):
        if case.refusal(case.here, [secret]) is None:
            return Verdict("wrong_secret", f"the secret is written down differently here: it fits {how}")
    return None


def _rescued(case: Case) -> Verdict | None:
    """Use what HubSpot sends beside: an older signature, which covers secret and body only."""
    here, stronger = case.here, hubspot.V3.encode()
    older = [header for header in here.headers.raw if header[0].lower() != stronger]
    if len(older) == len(here.headers.raw) or case.refusal(replace(here, headers=Headers(raw=older))):
        return None
    shown = "secret and body are right, as the older signature beside shows"
    if case.seconds_off:
        off = f"{abs(case.seconds_off):.0f} seconds away from its receipt"
        return Verdict("changed_header", f"{shown}; the timestamp, {off}, can hardly be the one that was signed")
    text = f"{shown}; so most likely it was signed for another address than {here.url}"
    return Verdict("wrong_url", f"{text}, unless timestamp or signature were replaced: nothing in the request tells")


def _undecided(case: Case, refused: NotProven) -> Verdict:
    hint = _hint(case)
    if not case.source.signs_body:
        return Verdict("wrong_secret", f"{refused}: none of the secrets here is the sender's{hint}")
    if length := length_problem(case.seen):
        return Verdict("changed_body", length)
    how = "without changing its length" if "content-length" in case.here.headers else "after it was signed"
    others = f", or {_other_parts(case)} not what was signed" if _other_parts(case) else ""
    text = f"none of the secrets here is the sender's, or the body was changed {how}{others}"
    return Verdict("wrong_secret", f"{refused}: {text}; nothing in the request tells which{hint}")


def _other_parts(case: Case) -> str:
    """Say what else is signed; nothing where an older signature fails too, which covers secret and body only."""
    if case.source is not hubspot.source:
        return "id or timestamp are"
    version = case.here.headers.get(hubspot.VERSION, "").lower()
    if hubspot.OLDER in case.here.headers and version == "v1":
        return ""
    return "address, method or timestamp are" if hubspot.V3 in case.here.headers else "address or method are"


def _hint(case: Case) -> str:
    if case.source is hubspot.source and any(secret.startswith(ACCESS_TOKEN) for secret in case.secrets):
        return f"; a secret here begins with {ACCESS_TOKEN}, as access tokens do: HubSpot signs with the client secret"
    return ""


def length_problem(seen: Delivery) -> str:
    """Say how a body's length contradicts the announced one, or nothing."""
    announced = seen.headers.get("content-length", "")
    if not re.fullmatch(r"[0-9]{1,15}", announced) or int(announced) == len(seen.body):
        return ""
    what = "is cut short" if len(seen.body) < int(announced) else "was changed"
    return f"the body {what}: it has {len(seen.body)} bytes, but {announced} were announced"


def _is_readable(case: Case) -> bool:
    try:
        case.source.events(case.here)
    except ValueError:
        return False
    return True
