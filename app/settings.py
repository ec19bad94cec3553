"""Every knob, read once from the environment by main and cli and passed on as values."""

import os
import re
from datetime import timedelta
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.sources import PydanticBaseSettingsSource

from app.errors import ConfigurationError, Mistake

PREFIX = "LEADGATE_"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> object:
    """`90s`, `15m`, `8h`, `30d`, or a bare number of seconds. Raises ValueError for anything else."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return timedelta(seconds=float(text))
    if match := _DURATION.fullmatch(text):
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    raise ValueError("is no duration; write 30s, 15m, 8h or 30d")


def _more_than_nothing(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise ValueError("must be longer than nothing, such as 15m")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_more_than_nothing)]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def check_base_url(value: str) -> str:
    """An address of Vitec's: https, except on loopback. Without a trailing slash. Raises ValueError."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is no address; write https://connect.maklare.vitec.net")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must begin with https://, or the password would travel in the clear")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be scheme, host and at most a path: no login, query or fragment")
    return value.rstrip("/")


def _check_database_url(value: str) -> str:
    if not value.startswith("sqlite:///") or value == "sqlite:///":
        raise ValueError("must be sqlite:///path/to/leadgate.db")
    return value


def _check_public_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be how visitors reach this service, such as https://forms.example.se")
    return value.rstrip("/")


Network = IPv4Network | IPv6Network


def _parse_networks(value: object) -> object:
    parts = _split(value)
    return [ip_network(part, strict=False) for part in parts] if isinstance(parts, list) else parts


class Settings(BaseSettings):
    """The environment, `.env`, and for each name `NAME_FILE` holding the value."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    forms: Path = Path("forms.toml")
    database_url: Annotated[str, AfterValidator(_check_database_url)] = "sqlite:///data/leadgate.db"
    vitec_base_url: Annotated[str, AfterValidator(check_base_url)] = "https://connect.maklare.vitec.net"
    vitec_username: str | None = None
    vitec_password: SecretStr | None = None
    vitec_password_file: Path | None = None
    """Read anew for each request to Vitec, so that the password can be changed without a restart."""
    vitec_format: Literal["json", "xml"] = "json"
    vitec_timeout: Duration = timedelta(seconds=30)
    vitec_concurrency: int = Field(default=5, ge=1, le=100)
    vitec_rate: float = Field(default=10, gt=0)
    retry_schedule: Annotated[tuple[Duration, ...], BeforeValidator(_split), Field(min_length=1)] = tuple(
        timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800)
    )
    reconcile_settle: Duration = timedelta(minutes=15)
    public_url: Annotated[str, AfterValidator(_check_public_url)] | None = None
    secret_key: SecretStr | None = None
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_parse_networks)] = ()
    log_format: Literal["json", "console"] | None = None

    @cached_property
    def database_path(self) -> Path:
        return Path(self.database_url.removeprefix("sqlite:///"))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del file_secret_settings  # a directory of secrets; ours are named one by one
        return (
            init_settings,
            _WithFiles(settings_cls, env_settings),
            _WithFiles(settings_cls, dotenv_settings),
        )


class _WithFiles(PydanticBaseSettingsSource):
    """Adds `NAME_FILE` to a source of names, and keeps comma lists from being read as JSON."""

    def __init__(self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        assert isinstance(source, EnvSettingsSource | DotEnvSettingsSource)
        self._names = {name.upper(): value for name, value in source.env_vars.items()}

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        del field
        name = PREFIX + field_name.upper()
        value = self._names.get(name)
        path = self._names.get(f"{name}_FILE")
        if value and path:
            raise ConfigurationError([Mistake(name, "", f"is set beside {name}_FILE; keep one of the two")])
        return (_read(f"{name}_FILE", Path(path)) if path else value or None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        mistakes: list[Mistake] = []
        for field_name, field in self.settings_cls.model_fields.items():
            try:
                value, _, _ = self.get_field_value(field, field_name)
            except ConfigurationError as error:
                mistakes += error.mistakes
                continue
            if value is not None:
                found[field_name] = value
        if mistakes:
            raise ConfigurationError(mistakes)
        return found


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigurationError([Mistake(name, "", f"cannot be read: {path}: {reason}")]) from None


def read_settings(**given: Any) -> Settings:
    """The settings of this process; what is given goes before the environment, the environment before .env.

    Raises ConfigurationError with every mistake. Values are never repeated: some are secrets.
    """
    try:
        settings = Settings(_env_file=os.environ.get("LEADGATE_ENV_FILE", ".env"), **given)
    except ValidationError as error:
        raise ConfigurationError([_mistake(dict(one)) for one in error.errors(include_input=False)]) from None
    half = settings.vitec_username is None, settings.vitec_password is None
    if half in {(True, False), (False, True)}:
        missing = "VITEC_USERNAME" if half[0] else "VITEC_PASSWORD"
        raise ConfigurationError(
            [Mistake(PREFIX + missing, "", "is missing; the other half of the login is set")]
        )
    return settings


def _mistake(error: dict[str, Any]) -> Mistake:
    name, *rest = error["loc"]
    message = str(error["msg"]).removeprefix("Value error, ")
    return Mistake(PREFIX + str(name).upper(), ".".join(str(part) for part in rest), message)
