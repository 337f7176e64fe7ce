"""The files of deploy/, as far as they can be held to their word without a container engine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from webhooks.sources import SOURCES
from worker.settings import PREFIX, WEBHOOK_SECRET, Settings, read_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "parhelion")
SECRETS = {
    "halo_client_secret": "a-secret",
    "webhook_secret_standard": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
}


def assignments(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(rf"{PREFIX}\w+=", line))


def environment(service: str, secrets: Path) -> dict[str, str]:
    """What a service's process finds in its environment, with its secrets in the folder `secrets`."""
    found: dict[str, str] = {}
    if SERVICES[service].get("env_file") == "parhelion.env":
        found |= assignments((DEPLOY / "compose.env.example").read_text())
    found |= SERVICES[service].get("environment", {})
    for name in SERVICES[service].get("secrets", []):
        (secrets / name).write_text(SECRETS[name])
    return {name: value.replace("/run/secrets", str(secrets)) for name, value in found.items()}


def is_setting(name: str) -> bool:
    plain = name.removeprefix(PREFIX).removesuffix("_FILE")
    sources = {f"{WEBHOOK_SECRET}{source.name.upper()}" for source in SOURCES}
    return plain.lower() in Settings.model_fields or plain in sources


@pytest.mark.parametrize("service", OURS)
def test_a_service_runs_a_command_that_exists(service: str) -> None:
    command = [str(Path(sys.executable).with_name("parhelion")), *SERVICES[service]["command"], "--help"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("service", OURS)
def test_a_service_is_given_settings_that_exist(service: str, tmp_path: Path) -> None:
    unknown = [name for name in environment(service, tmp_path) if not is_setting(name)]
    assert unknown == []


def test_the_image_is_given_settings_that_exist() -> None:
    names = re.findall(rf"\b{PREFIX}\w+(?==)", (DEPLOY / "Dockerfile").read_text())
    assert names
    assert [name for name in names if not is_setting(name)] == []


def test_the_worker_has_all_it_needs(tmp_path: Path) -> None:
    assert read_settings(environment("worker", tmp_path)).missing_for_work() == []


def test_the_web_has_a_source_and_the_same_valkey_as_the_worker(tmp_path: Path) -> None:
    web, worker = (read_settings(environment(name, tmp_path)) for name in ("web", "worker"))
    assert [*web.webhook_secrets] == ["standard"]
    assert web.redis_url == worker.redis_url
    assert web.redis_url is not None


def test_the_web_is_not_told_the_secret_of_halopsa(tmp_path: Path) -> None:
    assert read_settings(environment("web", tmp_path)).halo_client_secret is None


def test_secrets_come_from_files_only() -> None:
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            assert name.endswith("_FILE") or not re.search("SECRET|PASSWORD|TOKEN", name)
    assert not re.search("SECRET|PASSWORD|TOKEN", "".join(assignments((DEPLOY / "compose.env.example").read_text())))
    assert set(COMPOSE["secrets"]) == set(SECRETS)


def test_valkey_keeps_what_was_acknowledged() -> None:
    command = SERVICES["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "always"
    assert options["--no-appendfsync-on-rewrite"] == "no"
    assert options["--maxmemory-policy"] == "noeviction"
    assert SERVICES["valkey"]["volumes"] == ["valkey:/data"]


def test_valkey_is_reached_from_inside_only() -> None:
    assert "ports" not in SERVICES["valkey"]
    assert SERVICES["valkey"]["networks"] == ["store"]
    assert COMPOSE["networks"]["store"] == {"internal": True}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_comes_back_and_has_no_privileges(service: str) -> None:
    options = SERVICES[service]
    assert options["restart"] == "unless-stopped"
    assert options["read_only"] is True
    assert options["cap_drop"] == ["ALL"]
    assert options["security_opt"] == ["no-new-privileges:true"]


def test_the_image_runs_without_root_from_hashed_packages() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^USER (\w+)$", text, re.MULTILINE) == ["parhelion"]
    assert "pip install --require-hashes --requirement requirements.lock" in text


def test_what_the_image_is_built_from_is_enough(tmp_path: Path) -> None:
    for name in re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    assert (tmp_path / "requirements.lock").exists()
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)


def test_the_example_names_the_sandbox_where_it_listens() -> None:
    port = SERVICES["sandbox"]["command"][-1].rpartition(":")[2]
    assert f"# {PREFIX}HALO_URL=http://sandbox:{port}\n" in (DEPLOY / "compose.env.example").read_text()
