"""Which of the two databases a test is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Connection, Engine, func, make_url, select

from app.store import postgresql
from app.store.migrate import upgrade
from app.store.place import Place
from app.store.schema import leads
from app.store.sqlite import open_writer
from app.store.store import Store

BOTH = ("sqlite", "postgresql")

only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""For what is about a file, or about how SQLite is asked."""
in_a_file = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""The same, for tests of a whole store."""


def open_postgresql(url: str) -> Engine:
    return postgresql.open_writer(make_url(url).set(drivername="postgresql+psycopg"))


def lay_out(path: Path) -> Path:
    """A SQLite file with today's schema, where there is none yet: eight migrations take a sixth of a second."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_make_empty())
    return path


@cache
def _make_empty() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        engine = open_writer(path)
        with engine.connect() as connection:
            upgrade(connection)
        engine.dispose()
        return path.read_bytes()


@contextmanager
def opened(place: Place | Path | str) -> Iterator[Store]:
    store = Store(place)
    store.open()
    try:
        yield store
    finally:
        store.close()


def count_leads(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(leads)).scalar_one()
