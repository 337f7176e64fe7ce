"""Data quality: every planted fault is found and nothing else, and an interrupted examination goes on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.memory_run import STARTED
from tests.tenant import DAYS, Tenant
from worker.budget import WaitingGuard
from workflows.data_quality import Finding, examine
from workflows.policy import Policy
from workflows.sandbox import Faults
from workflows.sandbox.msp import Planted, plant_msp

SEEDS = (1, 7, 2026)


async def no_pause(_: float) -> None:
    """Trouble passes at once."""


async def examined(tenant: Tenant, folder: Path, policy: Policy | None = None, **more: Any) -> list[Finding]:
    return await examine(
        tenant.connection,
        WaitingGuard(None, bulk=True),
        policy or Policy(),
        tape=folder / "reading.jsonl",
        now=STARTED,
        pause=no_pause,
        **more,
    )


def in_short(findings: Sequence[Finding]) -> set[tuple[str, frozenset[int], frozenset[int]]]:
    return {
        (one.kind, frozenset(c.id for c in one.clients), frozenset(r.id for r in one.records)) for one in findings
    }


def expected(planted: Planted) -> set[tuple[str, frozenset[int], frozenset[int]]]:
    return {(fault.kind, frozenset(fault.clients), frozenset(fault.records)) for fault in planted.faults}


@pytest.fixture(params=DAYS)
def faults(request: pytest.FixtureRequest) -> Faults:
    return DAYS[request.param]()


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_planted_fault_is_found_and_nothing_else(tenant: Tenant, seed: int, tmp_path: Path) -> None:
    planted = plant_msp(tenant.sandbox, seed)
    findings = await examined(tenant, tmp_path)

    assert in_short(findings) == expected(planted)
    assert len(findings) == len(planted.faults)
    assert {one.certainty for one in findings} == {"certain"}
    assert all(one.what and one.mend for one in findings)
