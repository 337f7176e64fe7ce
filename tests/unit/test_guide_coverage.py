"""The page that holds the product against the client-management guide is complete, and all that it names exists."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from worker.cli import command_line
from workflows.registry import WORKFLOWS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guide-coverage.md"
GUIDE = ROOT.parent / "shared" / "facts" / "client-management-guide.txt"
NOTHING = "\N{EN DASH}"
HEADING = re.compile(r"[A-Z][\w-]*( \(?[\w-]+\)?)*")
TABLE_HEADS = {"Field", "Type", "Code"}


class Row(NamedTuple):
    """One row of the page."""

    label: str
    where: str
    step: str
    shown_by: str
    proof: str
    remark: str

    def named(self, cell: str) -> list[str]:
        """What stands in a cell as code."""
        return re.findall(r"`([^`]+)`", getattr(self, cell))


def rows() -> list[Row]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return [Row(*row) for row in cells if row[0] != "In the guide"]


ROWS = rows()


def labels(guide: str) -> Iterator[str]:
    """Every heading of the guide, and under its heading every bullet, table row, request and function."""
    heading = ""
    for line in map(str.strip, re.sub(r"- •\s*", "\n- • ", guide).splitlines()):
        if HEADING.fullmatch(line):
            heading = line
            yield heading
        elif found := _below_heading(line):
            yield f"{heading}: {found}"


def _below_heading(line: str) -> str | None:
    if line.startswith("- •"):
        return line.removeprefix("- •").partition(" - ")[0].strip()
    if request := re.match(r"(GET|POST) /\S+", line):
        return request[0]
    if function := re.match(r"(?:async )?function (\w+)", line):
        return function[1]
    # Of tables; "||" in code is none.
    cells = [cell.strip() for cell in line.strip("| ").split("|") if cell.strip(" -")]
    if len(cells) < 2 or "||" in line or cells[0] in TABLE_HEADS:
        return None
    return cells[1] if cells[0].isdecimal() else cells[0]


def normalised(label: str) -> str:
    return " ".join(re.findall(r"\w+", label.casefold()))


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not here")
def test_every_part_of_the_guide_has_its_row() -> None:
    wanted = [normalised(label) for label in labels(GUIDE.read_text(encoding="utf-8"))]

    assert [normalised(row.label) for row in ROWS if normalised(row.label) not in wanted] == []
    assert [label for label in wanted if label not in {normalised(row.label) for row in ROWS}] == []
    assert len(wanted) > 100


def test_no_label_stands_twice() -> None:
    named = [row.label for row in ROWS]

    assert len(named) == len(set(named))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_nothing_is_empty_without_a_reason(row: Row) -> None:
    assert all(row)
    assert row.remark != NOTHING or NOTHING not in {row.where, row.shown_by}
    assert row.named("proof")


def test_every_test_exists() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    named = {proof for row in ROWS for proof in row.named("proof")}
    missing = [
        proof
        for proof in named
        for file, _, test in [proof.partition("::")]
        if not re.search(rf"^(async )?def {re.escape(test)}\(", files.get(file, ""), re.MULTILINE)
    ]

    assert missing == []


def test_every_workflow_and_module_exists() -> None:
    workflows = {workflow.name for workflow in WORKFLOWS}
    named = {where for row in ROWS for where in row.named("where")}

    assert [where for where in named if where not in workflows and not find_spec(where)] == []
    assert workflows <= named


def test_every_step_exists() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflows").glob("*.py"))
    named = {step for row in ROWS for step in row.named("step")}

    assert [step for step in named if not re.search(rf'f?"{re.escape(step)}(?:"|{{)', code)] == []


@pytest.mark.parametrize("command", sorted({command for row in ROWS for command in row.named("shown_by")}))
def test_every_command_exists(command: str) -> None:
    names = [word for word in command.split() if not word.startswith("--")]
    helped = CliRunner().invoke(command_line(), [*names, "--help"])

    assert helped.exit_code == 0
    assert set(command.split()) <= set(helped.output.split())


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_the_page_is_linked(page: str) -> None:
    assert "guide-coverage.md" in (ROOT / page).read_text(encoding="utf-8")
