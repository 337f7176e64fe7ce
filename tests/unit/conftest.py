"""A fresh look-alike at nine o'clock, and a client in it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from tests.unit.halo_caller import HaloCaller, calling
from workflows.sandbox import Sandbox

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
async def halo() -> AsyncIterator[HaloCaller]:
    async with calling(Sandbox(clock=lambda: NOW)) as caller:
        yield caller


@pytest.fixture
async def acme(halo: HaloCaller) -> int:
    return int((await halo.post("Client", {"name": "Acme"}))["id"])
