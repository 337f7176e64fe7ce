"""What `parhelion doctor` looks at on this side: the settings, Valkey, and the request budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from worker.assemble.store import Store, budget_of, durability_of
from worker.errors import StoreUnavailable
from worker.settings import Settings
from workflows.doctor import Check, State, Verdict

EVERY_WORKFLOW: Final = ("every workflow",)
MEND_STORE: Final = "Check PARHELION_REDIS_URL, and that Valkey runs and lets this user in."


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings, and the store that they name."""

    settings: Settings
    store: Store


async def sources(settings: Settings) -> Verdict:
    """Look whether anybody may send events."""
    if not settings.webhook_secrets:
        mend = "Set PARHELION_WEBHOOK_SECRET_STANDARD, or that of another source."
        return Verdict("warning", "no source has a secret, so no delivery is taken", mend)
    return Verdict("ok", f"sources with a secret: {', '.join(sorted(settings.webhook_secrets))}")


async def reach_store(setup: Setup) -> Verdict:
    """Ask Valkey something."""
    durability = durability_of(setup.settings, setup.store)
    try:
        await durability.problems()
    except StoreUnavailable as error:
        return Verdict("fails", str(error), MEND_STORE)
    memory = durability.memory
    used = f"; {memory.share:.0%} of its memory is used" if memory and memory.limit else ""
    return Verdict("ok", f"Valkey answers{used}")


async def durability(setup: Setup) -> Verdict:
    """Look whether Valkey's settings keep what was acknowledged."""
    strict = setup.settings.model_copy(update={"allow_data_loss": False})
    problems = await durability_of(strict, setup.store).problems()
    if not problems:
        return Verdict("ok", "Valkey keeps what it has acknowledged")
    seen = "; ".join(problem.removeprefix("PARHELION_REDIS_URL: ") for problem in problems)
    state: State = "warning" if setup.settings.allow_data_loss else "fails"
    return Verdict(state, seen, "Set in valkey.conf what it says, and restart Valkey.")


async def budget(setup: Setup) -> Verdict:
    """Compare the request budget with what HaloPSA was seen to allow."""
    settings, observed = setup.settings, await budget_of(setup.settings, setup.store).observed()
    limit = f"the budget is {settings.halo_budget_requests} requests in {settings.halo_budget_window_s:g} s"
    if observed is None:
        return Verdict("ok", f"{limit}; HaloPSA never answered that there were too many")
    seen = f"{limit}; HaloPSA answered that there were too many (429) when at most {observed} were Parhelion's"
    if observed > settings.halo_budget_requests:
        return Verdict("ok", seen)
    mend = (
        f"Set PARHELION_HALO_BUDGET_REQUESTS below {observed}, or give other programs that use the same API "
        "application one of their own."
    )
    return Verdict("warning", seen, mend)


SETTINGS_CHECKS: Final[Sequence[Check[Settings]]] = (Check("sources", sources, EVERY_WORKFLOW, needs=()),)
STORE_CHECKS: Final[Sequence[Check[Setup]]] = (
    Check("store", reach_store, EVERY_WORKFLOW, needs=()),
    Check("durability", durability, EVERY_WORKFLOW, needs=("store",)),
)
BUDGET_CHECKS: Final[Sequence[Check[Setup]]] = (Check("budget", budget, EVERY_WORKFLOW, needs=("store",)),)
