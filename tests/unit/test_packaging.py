"""What is locked, installed and shipped."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGES = ("webhooks", "worker", "workflows")
LOCKS = ("requirements.lock", "requirements-dev.lock")


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked(name: str) -> dict[str, list[str]]:
    """Read a lock file as the words of each requirement (pin, marker, hashes), by package."""
    text = re.sub(r"#.*", "", (ROOT / name).read_text()).replace("\\\n", " ")
    return {line.partition("==")[0]: line.split() for line in text.splitlines() if line.strip()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with ZipFile(path) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("package", PACKAGES)
def test_an_import_name_comes_from_this_checkout_and_no_other_distribution_claims_it(package: str) -> None:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin == str(ROOT / package / "__init__.py")
    assert packages_distributions().get(package, ["parhelion"]) == ["parhelion"]


def test_the_command_resolves() -> None:
    (command,) = entry_points(group="console_scripts", name="parhelion")
    assert callable(command.load())


def test_the_wheel_holds_every_file_of_the_three_packages_and_nothing_else(wheel: set[str]) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel if ".dist-info/" not in name} == files
    assert {f"{package}/py.typed" for package in PACKAGES} <= files
    assert any(name.endswith(".lua") for name in files)


def test_the_wheel_carries_its_licence(wheel: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_requirement_is_pinned_and_hashed(lock: str) -> None:
    requirements = locked(lock)
    assert requirements
    for name, words in requirements.items():
        assert re.fullmatch(r"[a-z0-9-]+==\S+", words[0]), name
        assert any(word.startswith("--hash=sha256:") for word in words), name


def test_the_lock_file_meets_what_pyproject_asks_for() -> None:
    project = pyproject()
    pins = locked("requirements.lock")
    for asked in map(Requirement, [*project["project"]["dependencies"], *project["dependency-groups"]["build"]]):
        version = pins[asked.name][0].partition("==")[2]
        assert asked.specifier.contains(version), asked


def test_development_uses_the_very_pins_that_ship() -> None:
    development = locked("requirements-dev.lock")
    for name, words in locked("requirements.lock").items():
        assert development[name] == words
