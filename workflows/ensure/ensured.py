"""What the steps that ensure records give, and what they have in common."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from worker.run import Run
from workflows.halopsa import Halo
from workflows.halopsa.models import Numbered


class Ensured(BaseModel):
    """A record that stands in HaloPSA.

    Attributes:
        id: HaloPSA's.
        created: whether this run made it.
        in_doubt: whether a write whose outcome was unknown may have made a second one.
        shown: whether HaloPSA's answer showed the record as it was to be, so that it need not be read back.
        remarks: what could not be set, and why.
        changes: of a record that was there: field → the value before and the value after.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    created: bool = False
    in_doubt: bool = False
    shown: bool = False
    remarks: list[str] = Field(default_factory=list)
    changes: dict[str, tuple[Any, Any]] = Field(default_factory=dict)


Skippable = Ensured | None
"""What a step gives that an operator may leave out: None stands for the record that is not there."""


class ClientRef(Ensured):
    """A client that stands in HaloPSA.

    Attributes:
        name: HaloPSA's.
        main_site_id: 0 where HaloPSA did not say.
        keyed: whether it bears the CRM's key, or another that it keeps.
        inactive: whether it was so when it was found.
        besides: clients like it that a person knew of when it was made; they are no doubles.
    """

    name: str
    main_site_id: int = 0
    keyed: bool = True
    inactive: bool = False
    besides: list[int] = Field(default_factory=list)

    @property
    def undisputed(self) -> bool:
        """Whether this run alone made the client, so that nothing stands under it but what the run put there."""
        return self.created and not self.in_doubt


async def remark_all(run: Run, step: str, ensured: Skippable) -> None:
    """Put what a step could not do into the run's history."""
    for remark in ensured.remarks if ensured else []:
        await run.remark(f"{step}:remark", remark)


def listed(ids: Sequence[int]) -> str:
    """Write ids for people."""
    return ", ".join(str(one) for one in ids) or "none"


def must_look(halo: Halo, client: ClientRef) -> bool:
    """Whether something may stand under the client already that the step is about to make."""
    return halo.in_doubt or not client.undisputed


def eldest(rows: Sequence[Numbered]) -> Numbered:
    """Pick the one in use that HaloPSA made first."""
    return min(rows, key=age)


def age(row: Numbered) -> tuple[bool, int]:
    """Order records: those in use first, then as HaloPSA made them."""
    return not row.in_use, row.id
