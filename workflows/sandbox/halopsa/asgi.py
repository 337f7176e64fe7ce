"""HaloPSA's API and its token endpoint as ASGI apps: counting, faults, tokens, keeping the state."""

import asyncio

from starlette.datastructures import URL, Headers
from starlette.types import Receive, Scope, Send

from workflows.sandbox.answers import Answer, Refused, json_answer
from workflows.sandbox.halopsa.api import answer_request, label
from workflows.sandbox.halopsa.dialects import DIALECTS
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
        path = scope["path"].removeprefix(scope["root_path"]).strip("/").split("/")
        body = await read_body(receive)
        sandbox.requests[label(method, path)] += 1
        number = sandbox.injector.number()
        await _wait(sandbox)
        answer = sandbox.injector.instead(number) or self._answer(scope, path, body)
        wrote = method != "GET" and answer.status in (200, 201)
        await send_answer(send, answer, lost=sandbox.injector.loses(number, wrote=wrote))

    def _answer(self, scope: Scope, path: list[str], body: bytes) -> Answer:
        sandbox, method = self._sandbox, scope["method"]
        if path[0].lower() == "authinfo":
            auth_url = URL(scope=scope).replace(path="/auth", query="")
            return json_answer(200, {"auth_url": str(auth_url), "tenant_id": TENANT})
        if not self._may(scope):
            return Answer(401)
        if (said := sandbox.injector.refusal(label(method, path))) is not None:
            return said
        try:
            return answer_request(
                sandbox.store,
                sandbox.faults,
                method,
                path,
                dialect=DIALECTS[sandbox.dialect],
                query_string=scope["query_string"],
                body=body,
            )
        except Refused as refusal:
            return refusal.answer()
        finally:
            if method != "GET":
                sandbox.save()

    def _may(self, scope: Scope) -> bool:
        sandbox = self._sandbox
        if sandbox.faults.expire_tokens:
            sandbox.tokens.revoke_all()
            sandbox.faults.expire_tokens = False
            sandbox.injector.happened["expire_tokens"] += 1
        return sandbox.tokens.are_valid(Headers(scope=scope).get("authorization", ""))


class TokenEndpoint:
    """The token endpoint, at ``/auth/token``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one token request."""
        body = await read_body(receive)
        self._sandbox.requests["POST /auth/token"] += 1
        await _wait(self._sandbox)
        answer = self._sandbox.injector.instead() or self._answer(scope, body)
        await send_answer(send, answer, lost=False)

    def _answer(self, scope: Scope, body: bytes) -> Answer:
        content_type = Headers(scope=scope).get("content-type", "")
        try:
            return self._sandbox.tokens.grant(scope["query_string"], content_type, body)
        except Refused as refusal:
            return refusal.answer()


async def _wait(sandbox: Sandbox) -> None:
    if sandbox.faults.latency_ms:
        await asyncio.sleep(sandbox.faults.latency_ms / 1000)
