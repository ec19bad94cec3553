"""Who may open the admin pages, and which customers' leads each of them sees."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError, Mistake
from app.forms.findings import suggest
from app.forms.model import Forms
from app.passwords import check_hash
from app.secret_file import find_exposure

ADMIN = "admin"
"""The user of LEADGATE_ADMIN_PASSWORD_HASH, who sees everything."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_KEYS = ("password_hash", "customers")
_ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    name: str
    password_hash: str = field(repr=False)
    customers: frozenset[str] | None = None
    """Vitec's customer ids; None for all."""

    def sees(self, customer_id: str) -> bool:
        return self.customers is None or customer_id in self.customers


Users = Mapping[str, User]
"""By name."""


class LiveUsers:
    """What everybody asks for the current users, so that a reload ends a session whose password has changed."""

    def __init__(self, users: Users | None = None) -> None:
        self.current: Users = users or {}


def read_users(path: Path | None, *, admin_hash: str | None = None, admin_file: Path | None = None) -> Users:
    """Raises ConfigurationError with every mistake. Hashes are never repeated.

    `admin_file` holds the admin's hash, and may hold another than it did at the start.
    """
    mistakes: list[Mistake] = []
    if admin_file:
        admin_hash = _read_hash(admin_file, mistakes)
    admin = [User(name=ADMIN, password_hash=admin_hash)] if admin_hash else []
    named = _read_file(path, mistakes) if path else []
    if mistakes:
        raise ConfigurationError(mistakes)
    return {user.name: user for user in (*admin, *named)}


def _read_hash(path: Path, mistakes: list[Mistake]) -> str | None:
    try:
        hashed, exposure = check_hash(path.read_text(encoding="utf-8").strip()), find_exposure(path)
        if exposure is None:
            return hashed
        message = f"names a file that {exposure}"
    except OSError as error:
        message = f"names a file that cannot be read: {error.strerror}"
    except ValueError:
        message = "names a file without an Argon2 hash in it; make one with `leadgate hash-password`"
    mistakes.append(Mistake("LEADGATE_ADMIN_PASSWORD_HASH_FILE", "", message))
    return None


def find_strangers(users: Users, forms: Forms, source: Path | None) -> Iterator[Mistake]:
    """Customers that a user is to see and no form has: a slip of the pen, as a rule."""
    known = {one for form in forms.forms.values() for one in forms.customers(form)}
    for user in users.values():
        for customer_id in sorted((user.customers or frozenset()) - known):
            yield Mistake(
                str(source),
                f"users.{user.name}.customers",
                f"no form brings leads to {customer_id}.{suggest(customer_id, known)}",
            )


def _read_file(path: Path, mistakes: list[Mistake]) -> list[User]:
    source = str(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        if exposure := find_exposure(path):
            mistakes.append(Mistake(source, "", exposure))
    except OSError as error:
        mistakes.append(Mistake(source, "", f"cannot be read: {error.strerror}"))
        return []
    except UnicodeDecodeError:
        mistakes.append(Mistake(source, "", "is no UTF-8 text; save it as UTF-8"))
        return []
    except tomllib.TOMLDecodeError as error:
        mistakes.append(Mistake(source, "", f"is not valid TOML: {error}"))
        return []
    mistakes += [Mistake(source, key, message) for key, message in _find_mistakes(content)]
    return [] if mistakes else [_build(name, entry) for name, entry in content["users"].items()]


def _find_mistakes(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in content:
        if key != "users":
            yield key, "is unknown; each user is a [users.NAME]"
    users = content.get("users")
    if not isinstance(users, dict) or not users:
        yield "users", "names nobody; write a [users.NAME] with password_hash and customers"
        return
    for name, entry in users.items():
        place = f"users.{name}"
        if not _NAME.fullmatch(name):
            yield place, "must be 1 to 40 lower-case letters, digits, dots, hyphens or underscores"
        if name == ADMIN:
            yield place, "is LEADGATE_ADMIN_PASSWORD_HASH's; choose another name"
        if not isinstance(entry, dict):
            yield place, "must be a table with password_hash and customers"
            continue
        for key in entry:
            if key not in _KEYS:
                yield f"{place}.{key}", f"is unknown.{suggest(key, _KEYS)}"
        yield from _find_mistakes_of_one(place, entry)


def _find_mistakes_of_one(place: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    hashed = entry.get("password_hash")
    try:
        check_hash(hashed if isinstance(hashed, str) else "")
    except ValueError as error:
        yield f"{place}.password_hash", str(error)
    customers = entry.get("customers")
    listed = (
        isinstance(customers, list) and customers and all(isinstance(one, str) and one for one in customers)
    )
    if customers != _ALL and not listed:
        yield f"{place}.customers", 'must be a list such as ["M12345"], or "all"'


def _build(name: str, entry: Mapping[str, Any]) -> User:
    customers = entry["customers"]
    return User(
        name=name,
        password_hash=entry["password_hash"],
        customers=None if customers == _ALL else frozenset(customers),
    )
