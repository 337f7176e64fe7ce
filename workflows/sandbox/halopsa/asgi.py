"""HaloPSA's API and its token endpoint as ASGI apps: counting, faults, tokens, keeping the state."""

import asyncio
from urllib.parse import parse_qsl

from starlette.datastructures import URL, Headers
from starlette.types import Receive, Scope, Send

from workflows.sandbox.answers import Answer, Refused, json_answer
from workflows.sandbox.faults import Faults
from workflows.sandbox.halopsa.api import answer_call, label
from workflows.sandbox.halopsa.call import Call
from workflows.sandbox.halopsa.dialects import DIALECTS
from workflows.sandbox.halopsa.permissions import Grant
from workflows.sandbox.halopsa.tokens import TENANT
from workflows.sandbox.sandbox import Sandbox
from workflows.sandbox.wire import read_body, send_answer


class HaloPsa:
    """The API, mounted at ``/api``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        sandbox, method = self._sandbox, scope["method"]
        path = tuple(scope["path"].removeprefix(scope["root_path"]).strip("/").split("/"))
        body = await read_body(receive)
        sandbox.requests[label(method, path)] += 1
        number = sandbox.injector.number()
        await _wait(sandbox.faults, scope)
        answer = sandbox.injector.instead(number) or self._answer(scope, path, body, number)
        wrote = method != "GET" and answer.status in (200, 201)
        answer = sandbox.injector.afterwards(answer, wrote=wrote)
        lost = sandbox.injector.loses(number, wrote=wrote)
        sandbox.note(f"{method} {scope['path']}", scope["query_string"], body, None if lost else answer.status)
        await send_answer(send, answer, lost=lost)

    def _answer(self, scope: Scope, path: tuple[str, ...], body: bytes, number: int) -> Answer:
        sandbox, method = self._sandbox, scope["method"]
        if path[0].lower() == "authinfo":
            auth_url = URL(scope=scope).replace(path="/auth", query="")
            return json_answer(200, {"auth_url": str(auth_url), "tenant_id": TENANT})
        grant = self._grant(scope, number)
        if grant is None:
            return Answer(401)
        if (said := sandbox.injector.refusal(label(method, path))) is not None:
            return said
        query = {name.lower(): value for name, value in parse_qsl(scope["query_string"].decode())}
        call = Call(
            store=sandbox.store,
            injector=sandbox.injector,
            grant=grant,
            number=number,
            method=method,
            path=path,
            query=query,
            body=body,
        )
        try:
            return answer_call(call, DIALECTS[sandbox.dialect])
        except Refused as refusal:
            return refusal.answer()
        finally:
            if method != "GET":
                sandbox.save()

    def _grant(self, scope: Scope, number: int) -> Grant | None:
        sandbox = self._sandbox
        if sandbox.injector.expires(number):
            sandbox.tokens.revoke_all()
        return sandbox.tokens.grant_of(Headers(scope=scope).get("authorization", ""))


class TokenEndpoint:
    """The token endpoint, at ``/auth/token``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one token request."""
        body = await read_body(receive)
        self._sandbox.requests["POST /auth/token"] += 1
        await _wait(self._sandbox.faults, scope)
        answer = self._sandbox.injector.instead() or self._answer(scope, body)
        self._sandbox.note("POST /auth/token", b"", b"", answer.status)
        await send_answer(send, answer, lost=False)

    def _answer(self, scope: Scope, body: bytes) -> Answer:
        content_type = Headers(scope=scope).get("content-type", "")
        try:
            return self._sandbox.tokens.grant(scope["query_string"], content_type, body)
        except Refused as refusal:
            return refusal.answer()


async def _wait(faults: Faults, scope: Scope) -> None:
    searching = b"search=" in scope["query_string"]
    if milliseconds := faults.latency_ms + searching * faults.search_latency_ms:
        await asyncio.sleep(milliseconds / 1000)
