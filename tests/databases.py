"""Which of the two databases a test is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, make_url, select

from app.store import postgresql
from app.store.schema import leads
from app.store.store import Store

BOTH = ("sqlite", "postgresql")

only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""For what is about a file, or about how SQLite is asked."""
in_a_file = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""The same, for tests of a whole store."""


def open_postgresql(url: str) -> Engine:
    return postgresql.open_writer(make_url(url).set(drivername="postgresql+psycopg"))


@contextmanager
def opened(place: Path | str) -> Iterator[Store]:
    store = Store(place)
    store.open()
    try:
        yield store
    finally:
        store.close()


def count_leads(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(leads)).scalar_one()
