"""Whether a captured request would be let in, and if not, why: judged by the real door and its checks."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException

from webhooks.body import encodings, unpack
from webhooks.credentials import proven_by_address
from webhooks.delivery import Delivery, Ignored, Source, TooOld
from webhooks.edge import Edge
from webhooks.judging.captured import Captured
from webhooks.judging.causes import Verdict
from webhooks.judging.other_secrets import other_secrets
from webhooks.judging.rehearsal import Rehearsal, rehearse
from webhooks.judging.unproven import Case, explain_refusal, explain_secrets, refusal
from webhooks.sources import SOURCES, find_source

NOT_FOUND: Final = 404
BEFORE_THE_PROOF: Final = frozenset({405, 413, 415})
"""Answers that come whether a request is proven or not."""
AFTER_THE_PROOF: Final = frozenset({200, 202, 400})
"""Answers that come once a request is proven."""


async def explain(
    captured: Captured, secrets: Sequence[str], *, edge: Edge, max_body_bytes: int, source: str = ""
) -> Verdict:
    """Say whether a request would be let in, and if not, why.

    Args:
        captured: the request.
        secrets: those of its source; none of them appears in the answer.
        edge: what the operator has set about senders; where it has no public address, the request's own counts.
        max_body_bytes: the door's limit.
        source: the source's name, where the address does not tell.

    Raises:
        ValueError: neither the address nor `source` names one, or there is no secret.
    """
    names = [one.name for one in SOURCES]
    if not source and captured.source and captured.source not in names:
        return Verdict("wrong_url", f"its address names no source; there are {', '.join(names)}", NOT_FOUND)
    sender = find_source(source or captured.source)
    if not secrets:
        raise ValueError(f"no secret is set for {sender.name}")
    problems = {secret: problem for secret in secrets if (problem := sender.secret_problem(secret))}
    usable = [secret for secret in secrets if secret not in problems] or secrets
    seen = captured.delivery
    wire = _at_its_time(sender, usable, _as_seen_here(sender, seen, edge.public_url), max_body_bytes)
    off_s = (seen.received_at - wire.received_at).total_seconds() if captured.dated else 0
    body = _unpacked(wire, max_body_bytes)
    case = Case(sender, usable, seen, replace(wire, body=body or b""), off_s)
    if len(problems) == len(secrets) and case.refusal(case.here):
        verdict = explain_secrets(case)
    else:
        answer = await rehearse(sender, usable, wire, edge=edge, max_body_bytes=max_body_bytes)
        verdict = _turned_away(case, answer) if body is None else _judge(case, answer)
    limits = [f"a secret here cannot serve: {problem}" for problem in problems.values()]
    text = "; ".join([verdict.text, *limits, *_notes(case, verdict, edge, dated=captured.dated)])
    return replace(verdict, text=_without(text, secrets))


def _judge(case: Case, answer: Rehearsal) -> Verdict:
    if answer.status == NOT_FOUND and not answer.reason:
        return _nowhere(case.source)
    refused = case.refusal(case.here)
    if refused is not None:
        return _with_answer(explain_refusal(case, refused), case, answer)
    if case.seconds_off and answer.status in AFTER_THE_PROOF:
        return Verdict("too_old", _too_old(case.seconds_off))
    if answer.reason or answer.status in BEFORE_THE_PROOF:
        return _turned_away(case, answer)
    return _taken(case, answer)


def _with_answer(verdict: Verdict, case: Case, answer: Rehearsal) -> Verdict:
    """Add what the door refuses before it looks at a proof that is wrong too."""
    if answer.status in {NOT_FOUND, *BEFORE_THE_PROOF}:
        turned_away = _turned_away(case, answer)
        also = "" if turned_away.cause == verdict.cause else f"; besides, {turned_away.text}"
        verdict = replace(verdict, text=verdict.text + also)
    return replace(verdict, status=answer.status)


def _too_old(seconds_off: float) -> str:
    return f"it came {abs(seconds_off):.0f} seconds {'after' if seconds_off > 0 else 'before'} its sender's time"


def _turned_away(case: Case, answer: Rehearsal) -> Verdict:
    """Say why the door refuses what is proven, or cannot be looked at."""
    headers = case.here.headers
    match answer.status:
        case 400:
            return Verdict("not_readable", f"it cannot be read: {answer.reason}", 400)
        case 401:
            text = f"it is proven, but its account is not one of ACCOUNTS_{case.source.name.upper()}"
            return Verdict("wrong_account", text)
        case 405:
            return Verdict("wrong_method", f"it came as {case.here.method}; only POST is taken", 405)
        case 413:
            return Verdict("too_large", f"{answer.reason}; it has {len(case.seen.body)} as it came", 413)
        case 415:
            told = [*headers.getlist("content-type"), *headers.getlist("content-encoding")]
            return Verdict("unsupported_type", f"{answer.reason}; it came as {' and '.join(told) or 'no type'}", 415)
    return _hidden(case)


def _nowhere(source: Source) -> Verdict:
    secret = ", or the same with /<secret>" if source.by_address else ""
    text = f"there is no such address here: send to /webhooks/{source.name}{secret}"
    return Verdict("wrong_url", text, NOT_FOUND)


def _hidden(case: Case) -> Verdict:
    """Say why the door does not know the address (404)."""
    name = case.source.name
    if not case.here.address_secret:
        return _nowhere(case.source)
    if not case.source.by_address:
        return Verdict("wrong_url", f"{name} takes no secret in its address: send to /webhooks/{name}", NOT_FOUND)
    forms = (how for how, secret in other_secrets(case.secrets) if proven_by_address(case.here, [secret]))
    how = next(forms, "")
    fits = f": one of them fits {how}" if how else ""
    return Verdict("wrong_secret", f"the secret in the address is none of those here{fits}", NOT_FOUND)


def _taken(case: Case, answer: Rehearsal) -> Verdict:
    stored = {event.id for event in answer.events}
    told, left = [], 0
    for item in case.source.events(case.here):
        if isinstance(item, Ignored):
            told.append(f"ignored ({item.reason})")
        elif item.id in stored:
            told.append(f"{item.type} {item.id}")
        else:
            told.append(f"ignored ({item.type}: its account is not one of ACCOUNTS_{case.source.name.upper()})")
            left += 1
    text = f"it is proven and read: {'; '.join(told) or 'nothing in it'}"
    return Verdict("wrong_account" if left and not stored else "good", text, answer.status)


def _at_its_time(source: Source, secrets: Sequence[str], wire: Delivery, max_body_bytes: int) -> Delivery:
    """Let a delivery that is too old or too early have come at the time that it is signed with."""
    refused = refusal(source, replace(wire, body=_unpacked(wire, max_body_bytes) or b""), secrets)
    sent_at = refused.sent_at if isinstance(refused, TooOld) else None
    return replace(wire, received_at=sent_at or wire.received_at)


def _as_seen_here(source: Source, seen: Delivery, public_url: str) -> Delivery:
    """Give a delivery the address that the door puts together; a proxy may have changed the one before it."""
    if not public_url:
        return seen
    place, query = seen.url.find("/webhooks/"), seen.url.partition("?")[2]
    elsewhere = f"/webhooks/{source.name}" + (f"?{query}" if query else "")
    return replace(seen, url=public_url.rstrip("/") + (seen.url[place:] if place >= 0 else elsewhere))


def _unpacked(wire: Delivery, max_body_bytes: int) -> bytes | None:
    """Unpack a body as the door does; None where it does not."""
    match encodings(wire.headers):
        case []:
            return wire.body
        case ["gzip"]:
            with suppress(HTTPException):
                return unpack(wire.body, max_body_bytes)
    return None


def _notes(case: Case, verdict: Verdict, edge: Edge, *, dated: bool) -> Iterator[str]:
    """Say what was not judged, or judged by something else than the file, and a second fault."""
    seen, here, name = case.seen, case.here, case.source.name
    if name in edge.allowed:
        yield "where it came from is not in the file and was not held against ALLOWED_ADDRESSES"
    if here.received_at != seen.received_at and not dated:
        yield "its age is not judged, as the file has no received_at"
    if case.seconds_off and verdict.cause not in {"too_old", "changed_header"}:
        yield f"besides, {_too_old(case.seconds_off)}"
    if case.source.signs_body and here.url != seen.url:
        yield f"its address counts as {here.url}, by PUBLIC_URL"
    if verdict.cause == "good" and not edge.public_url and case.refusal(replace(here, url="")):
        yield "PUBLIC_URL is not set: its address counts as it stands in the file"
    if "/webhooks/" not in seen.url:
        yield f"the door itself is at /webhooks/{name}"


def _without(text: str, secrets: Sequence[str]) -> str:
    """Take secrets out that an address may hold."""
    for secret in secrets:
        for form in (secret, quote(secret, safe="")):
            text = text.replace(form, "(secret)")
    return text
