"""Many rows in one statement: the interpreter's lock is given up once a batch, and not once a row."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Insert, Table, Text, bindparam, func, insert, select

_NUL = "\\u0000"


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
        [
            process(row[name]) if process else row[name]
            for name, process in zip(names, processors, strict=True)
        ]
        for row in rows
    ]
    text = json.dumps(written, ensure_ascii=False)
    if _NUL in text:  # SQLite ends a text of JSON there
        connection.execute(insert(table), list(rows))
    else:
        connection.execute(_insert_from_json(table, names), {"rows": text})


@lru_cache(maxsize=64)
def _insert_from_json(table: Table, names: tuple[str, ...]) -> Insert:
    """Of a JSON array of arrays, whose members SQLite reads with the types that JSON gives them."""
    row = func.json_each(bindparam("rows", type_=Text)).table_valued("value").c.value
    values = (func.json_extract(row, f"$[{place}]") for place in range(len(names)))
    return insert(table).from_select(names, select(*values))
