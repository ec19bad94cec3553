"""Columns whose content is sealed on its way into a database, and opened on its way out."""

import json
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import JSON, ColumnElement, Dialect, Engine, String, Text, cast, func
from sqlalchemy.types import TypeDecorator

from app.errors import KeyMissing
from app.store.vault import PREFIX, Vault

# Each engine has a dialect of its own, and that is all a column's type is told of where it stands.
_vaults: WeakKeyDictionary[Dialect, Vault] = WeakKeyDictionary()
_WITHOUT_KEYS = Vault()


def entrust(engine: Engine, vault: Vault | None) -> None:
    """What this engine writes to sealed columns is the vault's. To be said before its first statement."""
    _vaults[engine.dialect] = vault or _WITHOUT_KEYS


def find_vault(dialect: Dialect) -> Vault:
    return _vaults.get(dialect, _WITHOUT_KEYS)


class Sealed(TypeDecorator[str]):
    """A text. Reading one that is sealed with a key that is not at hand raises KeyMissing."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        """None without keys: accepting a lead then costs what it would without this type."""
        vault = find_vault(dialect)
        if vault.newest is None:
            return None
        return lambda value: vault.seal(value) if value else value

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else find_vault(dialect).open(value)


class SealedRemark(Sealed):
    """A text beside the matter: one that cannot be opened says so, and keeps nobody from reading the rest."""

    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        try:
            return super().process_result_value(value, dialect)
        except KeyMissing as error:
            return f"({error})"


class SealedDetail(TypeDecorator[Any]):
    """A JSON object, the remarks of an event; sealed it is a JSON string."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        vault = find_vault(dialect)
        if not value or vault.newest is None:
            return value
        return vault.seal(json.dumps(value, ensure_ascii=False))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(find_vault(dialect).open(value))
        except KeyMissing as error:
            return {"detail": f"({error})"}


def beginning_of(column: ColumnElement[Any]) -> ColumnElement[str]:
    """As much of what stands in the database as names the key that sealed it; empty where nothing needs one."""
    stored: ColumnElement[Any] = cast(column, Text)
    if isinstance(column.type, SealedDetail):
        stored = func.replace(func.ltrim(stored, '"'), "{}", "")
    return func.substr(func.coalesce(stored, ""), 1, PREFIX, type_=String)
