"""Which keys have sealed what is kept, and how all of it comes under the newest."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Row,
    Table,
    Text,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)

from app.errors import KeyMissing, StoreError
from app.store.schema import meta, metadata
from app.store.sealed import Sealed, SealedDetail, beginning_of, find_vault
from app.store.turns import take_turns
from app.store.vault import MARK, Vault

_IN_USE = "sealed:"
"""How `meta` names the keys that may have sealed something here."""


def list_sealed_columns(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if isinstance(column.type, Sealed | SealedDetail)]


SEALED = {table.name: table for table in metadata.sorted_tables if list_sealed_columns(table)}
"""The tables that hold personal data."""


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """What came of one batch."""

    done: int
    left: int
    """Rows whose key is not at hand: they stay as they are."""
    after: tuple[Any, ...] | None
    """Where to go on: a table and the last row's key; None when all is done."""


def register_keys(connection: Connection) -> tuple[str, ...]:
    """Notes the key that seals from now on. The names of those that are missing.

    Raises StoreError without any key where some of what is kept is sealed: the rest would be written in the clear.
    """
    take_turns(connection, ["keys"])
    vault = find_vault(connection.dialect)
    missing = find_missing_keys(connection)
    if vault.newest is None and missing:
        raise StoreError(
            f"what is kept is encrypted with key {' and '.join(missing)}; set LEADGATE_ENCRYPTION_KEYS"
        )
    if vault.newest is not None and vault.newest not in _list_known(connection):
        connection.execute(insert(meta).values(name=_IN_USE + vault.newest, value=""))
    return missing


def find_missing_keys(connection: Connection) -> tuple[str, ...]:
    """The names of keys that sealed what is kept, and are not at hand."""
    vault = find_vault(connection.dialect)
    known = [name for name in _list_known(connection) if name not in vault.names]
    return tuple(name for name in known if _is_in_use(connection, name))


def _list_known(connection: Connection) -> list[str]:
    names = connection.execute(select(meta.c.name).where(meta.c.name.startswith(_IN_USE)))
    return sorted(name.removeprefix(_IN_USE) for name in names.scalars())


def _is_in_use(connection: Connection, name: str) -> bool:
    return any(
        connection.execute(select(exists().where(beginning_of(column) == f"{MARK}{name}:"))).scalar_one()
        for table in SEALED.values()
        for column in list_sealed_columns(table)
    )


def count_behind(connection: Connection) -> int:
    """How many rows are not under the newest key; none where there is no key at all."""
    newest = find_vault(connection.dialect).newest
    if newest is None:
        return 0
    return sum(
        connection.execute(
            select(func.count()).select_from(table).where(_is_behind(table, newest))
        ).scalar_one()
        for table in SEALED.values()
    )


def _is_behind(table: Table, newest: str) -> ColumnElement[bool]:
    """Whether anything in the row needs another key, or none."""
    return or_(
        *(beginning_of(column).not_in(("", f"{MARK}{newest}:")) for column in list_sealed_columns(table))
    )


def rekey_batch(connection: Connection, *, after: Sequence[Any] | None, limit: int) -> Rekeyed:
    """Seals the next rows with the newest key. Stopped and begun anew it passes over what is done."""
    vault = find_vault(connection.dialect)
    if vault.newest is None:
        raise StoreError("there is no key to encrypt with; set LEADGATE_ENCRYPTION_KEYS")
    table, last = _find_table(after)
    if table is None:
        _forget_unused(connection, vault)
        return Rekeyed(0, 0, None)
    rows = connection.execute(_select_behind(table, vault.newest, last, limit)).all()
    done = sum(_rekey(connection, table, row, vault) for row in rows)
    full = len(rows) == limit
    reached = tuple(rows[-1][: len(table.primary_key)]) if full else ()
    return Rekeyed(done, len(rows) - done, (table.name, *reached) if full else (table.name, None))


def _find_table(after: Sequence[Any] | None) -> tuple[Table | None, tuple[Any, ...]]:
    """Where to go on: after that row, or with the table after that one."""
    names = list(SEALED)
    if after is None:
        return SEALED[names[0]], ()
    name, *last = after
    if last != [None]:
        return SEALED[name], tuple(last)
    following = names[names.index(name) + 1 :]
    return (SEALED[following[0]], ()) if following else (None, ())


def _select_behind(table: Table, newest: str, last: tuple[Any, ...], limit: int) -> Any:
    keys = list(table.primary_key)
    statement = (
        select(*keys, *(_as_stored(column) for column in list_sealed_columns(table)))
        .where(_is_behind(table, newest))
        .order_by(*keys)
        .limit(limit)
        .with_for_update()  # or what somebody erases meanwhile would be written back
    )
    return statement.where(tuple_(*keys) > tuple_(*last)) if last else statement


def _as_stored(column: Column[Any]) -> Any:
    kind = JSON if isinstance(column.type, SealedDetail) else Text
    return type_coerce(column, kind).label(column.name)


def _rekey(connection: Connection, table: Table, row: Row[Any], vault: Vault) -> bool:
    try:
        opened = dict(_open_all(table, row, vault))
    except KeyMissing:
        return False
    is_row = [column == row[place] for place, column in enumerate(table.primary_key)]
    connection.execute(update(table).where(*is_row).values(opened))
    return True


def _open_all(table: Table, row: Row[Any], vault: Vault) -> Iterator[tuple[str, Any]]:
    for column in list_sealed_columns(table):
        value = row._mapping[column.name]  # noqa: SLF001 - SQLAlchemy's public name for a row's columns
        if not isinstance(value, str):
            yield column.name, value
        else:
            text = vault.open(value)
            yield column.name, json.loads(text) if isinstance(column.type, SealedDetail) else text


def _forget_unused(connection: Connection, vault: Vault) -> None:
    for name in _list_known(connection):
        if name != vault.newest and not _is_in_use(connection, name):
            connection.execute(delete(meta).where(meta.c.name == _IN_USE + name))
