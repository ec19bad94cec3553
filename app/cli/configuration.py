"""The configuration of a process: environment and forms file, read together so that every mistake is told."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.environment import Environment, read_environment
from app.errors import ConfigurationError, Mistake
from app.forms.model import Forms, Login, Password
from app.forms.reader import read_forms
from app.forms.warnings import find_warnings
from app.settings import PREFIX, Settings
from app.store.place import Place
from app.store.secret import load_or_make_secret
from app.users import User, Users, find_strangers, read_users


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    settings: Settings
    forms: Forms
    users: Users = field(default_factory=dict)
    warnings: tuple[Mistake, ...] = ()
    """What is allowed and still deserves a second look."""


def read_configuration() -> Configuration:
    """Raises ConfigurationError with the mistakes of all."""
    environment = read_environment()
    settings, mistakes = environment.settings, list(environment.mistakes)
    forms, users = Forms(forms={}), dict[str, User]()
    try:
        forms = read_forms(settings.forms, default_login=_presume_login(environment), environ=os.environ)
    except ConfigurationError as error:
        mistakes += error.mistakes
    try:
        users = dict(reread_users(settings))
    except ConfigurationError as error:
        mistakes += error.mistakes
    if mistakes:
        raise ConfigurationError(mistakes)
    return Configuration(
        settings=settings,
        forms=forms,
        users=users,
        warnings=(
            *environment.warnings,
            *_look_at_who_is_told(settings, forms),
            *find_warnings(forms),
            *find_strangers(users, forms, settings.users),
        ),
    )


def _look_at_who_is_told(settings: Settings, forms: Forms) -> Iterator[Mistake]:
    """A held lead needs a human, and a human needs to know."""
    mail = settings.mail_server is not None
    if not mail and settings.alert_webhook is None:
        told = "is missing: nobody is told when a lead is held or Vitec refuses the login"
        yield Mistake(f"{PREFIX}SMTP_URL", "", told)
    for form in forms.forms.values():
        if mail and not settings.alert_email and not form.destination.office_email:
            told = "is missing, and so is LEADGATE_ALERT_EMAIL: nobody gets the form's held leads by mail"
            yield Mistake(form.source, f"forms.{form.name}.office_email", told)
        if form.receipt and not mail:
            yield Mistake(
                form.source, f"forms.{form.name}.receipt", "has no effect without LEADGATE_SMTP_URL"
            )


def reread_forms(settings: Settings) -> Forms:
    """Raises ConfigurationError."""
    return read_forms(settings.forms, default_login=default_login(settings), environ=os.environ)


def reread_users(settings: Settings) -> Users:
    """A hash from a file is read anew, so that it can be changed without a restart. Raises ConfigurationError."""
    hashed, file = settings.admin_password_hash, settings.files.get("admin_password_hash")
    return read_users(
        settings.users, admin_hash=hashed.get_secret_value() if hashed else None, admin_file=file
    )


def locate_store(settings: Settings) -> Place:
    """Where it is, and what opens what is kept there."""
    return Place(settings.database, tuple(key.get_secret_value() for key in settings.encryption_keys))


def load_secret(settings: Settings) -> bytes:
    """What signs pages and keys digests; made where there is none yet. Raises StoreError."""
    if settings.secret_key:
        return settings.secret_key.get_secret_value().encode()
    assert isinstance(settings.database, Path)  # the settings ask for a key otherwise
    return load_or_make_secret(settings.database, named=settings.named_file)


def default_login(settings: Settings) -> Login | None:
    """The environment's login; None when it names none."""
    if settings.vitec_username is None or settings.vitec_password is None:
        return None
    # From its file it is read anew for each request to Vitec, so that it can be changed without a restart.
    file = settings.files.get("vitec_password")
    password = Password(file=file) if file else Password(value=settings.vitec_password.get_secret_value())
    return Login(
        name="default", username=settings.vitec_username, password=password, base_url=settings.vitec_base_url
    )


def _presume_login(environment: Environment) -> Login | None:
    """Where the login itself is mistaken that is told once, and not again of each form that uses it."""
    mistaken = any(one.source.startswith(_LOGIN) for one in environment.mistakes)
    return _STANDIN if mistaken else default_login(environment.settings)


_LOGIN = (f"{PREFIX}VITEC_USERNAME", f"{PREFIX}VITEC_PASSWORD")
_STANDIN = Login(name="default", username="-", password=Password(value="-"), base_url="https://vitec.invalid")
