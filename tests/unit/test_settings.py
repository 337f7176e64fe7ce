"""Settings are read whole or refused whole, and never show a secret."""

from pathlib import Path

import pytest

from worker.settings import BadSettings, read_settings


def test_defaults_need_no_environment() -> None:
    settings = read_settings({})

    assert settings.web_bind == ("127.0.0.1", 8080)
    assert settings.data_dir == Path(".parhelion")
    assert settings.webhook_secrets == {}


def test_all_bad_settings_are_named_at_once() -> None:
    with pytest.raises(BadSettings) as refused:
        read_settings(
            {
                "PARHELION_WEB_BIND": "8080",
                "PARHELION_HALO_URL": "halo.example.com",
                "PARHELION_REDIS_URL": "localhost:6379",
                "PARHELION_LOG_FORMAT": "xml",
                "PARHELION_MAX_BODY_BYTES": "many",
                "PARHELION_HALO_CLIENT_SECRET_FILE": "/does/not/exist",
            }
        )

    named = {problem.split(":")[0] for problem in refused.value.problems}
    assert named == {
        "PARHELION_WEB_BIND",
        "PARHELION_HALO_URL",
        "PARHELION_REDIS_URL",
        "PARHELION_LOG_FORMAT",
        "PARHELION_MAX_BODY_BYTES",
        "PARHELION_HALO_CLIENT_SECRET_FILE",
    }


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-file\n")
    settings = read_settings({"PARHELION_HALO_CLIENT_SECRET_FILE": str(tmp_path / "secret")})

    assert settings.halo_client_secret is not None
    assert settings.halo_client_secret.get_secret_value() == "from-file"


def test_a_secret_in_two_places_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one")
    with pytest.raises(BadSettings, match="keep one of them"):
        read_settings(
            {"PARHELION_WEBHOOK_SECRET_TOKEN": "two", "PARHELION_WEBHOOK_SECRET_TOKEN_FILE": str(tmp_path / "secret")}
        )


def test_webhook_secrets_are_lists_for_rotation() -> None:
    settings = read_settings({"PARHELION_WEBHOOK_SECRET_TOKEN": "new, old,", "PARHELION_WEBHOOK_SECRET_STANDARD": ""})

    assert [secret.get_secret_value() for secret in settings.webhook_secrets["token"]] == ["new", "old"]
    assert "standard" not in settings.webhook_secrets


def test_no_secret_is_shown() -> None:
    settings = read_settings(
        {
            "PARHELION_WEBHOOK_SECRET_TOKEN": "hush-1",
            "PARHELION_HALO_CLIENT_SECRET": "hush-2",
            "PARHELION_REDIS_URL": "redis://:hush-3@localhost",
        }
    )

    assert "hush" not in repr(settings)


def test_a_bad_secret_address_is_refused_without_being_shown() -> None:
    with pytest.raises(BadSettings) as refused:
        read_settings({"PARHELION_REDIS_URL": "http://:hush@localhost"})

    assert "hush" not in str(refused.value)


def test_work_without_a_halopsa_is_refused_by_name() -> None:
    settings = read_settings({"PARHELION_HALO_URL": "https://halo.example.com"})

    assert settings.missing_for_work() == [
        "PARHELION_HALO_CLIENT_ID: is not set",
        "PARHELION_HALO_CLIENT_SECRET: is not set",
    ]
