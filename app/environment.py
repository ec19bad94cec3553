"""The settings as the environment has them, and everything that is wrong with them at once."""

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from pydantic import ValidationError

from app.errors import ConfigurationError, Mistake
from app.secret_file import find_exposure
from app.settings import NAMES, PREFIX, SECRETS, Settings

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
        *_look_at_secret(found.settings),
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


def _look_at_secret(settings: Settings) -> Iterator[Mistake]:
    secret = settings.secret_key
    if secret is not None and len(secret.get_secret_value()) < 32:
        yield Mistake(
            PREFIX + "SECRET_KEY",
            "",
            "is shorter than 32 characters: who guesses it signs pages and the office's links as this"
            " service does; make one with `openssl rand -base64 32`, and know that repeated leads and earlier pages are"
            " not recognised by another",
        )


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
