"""What `/metrics` shows of the journal."""

import pytest
from redis.asyncio import Redis

from worker.exposition import exposition
from worker.jobs import encode_doorbell
from worker.journal.examinations import Examinations
from worker.journal.scripts import Scripts


@pytest.fixture
def scripts(redis: Redis) -> Scripts:
    return Scripts(redis, encode_doorbell())


async def lines(scripts: Scripts) -> list[str]:
    text, _ = await exposition(scripts)
    return text.decode().splitlines()


async def test_the_findings_of_the_last_examination_are_shown_by_kind(scripts: Scripts) -> None:
    examinations = Examinations(scripts, "worker-1")
    await examinations.done("2026-11-22", {"contact-without-email": 7})
    await examinations.done("2026-11-23", {"contact-without-email": 2, "client-without-contacts": 1})

    shown = [line for line in await lines(scripts) if line.startswith("parhelion_data_quality_findings{")]

    assert shown == [
        'parhelion_data_quality_findings{kind="contact-without-email"} 2.0',
        'parhelion_data_quality_findings{kind="client-without-contacts"} 1.0',
    ]


async def test_a_store_that_answers_is_up(scripts: Scripts) -> None:
    assert "parhelion_store_up 1.0" in await lines(scripts)
