"""The errors that decide what happens to a run next.

    ParhelionError
    ├── RetryLater      outside trouble that passes by itself: the engine tries again
    ├── NotYet          what the run needs may still come: it lets others of its client pass and looks again
    ├── NeedsOperator   a person must mend something: the run fails and says what
    ├── Ignored         an event means nothing here: it is closed with the reason
    └── StoreUnavailable  Valkey cannot store now: whoever sent something must send it again
    StopRun (BaseException)  no error: the run stops here; what becomes of it is decided elsewhere
    └── Fenced          it belongs to another worker by now
Any other exception out of a workflow is a bug: a few tries, then the run fails with its traceback.
"""

from collections.abc import Sequence


class ParhelionError(Exception):
    """Base of all errors that Parhelion raises on purpose."""


class RetryLater(ParhelionError):
    """Trouble outside that passes by itself.

    Args:
        reason: what went wrong, in words for an operator.
        after: seconds to wait before the next try (a ``Retry-After``); None leaves it to the engine's backoff.
    """

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class NotYet(ParhelionError):
    """What the run needs is not there yet, but may come: a client that another event is still to make.

    The run gives its place in the client's queue back, and looks again when anything happens to the client, now and
    then, and for the last time after a day.

    Args:
        what: what is missing, in words for an operator.
        mend: what to do about it once the day is over.
        of: under which names another client is known that is to come first ("crm:C-7"); besides the run's own.
    """

    def __init__(self, what: str, *, mend: str = "", of: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.of = list(of)


class NeedsOperator(ParhelionError):
    """Something that only a person can mend.

    Args:
        what: what is wrong, with the outside system's own text where there is one.
        mend: what to do about it before ``parhelion runs retry``.
    """

    def __init__(self, what: str, *, mend: str = "") -> None:
        super().__init__(what if not mend else f"{what} To mend it: {mend}")
        self.what = what
        self.mend = mend


class Ignored(ParhelionError):
    """An event that means nothing here: it is closed with the reason, which is no fault.

    Args:
        reason: why, in words for an operator.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreUnavailable(ParhelionError):
    """Valkey did not take a write: nothing was stored."""


class StopRun(BaseException):
    """The run stops here, and its workflow must not go on.

    A BaseException, so that no ``except Exception`` in a workflow swallows it. Not to be raised by workflows: the
    methods of `worker.run.Run` do it.
    """


class Fenced(StopRun):
    """The run has another owner by now: write nothing, send nothing."""
