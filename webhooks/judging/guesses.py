"""What a delivery may have been before one thing in it was changed. Each guess is tried on the real check."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Final, Literal
from urllib.parse import quote, unquote

from starlette.datastructures import Headers

from webhooks.changes import from_milliseconds
from webhooks.delivery import Delivery
from worker.events import read_json

METHODS: Final = ("POST", "PUT", "GET", "PATCH", "DELETE")
TIMESTAMPS: Final = {"x-hubspot-request-timestamp": 1000, "webhook-timestamp": 1, "svix-timestamp": 1}
"""The headers whose time is signed, and how many of their units make a second."""
VERSION: Final = "x-hubspot-signature-version"
ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/]*)")
PORT: Final = re.compile(r":[0-9]+$")
FORWARDED_HOST: Final = re.compile(r'host="?([^";,]+)', re.IGNORECASE)
BOM: Final = b"\xef\xbb\xbf"
BLANKS: Final = ((None, (",", ":")), (None, (", ", ": ")), (2, (",", ": ")), (4, (",", ": ")))
"""Indents and separators of the usual writers of JSON."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One other form of a delivery.

    Attributes:
        cause: what happened to it if this form is proven.
        text: a sentence that says so.
        delivery: the other form.
    """

    cause: Literal["wrong_url", "wrong_method", "wrong_scheme", "changed_header", "changed_body"]
    text: str
    delivery: Delivery


def guesses(seen: Delivery, here: Delivery) -> Iterator[Guess]:
    """Give the other forms of a signed delivery, likely ones first.

    Args:
        seen: as it was captured, its body as it came over the wire.
        here: as the door checks it: with the address there, its body unpacked.
    """
    for method in METHODS:
        text = f"it was signed for {method}, but came as {here.method}"
        yield Guess("wrong_method", text, replace(here, method=method))
    for address in dict.fromkeys(_addresses(seen, here)):
        text = f"it was signed for {address}, but the address here is {here.url}"
        yield Guess("wrong_url", text, replace(here, url=address))
    for how, body in (("as it came, still packed", seen.body), *_bodies(here.body)):
        yield Guess(
            "changed_body", f"the body was changed after it was signed: it fits {how}", replace(here, body=body)
        )
    for version in ("v1", "v2"):
        text = f"it is signed as {version}, but {VERSION} says otherwise"
        yield Guess("wrong_scheme", text, _with_header(here, VERSION, version))
    yield from _other_times(here)


def _other_times(here: Delivery) -> Iterator[Guess]:
    for name, per_second in TIMESTAMPS.items():
        given = here.headers.get(name, "")
        if not re.fullmatch(r"[0-9]{1,15}", given):
            continue
        for value in dict.fromkeys(_timestamps(given, per_second, here.body)):
            moment = from_milliseconds(value * 1000 // per_second)
            if moment is not None:
                text = f"{name} was changed after it was signed: it fits with another time, {moment:%Y-%m-%d %H:%M:%S}"
                delivery = replace(_with_header(here, name, str(value)), received_at=moment)
                yield Guess("changed_header", text, delivery)


def _timestamps(given: str, per_second: int, body: bytes) -> Iterator[int]:
    """Give other values: one digit changed, moved a little, moved by round times, or the times that the body tells."""
    for place, digit in product(range(len(given)), "0123456789"):
        yield int(given[:place] + digit + given[place + 1 :])
    for step, most in ((1, 300), (per_second, 600), (60 * per_second, 120), (3600 * per_second, 100)):
        for count in range(1, most + 1):
            yield int(given) - count * step
            yield int(given) + count * step
    for told in re.findall(rb'"occurredAt"\s*:\s*([0-9]{10,15})', body)[-1:]:
        yield from range(int(told), int(told) + 2000)


def _addresses(seen: Delivery, here: Delivery) -> Iterator[str]:
    """Give other addresses that the sender may have had."""
    original = [seen.headers.get(name, "") for name in ("x-original-uri", "x-original-url")]
    known = [_parts(url) for url in (here.url, seen.url, *original)]
    paths = [*_paths([path for _, path, _ in known], seen.headers.get("x-forwarded-prefix", ""))]
    queries = [*_queries([query for *_, query in known])]
    yield seen.url
    for scheme, host in product(("https://", "http://"), [*_hosts([host for host, *_ in known], seen.headers)]):
        yield from map("".join, product([scheme + host], paths, queries))
    yield from map("".join, product(paths, queries))


def _parts(url: str) -> tuple[str, str, str]:
    """Cut an address into host, path, and query with its mark; whatever it is, no part is changed."""
    address, mark, query = url.partition("?")
    host = ADDRESS.match(address)
    return (host[1], address[host.end() :], mark + query) if host else ("", address, mark + query)


def _hosts(known: Iterable[str], headers: Headers) -> Iterable[str]:
    told = [*known, *(headers.get(name, "") for name in ("host", "x-forwarded-host", "x-original-host"))]
    told += FORWARDED_HOST.findall(headers.get("forwarded", ""))
    hosts = [form for host in told if host for form in (host.strip(), host.strip().lower())]
    names = [PORT.sub("", host) for host in hosts]
    numbers = ["443", "80", "8080", *filter(None, [headers.get("x-forwarded-port")])]
    return dict.fromkeys([*hosts, *names, *(f"{name}:{number}" for name in names for number in numbers)])


def _paths(known: Iterable[str], prefix: str) -> Iterable[str]:
    given = [path for path in known if path]
    inner = [path[path.find("/webhooks/") :] for path in given if "/webhooks/" in path]
    told = [*given, *inner, *(prefix.rstrip("/") + path for path in given)]
    forms = [form for path in told for form in (path, unquote(path), quote(path, safe="/%"), path.lower())]
    return dict.fromkeys(end for path in forms for end in (path, path.rstrip("/"), path.rstrip("/") + "/"))


def _queries(known: Iterable[str]) -> Iterable[str]:
    forms = [
        form
        for query in known
        for form in (query, unquote(query), quote(query, safe="?=&%+"), query.replace("+", "%20"))
    ]
    return dict.fromkeys([*forms, "", *(form.replace("%20", "+") for form in forms)])


def _bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give other forms of a body, each with the word that it fits."""
    yield "without the byte order mark", body.removeprefix(BOM)
    yield "with a byte order mark", BOM + body
    yield "without the blanks around it", body.strip()
    unix = body.replace(b"\r\n", b"\n")
    for form in (unix, unix.replace(b"\n", b"\r\n")):
        yield "with other line ends", form
    for end in (b"\n", b"\r\n"):
        yield "with a line end after it", body + end
        yield "without the line end after it", body.removesuffix(end)
    yield from _charsets(body)
    yield from _json_forms(body)


def _charsets(body: bytes) -> Iterator[tuple[str, bytes]]:
    for given, signed in (("utf-8", "latin-1"), ("utf-8", "cp1252"), ("utf-8", "utf-16"), ("latin-1", "utf-8")):
        try:
            yield f"in {signed} instead of {given}", body.decode(given).encode(signed)
        except UnicodeError:
            continue


def _json_forms(body: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        value = read_json(body.removeprefix(BOM))
    except ValueError:
        return
    for (indent, separators), ascii_only, in_order in product(BLANKS, (False, True), (False, True)):
        text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only, sort_keys=in_order)
        for how, form in (("", text), (" and \\/", text.replace("/", "\\/")), (" and \\u003c", _as_go(text))):
            for end in ("", "\n"):
                yield f"as JSON with other blanks, escapes or order{how}", (form + end).encode()


def _as_go(text: str) -> str:
    """Escape as Go's writer of JSON does."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _with_header(delivery: Delivery, name: str, value: str) -> Delivery:
    """Replace a header that is there; leave a delivery without it as it is."""
    raw = [(key, value.encode() if key.decode("latin-1").lower() == name else old) for key, old in delivery.headers.raw]
    return replace(delivery, headers=Headers(raw=raw))
