"""Decides, request by request, which fault strikes."""

import math
import random
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta

from workflows.sandbox.answers import Answer, json_answer
from workflows.sandbox.faults import Faults

RATE_LIMIT_TEXT = "Rate Limit Reached - 300 Requests per rolling 5 minute window"
_PROXY_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"


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
            return self._too_many("rate_limit")
        if number in self.faults.limit_nth:
            return self._too_many("limit_nth")
        if number in self.faults.fail_nth:
            return self._proxy_failure("fail_nth")
        if self._strikes("fail_before"):
            return self._proxy_failure("fail_before")
        return None

    def expires(self, number: int) -> bool:
        """Whether every token becomes invalid before this request is looked at."""
        if number in self.faults.expire_nth:
            self.happened["expire_nth"] += 1
            return True
        if self.faults.expire_tokens:
            self.faults.expire_tokens = False
            self.happened["expire_tokens"] += 1
            return True
        return False

    def refusal(self, label: str) -> Answer | None:
        """What HaloPSA says against such a request; None when it has nothing against it."""
        for fault, labels, status in (("forbid", self.faults.forbid, 403), ("deny", self.faults.deny, 401)):
            if label in labels:
                self.happened[fault] += 1
                return Answer(status)
        if (text := self.faults.refuse.get(label)) is not None:
            self.happened["refuse"] += 1
            return json_answer(400, text)
        return None

    def afterwards(self, answer: Answer, *, wrote: bool) -> Answer:
        """What a request gets that was done: its answer, or the proxy's failure."""
        return self._proxy_failure("fail_after") if wrote and self._strikes("fail_after") else answer

    def loses_id(self) -> bool:
        """Whether the answer to a write comes without the record's id."""
        if self._strikes("lose_ids"):
            self.happened["lose_ids"] += 1
            return True
        return False

    def loses(self, number: int, *, wrote: bool) -> bool:
        """Whether the connection drops now that the request is done."""
        if number in self.faults.drop_nth:
            self.happened["drop_nth"] += 1
            return True
        if wrote and self._strikes("lose_answers"):
            self.happened["lose_answers"] += 1
            return True
        return False

    def _strikes(self, fault: str) -> bool:
        share = getattr(self.faults, fault)
        return bool(share) and self._random.random() < share

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

    def _too_many(self, fault: str) -> Answer:
        self.happened[fault] += 1
        headers = {"retry-after": str(self._seconds_to_wait())} if self.faults.retry_after else {}
        return Answer(429, RATE_LIMIT_TEXT.encode(), "text/plain; charset=utf-8", headers)

    def _seconds_to_wait(self) -> int:
        limit = self.faults.rate_limit
        if limit is None or not self._window:
            return 1
        free = self._window[0] + timedelta(seconds=limit.window_s) - self._clock()
        return max(1, math.ceil(free.total_seconds()))

    def _proxy_failure(self, fault: str) -> Answer:
        self.happened[fault] += 1
        status, title = self._random.choice(((500, "500 Internal Server Error"), (502, "502 Bad Gateway")))
        return Answer(status, _PROXY_PAGE.format(title).encode(), "text/html")
