"""What goes wrong, by switch: every misbehaviour that the look-alikes can show."""

import random
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from workflows.sandbox.answers import Answer, json_answer

Share = Annotated[float, Field(ge=0, le=1)]

RATE_LIMIT_TEXT = "Rate Limit Reached - 300 Requests per rolling 5 minute window"
_PROXY_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"


class RateLimit(BaseModel):
    """At most `requests` in a rolling window of `window_s` seconds."""

    model_config = ConfigDict(extra="forbid")

    requests: int = Field(default=300, ge=1)
    window_s: float = Field(default=300, gt=0)


class Faults(BaseModel):
    """The switches; assigning to one takes effect with the next request.

    Attributes:
        post_answer: how a POST answers: the object, an array of one, or the list's envelope.
        page_cap: rows on one page at most.
        float_ids: whether some ids come as ``29.0``.
        ignore_search: ``search`` finds everything.
        refuse_inactive_writes: an inactive client takes no writes but the one that makes it active again.
        latency_ms: milliseconds before a request is looked at.
        rate_limit: answers 429 beyond it, without Retry-After.
        lose_answers: share of the writes that are done and then the connection drops without an answer.
        fail_before: share of the requests that get a 500 or 502 in HTML, and nothing is done.
        drop_nth: numbers of requests (all below ``/api``, from 1) that are done and then the connection drops.
        fail_nth: numbers of requests that get a 500 or 502 and nothing is done.
        refuse: requests that are refused with 400, and the text: ``{"POST /api/ClientContract": "No such type"}``.
        forbid: requests that the application may not make: ``POST /api/CRMNote``; they get an empty 403.
        expire_tokens: makes all tokens invalid at the next request, and falls back to false.
        seed: for the shares.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    post_answer: Literal["object", "array", "envelope"] = "object"
    page_cap: int = Field(default=100, ge=1)
    float_ids: bool = True
    ignore_search: bool = False
    refuse_inactive_writes: bool = False
    latency_ms: float = Field(default=0, ge=0)
    rate_limit: RateLimit | None = None
    lose_answers: Share = 0
    fail_before: Share = 0
    drop_nth: frozenset[int] = frozenset()
    fail_nth: frozenset[int] = frozenset()
    refuse: dict[str, str] = Field(default_factory=dict)
    forbid: frozenset[str] = frozenset()
    expire_tokens: bool = False
    seed: int = 0


class FaultInjector:
    """Decides, request by request, what goes wrong, and counts it.

    Args:
        faults: the switches.
        clock: returns the present time (aware, UTC).

    Attributes:
        happened: how often each fault struck, by the switch's name.
    """

    def __init__(self, faults: Faults, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._window: deque[datetime] = deque()
        self._arrived = 0
        self.happened: Counter[str] = Counter()
        self.faults = faults

    @property
    def faults(self) -> Faults:
        """The switches; setting them begins the shares anew from their seed."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 - repeatable, not secret

    def number(self) -> int:
        """Count one more request below ``/api``.

        Returns:
            Its number, from 1.
        """
        self._arrived += 1
        return self._arrived

    def instead(self, number: int | None = None) -> Answer | None:
        """What a request gets instead of being looked at; None when nothing is wrong.

        Args:
            number: the request's; None for one that is not counted (a token request).
        """
        if self._over_limit():
            self.happened["rate_limit"] += 1
            return Answer(429, RATE_LIMIT_TEXT.encode(), "text/plain; charset=utf-8")
        if number in self.faults.fail_nth:
            return self._proxy_failure("fail_nth")
        if self.faults.fail_before and self._random.random() < self.faults.fail_before:
            return self._proxy_failure("fail_before")
        return None

    def refusal(self, label: str) -> Answer | None:
        """What HaloPSA says against such a request; None when it has nothing against it."""
        if label in self.faults.forbid:
            self.happened["forbid"] += 1
            return Answer(403)
        if (text := self.faults.refuse.get(label)) is not None:
            self.happened["refuse"] += 1
            return json_answer(400, text)
        return None

    def loses(self, number: int, *, wrote: bool) -> bool:
        """Whether the connection drops now that the request is done."""
        if number in self.faults.drop_nth:
            self.happened["drop_nth"] += 1
            return True
        if wrote and self.faults.lose_answers and self._random.random() < self.faults.lose_answers:
            self.happened["lose_answers"] += 1
            return True
        return False

    def _over_limit(self) -> bool:
        limit = self.faults.rate_limit
        if limit is None:
            return False
        now = self._clock()
        while self._window and self._window[0] <= now - timedelta(seconds=limit.window_s):
            self._window.popleft()
        if len(self._window) >= limit.requests:
            return True
        self._window.append(now)
        return False

    def _proxy_failure(self, fault: str) -> Answer:
        self.happened[fault] += 1
        status, title = self._random.choice(((500, "500 Internal Server Error"), (502, "502 Bad Gateway")))
        return Answer(status, _PROXY_PAGE.format(title).encode(), "text/html")
