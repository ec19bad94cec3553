"""One file, one serving process: what must be true of SQLite before a lead is entrusted to it."""

import fcntl
import os
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from app.errors import StoreError, StoreOccupied
from app.store.migrate import upgrade
from app.store.outbox import clear_leases
from app.store.place import RESERVE, count_free_bytes, has_room, refuse_network

_BUSY_TIMEOUT_MS = 5000
_READERS = 4
_READER_WAIT = 5.0

# synchronous=FULL: NORMAL loses acknowledged leads, and intents, at a power cut.
_WRITER_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "busy_timeout": _BUSY_TIMEOUT_MS,
}
# Only the writer checkpoints: SQLite before 3.51.3 may damage the log when two connections do.
_READER_PRAGMAS = {"query_only": 1, "wal_autocheckpoint": 0, "busy_timeout": _BUSY_TIMEOUT_MS}


def open_writer(path: Path) -> Engine:
    """The one connection that writes. Raises StoreError when a promise's precondition does not hold."""
    return _open(path, _WRITER_PRAGMAS, begin="BEGIN IMMEDIATE", poolclass=StaticPool)


def open_readers(path: Path) -> Engine:
    """A few connections that cannot write."""
    return _open(
        path,
        _READER_PRAGMAS,
        begin="BEGIN",
        poolclass=QueuePool,
        pool_size=_READERS,
        max_overflow=0,
        pool_timeout=_READER_WAIT,
    )


def _open(path: Path, pragmas: dict[str, Any], *, begin: str, **pool: Any) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"check_same_thread": False},
        hide_parameters=True,  # they hold what visitors typed
        **pool,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        try:
            for name, value in pragmas.items():
                _set_pragma(connection, name, value)
        except StoreError as error:
            connection.close()
            raise StoreError(f"{path}: {error}") from None

    @event.listens_for(engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _set_pragma(connection: Any, name: str, value: object) -> None:
    connection.execute(f"PRAGMA {name} = {value}")
    (found,) = connection.execute(f"PRAGMA {name}").fetchone()
    if found != value:
        raise StoreError(f"SQLite keeps {name} at {found} where it must be {value}")


class FileLock:
    """One serving process for each SQLite file, held by the kernel and so given up by any death."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Raises StoreOccupied when another process has it, StoreError when the folder cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="ascii")  # noqa: PTH123, SIM115 - held open
        except OSError as error:
            raise StoreError(f"{self.path.parent}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = file.read().strip() or "unknown"
            file.close()
            database = self.path.with_suffix("")
            raise StoreOccupied(
                f"{database}: another leadgate process (pid {holder}) holds this store; "
                "SQLite serves one process, use PostgreSQL for several"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class SqliteDatabase:
    """The file, held by one process from `open` until its stack unwinds."""

    kind = "sqlite"
    patience: float | None = None  # what the disk does not take within seconds, it refuses

    def __init__(self, path: Path, *, reserve: int = RESERVE) -> None:
        self.path = path
        self.name = str(path)
        self._reserve = reserve

    def open(self, held: ExitStack) -> Engine:
        lock = FileLock(self.path)
        lock.acquire()
        held.callback(lock.release)
        refuse_network(self.path.parent)
        self.path.touch(mode=0o600)  # it holds personal data; its log takes after it
        engine = open_writer(self.path)
        held.callback(engine.dispose)
        with engine.connect() as connection:
            upgrade(connection)
        with engine.begin() as connection:
            clear_leases(connection)
        return engine

    def open_readers(self) -> Engine:
        return open_readers(self.path)

    def has_room(self) -> bool:
        return has_room(self.path.parent, reserve=self._reserve)

    def count_free_bytes(self) -> int:
        return count_free_bytes(self.path.parent)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def when_notified(self, wake: object) -> None:
        """Nobody else writes the file."""
