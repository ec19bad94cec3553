"""What is verified before a lead is entrusted to PostgreSQL, its clock and its notices."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, insert, inspect, text
from sqlalchemy.exc import DBAPIError

from app.errors import StoreError, StoreUnavailable
from app.store.clock import Clock, count_seconds
from app.store.listener import Listener
from app.store.migrate import current_revision, newest_revision
from app.store.postgresql import PostgresqlDatabase
from app.store.reading import read_beside
from app.store.schema import leads, metadata
from app.store.store import Store
from tests.databases import open_postgresql, opened
from tests.postgresql import Server
from tests.stores import NOW, new_lead

pytest_plugins = ["tests.store_fixtures"]


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_postgresql(database)
    yield engine
    engine.dispose()


@pytest.fixture
def other(database: str) -> Iterator[Engine]:
    """Another machine's."""
    engine = open_postgresql(database)
    yield engine
    engine.dispose()


@pytest.fixture
def lent(postgresql: Server) -> Iterator[str]:
    """A database of the test's own, without a schema."""
    with postgresql.database() as url:
        yield url


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
def test_a_database_that_acknowledges_too_early_is_refused(lent: str, value: str) -> None:
    with psycopg.connect(lent, autocommit=True) as connection:
        name = lent.rpartition("/")[2]
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = {value}")
    with pytest.raises(
        StoreError, match=f"PostgreSQL has synchronous_commit={value} where it must be on"
    ) as caught:
        Store(lent).open()
    assert "leadgate@" not in str(caught.value)


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    started = monotonic()
    with pytest.raises(StoreError, match=r"^postgresql://127\.0\.0\.1:9/leads: cannot be used: ") as caught:
        Store("postgresql://eva:hunter2@127.0.0.1:9/leads?password=hunter2").open()
    assert "hunter2" not in str(caught.value)
    assert monotonic() - started < 3


def test_a_store_in_postgresql_is_no_file(database: str) -> None:
    with pytest.raises(StoreError, match="is no file"):
        _ = Store(database).path


def test_servers_that_start_at_once_migrate_once(lent: str) -> None:
    def start(_number: int) -> str | None:
        with opened(lent) as store:
            return store.read_now(current_revision)

    with ThreadPoolExecutor(6) as servers:
        assert set(servers.map(start, range(6))) == {newest_revision()}


def test_the_migrations_make_the_checks_and_indexes_of_the_code(engine: Engine, lent: str) -> None:
    wanted_engine = open_postgresql(lent)
    metadata.create_all(wanted_engine)
    wanted, made = inspect(wanted_engine), inspect(engine)
    for name in metadata.tables:
        assert _describe(made, name) == _describe(wanted, name)
    wanted_engine.dispose()


def _describe(inspector: Any, table: str) -> list[Any]:
    checks = sorted((check["name"], check["sqltext"]) for check in inspector.get_check_constraints(table))
    indexes = sorted(
        (index["name"], index["column_names"], index["unique"], str(index.get("dialect_options")))
        for index in inspector.get_indexes(table)
    )
    return [checks, indexes]


def test_a_reader_cannot_write(database: str) -> None:
    with pytest.raises(StoreUnavailable, match="read-only transaction"):
        read_beside(database, lambda connection: connection.execute(text("DELETE FROM leads")))


def test_what_the_server_says_of_a_row_is_repeated_nowhere(engine: Engine) -> None:
    row = {"id": "1", "reference": "1", "form": "f", "received_at": None, "body": "Anna", "fingerprint": ""}
    with engine.begin() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(insert(leads).values(row))
    assert "Anna" not in str(caught.value)
    assert "Anna" not in str(caught.value.orig)


def test_machines_with_other_clocks_agree_on_the_time(database: str) -> None:
    """Their seconds are counted from other beginnings, and nobody asks for their date."""
    stores = [Store(database), Store(database)]
    clocks = [Clock(lambda: count_seconds() + 600), Clock(lambda: count_seconds() - 1e6)]
    for store, clock in zip(stores, clocks, strict=True):
        store._database = PostgresqlDatabase(database, clock=clock)
        store.open()
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    for store in stores:
        assert abs(store.now() - row[0]) < timedelta(seconds=0.5)
        assert store.now().tzinfo is UTC
        store.close()


def test_a_clock_goes_on_between_looks_and_forgets_a_slow_answer() -> None:
    seconds = iter([10.0, 10.2, 15.1, 20.0, 23.0, 30.1])
    clock = Clock(lambda: next(seconds))
    with pytest.raises(StoreUnavailable, match="not open"):
        clock.now()
    clock.set(lambda: NOW)
    assert clock.now() == NOW + timedelta(seconds=5)
    clock.set(lambda: datetime(2030, 1, 1, tzinfo=UTC))
    assert clock.now() == NOW + timedelta(seconds=20)


@pytest.mark.anyio
async def test_a_lead_wakes_the_workers_of_other_machines(database: str) -> None:
    with opened(database) as here, opened(database) as there:
        woken = asyncio.Event()
        there.when_accepted(woken.set)
        async with asyncio.timeout(5):
            while not woken.is_set():  # until it listens
                await here.accept(new_lead())
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        woken.clear()
        started = monotonic()
        await here.accept(new_lead())
        async with asyncio.timeout(5):
            await woken.wait()
        assert monotonic() - started < 0.5


def test_a_listener_that_is_cut_off_listens_again(engine: Engine, database: str) -> None:
    heard = threading.Event()
    ears = open_postgresql(database).execution_options(isolation_level="AUTOCOMMIT")
    listener = Listener(ears, hear=heard.set, check=lambda _connection: None)
    for _ in range(2):
        assert heard.wait(10)  # at each beginning
        heard.clear()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                " AND pid <> pg_backend_pid()"
            )
    listener.close()
    ears.dispose()
