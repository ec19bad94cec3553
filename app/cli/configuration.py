"""The configuration of a process: environment and forms file, read together so that every mistake is told."""

import os
from dataclasses import dataclass
from pathlib import Path

from app.errors import ConfigurationError, Mistake
from app.forms.model import Forms, Login, Password
from app.forms.reader import read_forms
from app.settings import PREFIX, Settings, read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    settings: Settings
    forms: Forms


def read_configuration() -> Configuration:
    """Raises ConfigurationError with the mistakes of both."""
    mistakes: list[Mistake] = []
    settings: Settings | None = None
    try:
        settings = read_settings()
    except ConfigurationError as error:
        mistakes += error.mistakes
    # With the environment in disorder the forms are read all the same, for what is wrong in them.
    path = settings.forms if settings else Path(os.environ.get(PREFIX + "FORMS", "forms.toml"))
    login = default_login(settings) if settings else _STANDIN
    try:
        forms = read_forms(path, default_login=login, environ=os.environ)
    except ConfigurationError as error:
        mistakes += error.mistakes
    if mistakes or settings is None:
        raise ConfigurationError(mistakes)
    return Configuration(settings=settings, forms=forms)


def reread_forms(settings: Settings) -> Forms:
    """Raises ConfigurationError."""
    return read_forms(settings.forms, default_login=default_login(settings), environ=os.environ)


_STANDIN = Login(
    name="default", username="-", password=Password(value="-"), base_url="https://connect.maklare.vitec.net"
)


def default_login(settings: Settings) -> Login | None:
    """The environment's login; None when it names none."""
    if settings.vitec_username is None or settings.vitec_password is None:
        return None
    password = (
        Password(file=settings.vitec_password_file)
        if settings.vitec_password_file
        else Password(value=settings.vitec_password.get_secret_value())
    )
    return Login(
        name="default", username=settings.vitec_username, password=password, base_url=settings.vitec_base_url
    )
