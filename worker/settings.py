"""Settings: the environment, prefix ``PARHELION_``; every secret also as ``…_FILE``."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from worker.errors import ParhelionError

PREFIX: Final = "PARHELION_"
WEBHOOK_SECRET: Final = "WEBHOOK_SECRET_"  # noqa: S105 - a name, not a secret
ALLOWED: Final = "ALLOWED_ADDRESSES_"
ACCOUNTS: Final = "ACCOUNTS_"


class BadSettings(ParhelionError):
    """Settings that stop the start.

    Args:
        problems: one line each, naming the variable.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _web_address(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
        raise ValueError("must be an http:// or https:// address")
    return value.rstrip("/")


def _secret_address(value: SecretStr) -> SecretStr:
    # The address has a query, and is a secret: Teams, Slack and most RMMs let everyone in who knows it.
    _web_address(value.get_secret_value().partition("?")[0])
    return value


def _bind(value: Any) -> Any:
    host, colon, port = str(value).rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the highest port
        raise ValueError("must be host:port, for example 127.0.0.1:8080")
    return host.strip("[]") or "127.0.0.1", int(port)


def _store_address(value: SecretStr) -> SecretStr:
    if not re.match(r"(rediss?|unix)://", value.get_secret_value()):
        raise ValueError("must be a redis://, rediss:// or unix:// address")
    return value


def _networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text.strip(), strict=False) for text in value.split(",") if text.strip()) if value else ()


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Bind = Annotated[tuple[str, int], BeforeValidator(_bind)]


class Settings(BaseModel):
    """What the environment says; a field's name in upper case behind the prefix is its variable."""

    model_config = ConfigDict(frozen=True, validate_default=True)

    redis_url: Annotated[SecretStr, AfterValidator(_store_address)] | None = None
    data_dir: Path = Path(".parhelion")
    config: Path | None = None
    web_bind: Bind = Field(default="127.0.0.1:8080")  # type: ignore[assignment]  # the validator splits it
    public_url: WebAddress | None = None
    trusted_proxies: Networks = ()
    deliveries_per_second: float | None = Field(default=None, gt=0)
    allowed_addresses: Mapping[str, Networks] = Field(default_factory=dict)
    accounts: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    worker_slots: int = Field(default=20, ge=1, le=200)
    halo_url: WebAddress | None = None
    halo_auth_url: WebAddress | None = None
    halo_tenant: str | None = None
    halo_client_id: str | None = None
    halo_client_secret: SecretStr | None = None
    halo_scope: str = "all"
    halo_budget_requests: int = Field(default=250, ge=1)
    halo_budget_window_s: float = Field(default=300, ge=1)
    halo_closer_agent_id: int | None = Field(default=None, ge=1)
    halo_dialect: Literal["v2", "guide"] = "v2"
    hubspot_token: SecretStr | None = None
    hubspot_url: WebAddress | None = None
    hubspot_api_version: str | None = None
    pipedrive_token: SecretStr | None = None
    pipedrive_domain: str | None = None
    pipedrive_url: WebAddress | None = None
    salesforce_url: WebAddress | None = None
    salesforce_client_id: str | None = None
    salesforce_client_secret: SecretStr | None = None
    salesforce_api_version: str | None = None
    dynamics_url: WebAddress | None = None
    dynamics_tenant: str | None = None
    dynamics_client_id: str | None = None
    dynamics_client_secret: SecretStr | None = None
    dynamics_login_url: WebAddress | None = None
    dynamics_api_version: str | None = None
    zoho_client_id: str | None = None
    zoho_client_secret: SecretStr | None = None
    zoho_refresh_token: SecretStr | None = None
    zoho_url: WebAddress | None = None
    zoho_accounts_url: WebAddress | None = None
    zoho_api_version: str | None = None
    channel_zoho: int | None = Field(default=None, ge=1)
    webhook_secrets: Mapping[str, tuple[SecretStr, ...]] = Field(default_factory=dict)
    alert_url: Annotated[SecretStr, AfterValidator(_secret_address)] | None = None
    alert_secret: SecretStr | None = None
    rmm_webhook_url: Annotated[SecretStr, AfterValidator(_secret_address)] | None = None
    retention_days: int = Field(default=90, ge=1, le=365)
    allow_data_loss: bool = False

    def missing_for_work(self) -> list[str]:
        """Name what a worker needs and is not set."""
        needed = ("halo_url", "halo_client_id", "halo_client_secret")
        return [f"{PREFIX}{name.upper()}: is not set" for name in needed if getattr(self, name) is None]


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        BadSettings: with every problem at once.
    """
    values, problems = _read_files(
        {name.removeprefix(PREFIX): text for name, text in environ.items() if name.startswith(PREFIX)}
    )
    fields: dict[str, Any] = {
        name: values[name.upper()] for name in Settings.model_fields if values.get(name.upper(), "") != ""
    }
    fields["webhook_secrets"] = _parts_by_source(values, WEBHOOK_SECRET)
    fields["accounts"] = _parts_by_source(values, ACCOUNTS)
    fields["allowed_addresses"] = dict(_by_source(values, ALLOWED))
    try:
        settings = Settings.model_validate(fields)
    except ValidationError as error:
        problems += [_problem(detail) for detail in error.errors(include_input=False, include_url=False)]
        raise BadSettings(problems) from None
    if problems:
        raise BadSettings(problems)
    return settings


def _by_source(values: Mapping[str, str], prefix: str) -> Iterator[tuple[str, str]]:
    """Give the settings that there are for each source, by the source's name."""
    found = ((name.removeprefix(prefix).lower(), text) for name, text in values.items() if name.startswith(prefix))
    return ((source, text) for source, text in found if text.strip())


def _parts_by_source(values: Mapping[str, str], prefix: str) -> dict[str, tuple[str, ...]]:
    """Give the settings that are lists; one of nothing but commas is not set."""
    found = ((source, (part.strip() for part in text.split(","))) for source, text in _by_source(values, prefix))
    lists = {source: tuple(part for part in parts if part) for source, parts in found}
    return {source: parts for source, parts in lists.items() if parts}


def _read_files(values: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Replace each ``NAME_FILE`` by ``NAME`` with the file's content."""
    read, problems = dict(values), []
    for name in [name for name in values if name.endswith("_FILE")]:
        plain = name.removesuffix("_FILE")
        if plain in values:
            problems.append(f"{PREFIX}{name}: {PREFIX}{plain} is set too; keep one of them")
        try:
            read[plain] = Path(read.pop(name)).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{PREFIX}{name}: cannot be read: {error}")
    return read, problems


def _problem(detail: Any) -> str:
    name = "_".join(str(part) for part in detail["loc"] if isinstance(part, str) and part.islower())
    return f"{PREFIX}{name.upper()}: {detail['msg'].removeprefix('Value error, ')}"
