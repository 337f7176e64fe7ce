"""One CRM as an ASGI app: its token, its faults, and its answers."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from workflows.sandbox.answers import Answer, Refused, json_answer
from workflows.sandbox.crm.crms import TOKEN, Crms
from workflows.sandbox.wire import read_body, send_answer


@dataclass(frozen=True, slots=True)
class CrmCall:
    """One request.

    Attributes:
        crms: the records.
        places: what the address names (``{"id": "1"}``).
        query: the query's parameters.
        headers: the request's.
        body: the JSON that was sent; None for none.
    """

    crms: Crms
    places: Mapping[str, str]
    query: Mapping[str, str]
    headers: Headers
    body: Any


Answering = Callable[[CrmCall], Any]


@dataclass(frozen=True, slots=True)
class Way:
    """One thing that can be asked: method, the address as a pattern, and what answers it.

    Attributes:
        open: whether it is answered without a token.
        status: of the answer.
    """

    method: str
    pattern: str
    answer: Answering
    open: bool = False
    status: int = 200


class LookAlike:
    """A CRM, mounted below its word.

    Args:
        crms: the records.
        system: the CRM's word.
        ways: what can be asked.
        proof: the header that holds the token, and the whole value that counts.
        refused: the body of a refusal, made of the text.
    """

    def __init__(
        self,
        crms: Callable[[], Crms],
        system: str,
        ways: Sequence[Way],
        *,
        proof: tuple[str, str] = ("authorization", f"Bearer {TOKEN}"),
        refused: Callable[[str], Any],
    ) -> None:
        self._crms = crms
        self._system = system
        self._ways = [(way, re.compile(way.pattern)) for way in ways]
        self._proof = proof
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        crms, method = self._crms(), scope["method"]
        body = await read_body(receive)
        crms.requests[f"{method} {scope['path']}"] += 1
        crms.arrived[self._system] += 1
        faults = getattr(crms.faults, self._system)
        answer = self._struck(crms, faults.limit_nth, faults.fail_nth) or self._answer(crms, scope, body)
        lost = faults.lose_writes and answer.status == 201  # noqa: PLR2004 - Created
        await send_answer(send, answer, lost=lost)

    def _struck(self, crms: Crms, limited: frozenset[int], failed: frozenset[int]) -> Answer | None:
        number, wait_s = crms.arrived[self._system], getattr(crms.faults, self._system).retry_after
        if number in limited:
            headers = {} if wait_s is None else {"retry-after": str(wait_s)}
            told = json_answer(429, self._refused("You have reached your limit."))
            return Answer(429, told.body, told.content_type, headers)
        if number in failed:
            return Answer(502, b"<html><h1>502 Bad Gateway</h1></html>", "text/html")
        return None

    def _answer(self, crms: Crms, scope: Scope, body: bytes) -> Answer:
        path = scope["path"].removeprefix(scope["root_path"])
        headers = Headers(scope=scope)
        for way, pattern in self._ways:
            found = pattern.fullmatch(path)
            if not found or way.method != scope["method"]:
                continue
            if not way.open and not self._proven(crms, headers):
                return json_answer(401, self._refused("The token is not valid"))
            if f"{scope['method']} {scope['path']}" in getattr(crms.faults, self._system).forbid:
                return json_answer(403, self._refused("This token hasn't been granted all required scopes"))
            query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
            call = CrmCall(crms, found.groupdict(), query, headers, _read(body, headers))
            try:
                told = way.answer(call)
            except Refused as refusal:
                return json_answer(refusal.status, self._refused(str(refusal.body)))
            return Answer(204) if told is None else json_answer(way.status, told)
        return json_answer(404, self._refused("There is nothing here"))

    def _proven(self, crms: Crms, headers: Headers) -> bool:
        name, value = self._proof
        return headers.get(name) == value and not getattr(crms.faults, self._system).refuse_token


def grant_token(call: CrmCall) -> Any:
    """Grant a token to the one application that there is.

    Raises:
        Refused: the secret is wrong.
    """
    if call.body.get("client_secret") != "sandbox-secret":
        raise Refused("invalid_client", 401)
    return {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}


def required(row: Any) -> Any:
    """Give a record that must be there.

    Raises:
        Refused: it is not.
    """
    if row is None:
        raise Refused("The record was not found", 404)
    return row


def _read(body: bytes, headers: Headers) -> Any:
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode()))
    return json.loads(body) if body else None
