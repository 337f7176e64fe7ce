"""The whole product under kills, pauses and restarts, in real processes; `make chaos` does the same for ten minutes."""

from pathlib import Path

import pytest

from tests.chaos.scale import SECONDS, SEED
from tests.chaos.storm import storm


@pytest.mark.timeout(SECONDS + 420)
async def test_what_was_acknowledged_is_done_once_whoever_dies(tmp_path: Path) -> None:
    verdict = await storm(tmp_path, seconds=SECONDS, seed=SEED)

    assert verdict.clean, verdict.complaints()
    assert len(verdict.mischief) == 6, verdict
