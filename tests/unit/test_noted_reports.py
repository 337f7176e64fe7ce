"""What runs noted on a client is told from what people wrote there."""

import pytest

from tests.memory_run import MemoryRun, Notebook
from tests.tenant import Tenant, event
from workflows.came_back import has_ended, noted_end
from workflows.halopsa.models import Note

REPORT = """Wound down; last service day: 2026-11-22
Client 29 Acme
By event standard:1 (client.churned from standard, 2026-11-23 09:00 UTC)
Run r-1 (churn_client), begun 2026-11-23 09:00 UTC, reported 2026-11-23 09:00 UTC
SHA-256 abc
Parhelion run r-1: report"""


def noted(*texts: str) -> str:
    return noted_end([Note.model_validate({"id": number, "text": text}) for number, text in enumerate(texts, 1)])


@pytest.mark.parametrize(
    "line_end", ["\n", "\r\n", "<br />\r\n", '</p>\n<p style="margin: 0; font-family: sans-serif">']
)
def test_a_report_is_read_as_halopsa_gives_it_back(line_end: str) -> None:
    assert noted(REPORT.replace("\n", line_end)) == "Wound down; last service day: 2026-11-22"


def test_what_a_person_quotes_of_a_report_is_none() -> None:
    assert noted(REPORT.removesuffix("Parhelion run r-1: report")) == ""


@pytest.mark.timeout(5)
@pytest.mark.parametrize("more", ["", "\nParhelion run r-1: report"])
def test_a_long_note_of_a_person_is_read_as_fast_as_others(more: str) -> None:
    assert noted("(" * 100_000 + more, REPORT) == "Wound down; last service day: 2026-11-22"


async def test_where_notes_cannot_be_read_no_end_is_known() -> None:
    tenant = Tenant()
    client = tenant.sandbox.plant("Client", tenant.keyed(key="C-77", name="Acme Corporation"))
    await tenant.finish(event("client.churned", {"client": {"id": "C-77"}, "undated": True}))
    run = MemoryRun(Notebook())
    assert await run.step("readable", has_ended, tenant.connection.for_run(run), client)

    tenant.sandbox.faults.forbid = frozenset({"GET /api/CRMNote"})
    assert not await run.step("forbidden", has_ended, tenant.connection.for_run(run), client)
