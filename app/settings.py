"""Every knob, with its name and its default. Read once, by cli, and passed on as values."""

import os
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.post import MailServer, read_mail_server
from app.setting_types import (
    SQLITE,
    BaseUrl,
    DatabaseUrl,
    Duration,
    Durations,
    Email,
    FernetKeys,
    MailUrl,
    Networks,
    PasswordHash,
    PublicUrl,
    Rate,
    Webhook,
)

PREFIX = "LEADGATE_"


class Settings(BaseSettings):
    """What the names of the environment mean: `vitec_rate` is LEADGATE_VITEC_RATE."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=False)

    forms: Path = Path("forms.toml")
    database_url: DatabaseUrl = "sqlite:///data/leadgate.db"
    vitec_base_url: BaseUrl = "https://connect.maklare.vitec.net"
    vitec_username: str | None = None
    vitec_password: SecretStr | None = None
    vitec_format: Literal["json", "xml"] = "json"
    vitec_timeout: Duration = timedelta(seconds=30)
    vitec_concurrency: int = Field(default=5, ge=1, le=100)
    vitec_rate: float = Field(default=10, gt=0, le=1000)
    retry_schedule: Durations = tuple(
        timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800)
    )
    reconcile_settle: Duration = timedelta(minutes=15)
    smtp_url: MailUrl | None = None
    alert_email: Email | None = None
    alert_webhook: Webhook | None = None
    heartbeat_url: Webhook | None = None
    public_url: PublicUrl | None = None
    secret_key: SecretStr | None = None
    admin_password_hash: PasswordHash | None = None
    users: Path | None = None
    metrics_token: SecretStr | None = None
    encryption_keys: FernetKeys = ()
    trusted_proxies: Networks = ()
    rate_limit: Rate = "120/minute, 1000/hour"
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
        """SQLite's file, or PostgreSQL's address.

        The file itself, where a link was named: what lies beside it, its lock above all, goes by its name.
        """
        path = self.named_file
        if path is None:
            return self.database_url
        real = Path(os.path.realpath(path))
        # Where a link leads nowhere, its disk is not there: nothing is to be made in its place.
        return real if path.is_symlink() and real.parent.is_dir() else path

    @property
    def named_file(self) -> Path | None:
        """SQLite's file as it was named, perhaps by a link."""
        if not self.database_url.startswith(SQLITE):
            return None
        return Path(self.database_url.removeprefix(SQLITE))


NAMES = {PREFIX + name.upper(): name for name in Settings.model_fields if name != "files"}
"""The settings by their names in the environment."""

SECRETS = frozenset(
    name for name, one in Settings.model_fields.items() if not one.repr or "SecretStr" in repr(one.annotation)
)
"""The settings whose values nobody else may see; a database's address may hold a password."""
