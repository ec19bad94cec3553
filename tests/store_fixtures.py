"""The databases that every test of the store runs over. More databases are more parameters."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, delete, text

from app.store.migrate import upgrade
from app.store.schema import metadata
from app.store.sqlite import open_writer
from app.store.store import Store
from tests.databases import BOTH, lay_out, open_postgresql
from tests.deliveries import placing_stores
from tests.postgresql import Server, run_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    with run_server() as server:
        yield server


@pytest.fixture(scope="session")
def shared(postgresql: Server) -> str:
    """The address of a PostgreSQL store that many tests use in turn: a new one takes a second."""
    url = postgresql.create()
    engine = open_postgresql(url)
    with engine.connect() as connection:
        upgrade(connection)
    engine.dispose()
    return url


@pytest.fixture
def database(shared: str) -> str:
    """The address of an empty PostgreSQL store."""
    engine = open_postgresql(shared)
    with engine.begin() as connection:
        connection.execute(
            text("SET LOCAL session_replication_role = replica")
        )  # past the audit trail's triggers
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))
    engine.dispose()
    return shared


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server of the module's own, to be killed."""
    with run_server() as server:
        yield server


@pytest.fixture(params=BOTH)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store may be opened."""
    if request.param == "sqlite":
        return lay_out(tmp_path / "leads.db")
    url: str = request.getfixturevalue("database")
    return url


@pytest.fixture(params=BOTH)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with today's schema."""
    if request.param == "sqlite":
        engine = open_writer(lay_out(tmp_path / "leads.db"))
    else:
        engine = open_postgresql(request.getfixturevalue("database"))
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        yield connection


@pytest.fixture
def store(place: Path | str) -> Iterator[Store]:
    store = Store(place, reserve=0)
    store.open()
    yield store
    store.close()


@pytest.fixture
def in_either_database(place: Path | str) -> Iterator[None]:
    """For tests of what stands on a store: their rigs keep their leads there."""
    with placing_stores(place):
        yield
