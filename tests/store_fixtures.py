"""The databases that every test of the store runs over. More databases are more parameters."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

from app.store.database import open_writer
from app.store.migrate import upgrade
from app.store.store import Store


@pytest.fixture(params=["sqlite"])
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with today's schema."""
    engine = open_writer(tmp_path / "leads.db")
    with engine.connect() as connection:
        upgrade(connection)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        yield connection


@pytest.fixture(params=["sqlite"])
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "leads.db", reserve=0)
    store.open()
    yield store
    store.close()
