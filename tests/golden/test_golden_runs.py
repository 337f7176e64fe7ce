"""Runs that a released version began are finished by today's code."""

import json
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.golden.golden import FOLDER, STEPS_BEFORE, Bench, load
from workflows.registry import WORKFLOWS
from workflows.sandbox import Sandbox

RECORDINGS = {f"{path.parent.name}/{path.stem}": json.loads(path.read_text()) for path in FOLDER.glob("*/*.json")}


@pytest.fixture
def sandbox(tmp_path: Path, name: str) -> Sandbox:
    (tmp_path / "halopsa.json").write_text(json.dumps(RECORDINGS[name]["halopsa"]))
    return Sandbox(state_file=tmp_path / "halopsa.json")


@pytest.mark.parametrize("name", sorted(RECORDINGS))
async def test_a_recorded_run_is_finished(redis: Redis, sandbox: Sandbox, name: str) -> None:
    recorded = RECORDINGS[name]
    await load(redis, recorded["journal"])
    bench = Bench(redis, sandbox)
    before = await bench.reader.run(recorded["run"])
    assert before is not None

    await bench.engine.advance(recorded["run"])

    after = await bench.reader.run(recorded["run"])
    assert after is not None
    assert len(before.steps()) >= STEPS_BEFORE
    assert (after.state, after.details()["error"]) == ("succeeded", None)
    assert after.steps()[: len(before.steps())] == before.steps()


def test_there_is_a_recording_of_each_workflow() -> None:
    recorded = {fields["workflow"] for one in RECORDINGS.values() for fields in _runs(one["journal"])}

    assert recorded == {workflow.name for workflow in WORKFLOWS}


def _runs(journal: dict[str, Any]) -> list[dict[str, str]]:
    return [value for key, (_, value) in journal.items() if key.startswith("ph:run:")]
