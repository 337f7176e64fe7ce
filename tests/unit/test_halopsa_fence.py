"""What the fence tells a run's call about a request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from workflows.halopsa.transport import FencedTransport


@dataclass
class Told:
    """A guard that writes down what it is told."""

    in_doubt: bool = False
    calls: list[dict[str, Any]] = field(default_factory=list)
    is_settled: bool = False
    refusals: list[float | None] = field(default_factory=list)

    @asynccontextmanager
    async def call(self, what: str, **how: Any) -> AsyncIterator["Told"]:
        self.calls.append({"what": what, **how})
        yield self

    def settled(self) -> None:
        self.is_settled = True

    def refused(self, after: float | None) -> None:
        self.refusals.append(after)


async def send(guard: Told, method: str, answer: httpx.Response, **how: Any) -> int:
    fence = FencedTransport(guard, httpx.MockTransport(lambda _: answer), **how)
    async with httpx.AsyncClient(transport=fence, base_url="http://halo.test") as http:
        return (await http.request(method, "/api/Client")).status_code


@pytest.mark.parametrize(("headers", "after"), [({"Retry-After": "17"}, 17.0), ({}, None)])
async def test_too_many_requests_are_told(headers: dict[str, str], after: float | None) -> None:
    guard = Told()
    await send(guard, "POST", httpx.Response(429, headers=headers, text="Rate Limit Reached"))

    assert (guard.refusals, guard.is_settled) == ([after], True)


@pytest.mark.parametrize("status", [200, 201, 400, 500, 503])
async def test_other_answers_do_not_mean_too_many_requests(status: int) -> None:
    guard = Told()
    await send(guard, "POST", httpx.Response(status, headers={"Retry-After": "17"}))

    assert guard.refusals == []


@pytest.mark.parametrize(
    ("method", "how", "write"), [("GET", {}, False), ("POST", {}, True), ("POST", {"writes": False}, False)]
)
async def test_only_what_changes_something_is_a_write(method: str, how: dict[str, bool], *, write: bool) -> None:
    guard = Told()
    await send(guard, method, httpx.Response(200), **how)

    assert [call["write"] for call in guard.calls] == [write]
