"""Every knob, read once from the environment by cli and passed on as values."""

import io
import os
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.errors import ConfigurationError, Mistake
from app.passwords import check_hash
from app.post import MailServer, read_address, read_mail_server
from app.rates import check_rate
from app.secret_file import find_exposure

PREFIX = "LEADGATE_"

Network = IPv4Network | IPv6Network

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _parse_duration(text: str) -> timedelta:
    """`90s`, `15m`, `8h`, `30d`, or a bare number of seconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("is no duration; write 30s, 15m, 8h or 30d")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2] or "s"])


def _check_duration(value: timedelta) -> timedelta:
    if not timedelta() < value < timedelta(days=3650):
        raise ValueError("must be longer than nothing and shorter than ten years, such as 15m")
    return value


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse_networks(text: str) -> list[Network]:
    return [ip_network(part, strict=False) for part in _split(text)]


def _split_address(value: str) -> SplitResult | None:
    """None for what is no http(s) address of a host alone, at most with a path."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    clean = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts if usable and clean and not re.search(r"\s", value) else None


def _check_base_url(value: str) -> str:
    parts = _split_address(value)
    if parts is None:
        raise ValueError(
            "must be an address such as https://connect.maklare.vitec.net, without login, query or fragment"
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must begin with https://, or the password would travel in the clear")
    return value.rstrip("/")


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _check_public_url(value: str) -> str:
    if _split_address(value) is None:
        raise ValueError("must be how visitors reach this service, such as https://forms.example.se")
    return value.rstrip("/")


def _check_webhook(value: SecretStr) -> SecretStr:
    """Such addresses hold a secret: what is wrong is not repeated."""
    address = value.get_secret_value()
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", address):
        raise ValueError("must be an address such as https://hooks.example.se/alerts")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must begin with https://; http is for this machine alone")
    return value


def _check_mail_server(value: SecretStr) -> SecretStr:
    read_mail_server(value.get_secret_value())
    return value


def _check_email(value: str) -> str:
    return read_address(value.strip()).addr_spec


_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgresql+psycopg://")


def _check_database_url(value: str) -> str:
    """What is wrong is not repeated: it may hold a password."""
    if value.startswith(_POSTGRESQL):
        try:
            parts = urlsplit(value)
            named = parts.port != 0 and parts.path.strip("/")
        except ValueError:
            named = ""
        if not named:
            raise ValueError("must name a database, such as postgresql://user:password@host:5432/leadgate")
    elif not value.startswith(_SQLITE) or value.endswith("/"):
        raise ValueError("must be sqlite:///path/to/leadgate.db or postgresql://user:password@host/database")
    return value


def _check_password_hash(value: SecretStr) -> SecretStr:
    check_hash(value.get_secret_value())
    return value


Webhook = Annotated[SecretStr, AfterValidator(_check_webhook)]


def _check_fernet_key(key: SecretStr) -> SecretStr:
    """What is wrong is not repeated. Told here, not by the library: it is imported where there is something to seal."""
    try:
        whole = len(urlsafe_b64decode(key.get_secret_value())) == 32
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(
            "is no Fernet key, which is 32 random bytes in URL-safe base64 (44 characters); make one with "
            "`openssl rand -base64 32 | tr +/ -_`"
        )
    return key


FernetKey = Annotated[SecretStr, AfterValidator(_check_fernet_key)]

Duration = Annotated[timedelta, BeforeValidator(_parse_duration), AfterValidator(_check_duration)]


class Settings(BaseSettings):
    """What the names of the environment mean: `vitec_rate` is LEADGATE_VITEC_RATE."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=False)

    forms: Path = Path("forms.toml")
    database_url: Annotated[str, AfterValidator(_check_database_url), Field(repr=False)] = (
        "sqlite:///data/leadgate.db"
    )
    vitec_base_url: Annotated[str, AfterValidator(_check_base_url)] = "https://connect.maklare.vitec.net"
    vitec_username: str | None = None
    vitec_password: SecretStr | None = None
    vitec_format: Literal["json", "xml"] = "json"
    vitec_timeout: Duration = timedelta(seconds=30)
    vitec_concurrency: int = Field(default=5, ge=1, le=100)
    vitec_rate: float = Field(default=10, gt=0, le=1000)
    retry_schedule: Annotated[tuple[Duration, ...], BeforeValidator(_split), Field(min_length=1)] = tuple(
        timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800)
    )
    reconcile_settle: Duration = timedelta(minutes=15)
    smtp_url: Annotated[SecretStr, AfterValidator(_check_mail_server)] | None = None
    alert_email: Annotated[str, AfterValidator(_check_email)] | None = None
    alert_webhook: Webhook | None = None
    heartbeat_url: Webhook | None = None
    public_url: Annotated[str, AfterValidator(_check_public_url)] | None = None
    secret_key: SecretStr | None = None
    admin_password_hash: Annotated[SecretStr, AfterValidator(_check_password_hash)] | None = None
    users: Path | None = None
    metrics_token: SecretStr | None = None
    encryption_keys: Annotated[tuple[FernetKey, ...], BeforeValidator(_split)] = ()
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_parse_networks)] = ()
    rate_limit: Annotated[str, AfterValidator(check_rate)] = "120/minute, 1000/hour"
    log_format: Literal["json", "console"] | None = None
    files: Mapping[str, Path] = Field(default_factory=dict)
    """The files that NAME_FILE named, by name of the setting: a password is read from its file at each use."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What `read_environment` found, and nothing behind its back: it knows NAME_FILE, and tells every mistake."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @cached_property
    def mail_server(self) -> MailServer | None:
        return read_mail_server(self.smtp_url.get_secret_value()) if self.smtp_url else None

    @cached_property
    def database(self) -> Path | str:
        """SQLite's file, or PostgreSQL's address."""
        if self.database_url.startswith(_SQLITE):
            return Path(self.database_url.removeprefix(_SQLITE))
        return self.database_url


NAMES = {PREFIX + name.upper(): name for name in Settings.model_fields if name != "files"}
"""The settings by their names in the environment."""

SECRETS = frozenset(
    name for name, one in Settings.model_fields.items() if not one.repr or "SecretStr" in repr(one.annotation)
)
"""The settings whose values nobody else may see; a database's address may hold a password."""

DOTENV = Path(".env")


@dataclass(slots=True)
class Environment:
    """The names that begin with LEADGATE_, and what is wrong with them. A process's own go before `.env`."""

    settings: Settings = field(default_factory=Settings)
    """What is wrong stands at its default here."""
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)


def read_settings() -> Settings:
    """Raises ConfigurationError with every mistake. Values are never repeated: some are secrets."""
    environment = read_environment()
    if environment.mistakes:
        raise ConfigurationError(environment.mistakes)
    return environment.settings


def read_environment(process: Mapping[str, str] = os.environ, *, dotenv: Path = DOTENV) -> Environment:
    found = Environment()
    given: dict[str, Any] = {}
    files: dict[str, Path] = {}
    sources = (process, _read_dotenv(dotenv, found.mistakes))
    for name, setting in NAMES.items():
        for source in sources:
            value, path = source.get(name), source.get(f"{name}_FILE")
            if value and path:
                found.mistakes.append(Mistake(name, "", f"is set beside {name}_FILE; keep one of the two"))
            elif path:
                files[setting] = Path(path)
                value = _read_value(f"{name}_FILE", files[setting], found.mistakes, secret=setting in SECRETS)
            if value:
                given[setting] = value
            if value or path:
                break
    found.mistakes += _check_login(sources)
    found.settings = _build(given, files, found.mistakes)
    found.mistakes += [*_check_secret(found.settings, given), *_check_sender(found.settings)]
    found.warnings += [
        *_look_at_dotenv(dotenv, sources[1]),
        *_find_typos(sources),
        *_look_at_proxies(found.settings),
        *_look_at_times(found.settings),
        *_look_at_mail(found.settings),
    ]
    return found


def _read_dotenv(path: Path, mistakes: list[Mistake]) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(Mistake(str(path), "", f"cannot be read: {_explain(error)}"))
        return {}
    names = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            mistakes.append(Mistake(str(path), f"line {binding.original.line}", "is not NAME=value"))
        elif binding.key:
            names[binding.key] = binding.value or ""
    return names


def _look_at_dotenv(path: Path, names: Mapping[str, str]) -> Iterator[Mistake]:
    """A warning only: such files are made for trying things out, with an editor that knows no modes."""
    if any(names.get(name) for name, setting in NAMES.items() if setting in SECRETS):
        exposure = find_exposure(path)
        if exposure:
            yield Mistake(str(path), "", f"holds a secret and {exposure}")


def _read_value(name: str, path: Path, mistakes: list[Mistake], *, secret: bool) -> str | None:
    try:
        value = path.read_text(encoding="utf-8").rstrip("\r\n")
        exposure = find_exposure(path) if secret else None
    except (OSError, UnicodeDecodeError) as error:
        # The path is not repeated: a secret may have been written where its file belongs.
        mistakes.append(Mistake(name, "", f"names a file that cannot be read: {_explain(error)}"))
        return None
    if not value:
        mistakes.append(Mistake(name, "", "names an empty file"))
    elif exposure:
        mistakes.append(Mistake(name, "", f"names a file that {exposure}"))
    return value


def _explain(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "it is no UTF-8 text"


def _check_login(sources: tuple[Mapping[str, str], ...]) -> Iterator[Mistake]:
    halves = [PREFIX + "VITEC_USERNAME", PREFIX + "VITEC_PASSWORD"]
    missing = [one for one in halves if not any(at.get(one) or at.get(f"{one}_FILE") for at in sources)]
    if len(missing) == 1:
        yield Mistake(missing[0], "", "is missing; the other half of the login is set")


def _check_secret(settings: Settings, given: Mapping[str, object]) -> Iterator[Mistake]:
    if isinstance(settings.database, str) and "secret_key" not in given:
        yield Mistake(
            PREFIX + "SECRET_KEY",
            "",
            "is required with PostgreSQL: the same random text, at least 32 characters, on every machine",
        )


def _check_sender(settings: Settings) -> Iterator[Mistake]:
    server = settings.mail_server
    if server is not None and server.sender is None and settings.alert_email is None:
        yield Mistake(
            PREFIX + "SMTP_URL",
            "",
            "names no sender; add ?from=leads@example.se, or set LEADGATE_ALERT_EMAIL, which is used otherwise",
        )


def _build(given: dict[str, Any], files: dict[str, Path], mistakes: list[Mistake]) -> Settings:
    try:
        return Settings(**given, files=files)
    except ValidationError as error:
        found: list[dict[str, Any]] = [dict(one) for one in error.errors(include_input=False)]
    mistakes += [_describe(one) for one in found]
    wrong = {one["loc"][0] for one in found}
    return Settings(**{name: value for name, value in given.items() if name not in wrong}, files=files)


def _describe(error: dict[str, Any]) -> Mistake:
    setting, *rest = error["loc"]
    place = next((f"part {index + 1}" for index in rest if isinstance(index, int)), "")
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return Mistake(PREFIX + str(setting).upper(), place, message)


def _find_typos(sources: tuple[Mapping[str, str], ...]) -> Iterator[Mistake]:
    known = {name.removeprefix(PREFIX) for name in NAMES}
    for name in sorted({name for source in sources for name in source if name.startswith(PREFIX)}):
        word = name.removeprefix(PREFIX).removesuffix("_FILE")
        if word not in known and (near := get_close_matches(word, sorted(known), n=1, cutoff=0.7)):
            yield Mistake(name, "", f"is no setting. Did you mean {PREFIX}{near[0]}?")


def _look_at_proxies(settings: Settings) -> Iterator[Mistake]:
    if (settings.public_url or "").startswith("https://") and not settings.trusted_proxies:
        yield Mistake(
            PREFIX + "TRUSTED_PROXIES",
            "",
            "is not set, though LEADGATE_PUBLIC_URL is https, for which a proxy must stand in front: all visitors"
            " will seem to come from it, and share one limit; name its network, such as 127.0.0.1",
        )


def _look_at_mail(settings: Settings) -> Iterator[Mistake]:
    if settings.mail_server is None:
        if settings.alert_email:
            yield Mistake(PREFIX + "ALERT_EMAIL", "", "has no effect without LEADGATE_SMTP_URL")
    elif settings.public_url is None:
        told = "is missing: mail to the office has no links by which an agent settles a held lead"
        yield Mistake(PREFIX + "PUBLIC_URL", "", told)


def _look_at_times(settings: Settings) -> Iterator[Mistake]:
    if settings.reconcile_settle < settings.vitec_timeout:
        yield Mistake(
            PREFIX + "RECONCILE_SETTLE",
            "",
            "is shorter than LEADGATE_VITEC_TIMEOUT: Vitec may still be at work on a lead that is looked for",
        )
