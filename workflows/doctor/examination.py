"""Checks as values, and running them one after another: whatever one finds, the others are made too."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict

from worker.errors import NeedsOperator, ParhelionError, RetryLater
from workflows.doctor.rights import NO_RIGHT, Right
from workflows.halopsa import HaloForbidden, HaloRefused

State = Literal["ok", "warning", "fails", "skipped"]
P = ParamSpec("P")
T = TypeVar("T")
Subject = TypeVar("Subject")

TRIES: Final = 5
NOT_TAKEN: Final = (
    "HaloPSA does not take the request as Parhelion makes it: check PARHELION_HALO_URL and PARHELION_HALO_DIALECT, and "
    "what the role of the application's agent lets it see."
)
LATER: Final = "Run the doctor again in a few minutes; if it stays so, look at HaloPSA's status and at the way to it."


class Finding(BaseModel):
    """What one check brought to light.

    Attributes:
        check: the check's name.
        state: "warning" where the workflows go on without; "skipped" where it could not be or was not looked at.
        concerns: the workflows and their steps (``onboard_client: contract``) that depend on it.
        seen: what was seen, in HaloPSA's own words where it gave any.
        remedy: how to mend it; empty where nothing is to be mended.
    """

    model_config = ConfigDict(frozen=True)

    check: str
    state: State
    concerns: tuple[str, ...] = ()
    seen: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says."""

    state: State
    seen: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """Something to look at.

    Attributes:
        name: for people and scripts; never changes.
        examine: looks.
        concerns: see `Finding`.
        right: what HaloPSA must allow for it.
        needs: checks without whose success this one makes no sense.
        mend: what to do where HaloPSA refuses for another reason than want of rights.
        optional: the workflows go on where HaloPSA refuses it, and remark it.
    """

    name: str
    examine: Callable[[Subject], Awaitable[Verdict]]
    concerns: tuple[str, ...] = ()
    right: Right = NO_RIGHT
    needs: tuple[str, ...] = ("token",)
    mend: str = NOT_TAKEN
    optional: bool = False


@dataclass
class Examination:
    """The findings so far.

    Attributes:
        tell: is told each finding as soon as it is made.
        granted: the scopes of the token, separated by blanks; empty while they are not known.
    """

    tell: Callable[[Finding], None]
    granted: str = ""
    findings: list[Finding] = field(default_factory=list)

    async def run(self, checks: Sequence[Check[Subject]], subject: Subject) -> None:
        """Make the checks, one after another, in their order."""
        for check in checks:
            missing = [name for name in check.needs if self.state(name) in ("fails", "skipped")]
            if missing:
                verdict = Verdict("skipped", f"not looked at, because of: {', '.join(missing)}")
            else:
                verdict = await self._examine(check, subject)
            self._note(check, verdict)

    def skip(self, checks: Sequence[Check[Subject]], why: str) -> None:
        """Put the checks down as not made."""
        for check in checks:
            self._note(check, Verdict("skipped", why))

    def state(self, name: str) -> State | None:
        """What a check has found; None as long as it was not made."""
        return next((finding.state for finding in self.findings if finding.check == name), None)

    @property
    def sound(self) -> bool:
        """Whether nothing would fail."""
        return all(finding.state != "fails" for finding in self.findings)

    async def _examine(self, check: Check[Subject], subject: Subject) -> Verdict:
        try:
            return await persistently(check.examine, subject)
        except NeedsOperator as error:
            return Verdict("warning" if check.optional else "fails", error.what, self._mend(check, error))
        except RetryLater as error:
            return Verdict("fails", error.reason, LATER)
        except ParhelionError as error:
            return Verdict("fails", str(error))
        except Exception as error:  # noqa: BLE001 - whatever one check meets, the others are made
            return Verdict("fails", f"{type(error).__name__}: {error}", "HaloPSA's answer is not understood.")

    def _mend(self, check: Check[Any], error: NeedsOperator) -> str:
        if isinstance(error, HaloForbidden):
            # Without an agent to log in as, HaloPSA refuses nearly everything.
            first = "Mend first what the check agent says. " if self.state("agent") == "fails" else ""
            return first + check.right.of(error.call).remedy(self.granted)
        return check.mend if isinstance(error, HaloRefused) else error.mend

    def _note(self, check: Check[Subject], verdict: Verdict) -> None:
        finding = Finding(
            check=check.name,
            state=verdict.state,
            concerns=check.concerns,
            seen=verdict.seen,
            remedy=verdict.remedy,
        )
        self.findings.append(finding)
        self.tell(finding)


async def persistently(act: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do something again while it meets trouble that may pass by itself, `TRIES` times at most.

    Raises:
        RetryLater: it met trouble each time.
    """
    for _ in range(TRIES - 1):
        with contextlib.suppress(RetryLater):
            return await act(*args, **kwargs)
    return await act(*args, **kwargs)
