"""Many rows, or many values, in one statement: the interpreter's lock is given up once a batch, and not once a row."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, Table, Text, any_, bindparam, func, insert, select

# Statements of one, two, four ... rows are few enough for the driver to keep them prepared.
_LARGEST = 64


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """The rows all name the same columns. Raises what a plain insert would, for all of them together."""
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        connection.execute(insert(table), list(rows))
        return
    names = tuple(rows[0])
    processors = [
        table.c[name].type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
        for name in names
    ]
    written = [
        process(row[name]) if process else row[name]
        for row in rows
        for name, process in zip(names, processors, strict=True)
    ]
    first, size = 0, _LARGEST
    while first < len(rows):
        while size > len(rows) - first:
            size //= 2
        values = tuple(written[first * len(names) : (first + size) * len(names)])
        connection.exec_driver_sql(_write_insert(table, names, size), values)
        first += size


@lru_cache(maxsize=64)
def _write_insert(table: Table, names: tuple[str, ...], size: int) -> str:
    row = f"({', '.join('?' * len(names))})"
    # The names are the schema's own.
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {', '.join([row] * size)}"  # noqa: S608


def is_among(
    connection: Connection, column: ColumnElement[str], values: Collection[str]
) -> ColumnElement[bool]:
    """Whether it is one of many. They are one parameter: a list is compiled each time, and ends at 65,535."""
    if connection.dialect.name != "sqlite":
        return column == any_(bindparam(None, sorted(values), type_=ARRAY(Text)))
    text = bindparam(None, json.dumps(sorted(values)), type_=Text)
    return column.in_(select(func.json_each(text).table_valued("value").c.value))
