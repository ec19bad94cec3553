"""One file, one serving process: what must be true of SQLite before a lead is entrusted to it."""

import fcntl
import os
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from app.errors import StoreError, StoreOccupied
from app.store.ballast import Ballast
from app.store.clockstep import NOTABLE, find_step, follow_step
from app.store.highwater import MarkFile, note_step, take_step
from app.store.migrate import upgrade
from app.store.outbox import clear_leases
from app.store.place import RESERVE, find_free, refuse_network
from app.store.sealed import entrust
from app.store.vault import Vault

_BUSY_TIMEOUT_MS = 5000
_NO_HURRY_MS = 100
"""As long as visitors may wait for what can be done an hour later."""
_READERS = 4
_READER_WAIT = 5.0

# synchronous=FULL: NORMAL loses acknowledged leads, and intents, at a power cut.
_WRITER_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "busy_timeout": _BUSY_TIMEOUT_MS,
    "secure_delete": 1,  # what is deleted is overwritten
    # Pages, 16 MB: with a million leads the persons' indexes change all over, and are copied back a third as often.
    "wal_autocheckpoint": 4000,
}
# Only the writer checkpoints: SQLite before 3.51.3 may damage the log when two connections do.
_READER_PRAGMAS = {"query_only": 1, "wal_autocheckpoint": 0, "busy_timeout": _BUSY_TIMEOUT_MS}


def open_writer(path: Path, vault: Vault | None = None) -> Engine:
    """The one connection that writes. Raises StoreError when a promise's precondition does not hold."""
    return _open(path, _WRITER_PRAGMAS, vault, begin="BEGIN IMMEDIATE", poolclass=StaticPool)


def open_readers(path: Path, vault: Vault | None = None) -> Engine:
    """A few connections that cannot write."""
    return _open(
        path,
        _READER_PRAGMAS,
        vault,
        begin="BEGIN",
        poolclass=QueuePool,
        pool_size=_READERS,
        max_overflow=0,
        pool_timeout=_READER_WAIT,
    )


def _open(path: Path, pragmas: dict[str, Any], vault: Vault | None, *, begin: str, **pool: Any) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"check_same_thread": False},
        hide_parameters=True,  # they hold what visitors typed
        **pool,
    )
    entrust(engine, vault)

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


def find_other_name(database: Path) -> str | None:
    """That the file has a second name, and how to end that, as a clause; None where it has not."""
    if not database.is_file() or database.stat().st_nlink == 1:
        return None
    return (
        "has another name (a hard link), with a lock and a log of its own; remove that one (find -samefile tells it), "
        "and make copies with VACUUM INTO"
    )


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether two connections that write or checkpoint at once may damage the log (sqlite.org/wal.html).

    Mended in 3.51.3, and in 3.50.7 and 3.44.6 of the older lines.
    """
    mended = {(3, 50): (3, 50, 7), (3, 44): (3, 44, 6)}.get(version[:2], (3, 51, 3))
    return (3, 7, 0) <= version < mended


class SqliteDatabase:
    """The file, held by one process from `open` until its stack unwinds."""

    kind = "sqlite"
    patience: float | None = None  # what the disk does not take within seconds, it refuses

    def __init__(self, path: Path, *, reserve: int = RESERVE, vault: Vault | None = None) -> None:
        self.path = path
        self._vault = vault
        self.name = str(path)
        self._reserve = reserve
        self._mark = MarkFile(path)
        self._ballast = Ballast(path)
        self._stepped_back = False

    def open(self, held: ExitStack) -> Engine:
        lock = FileLock(self.path)
        lock.acquire()
        held.callback(lock.release)
        refuse_network(self.path.parent)
        self.path.touch(mode=0o600)  # it holds personal data; its log takes after it
        if other := find_other_name(self.path):
            raise StoreError(f"{self.path}: {other}")
        engine = open_writer(self.path, self._vault)
        held.callback(engine.dispose)
        with engine.connect() as connection:
            upgrade(connection)
        with engine.begin() as connection:
            self._take_over(connection)
        self._ballast.take_on(free=self._find_room())
        return engine

    def _take_over(self, connection: Connection) -> None:
        """From a process that is dead, at a time that may lie before its own, perhaps as a copy of its store."""
        clear_leases(connection)
        now = self.now()
        if (step := find_step(connection, now=now)) > NOTABLE:
            follow_step(connection, back=step, now=now)
        self._stepped_back = note_step(connection, ahead=self._mark.is_ahead(connection))

    def open_readers(self) -> Engine:
        return open_readers(self.path, self._vault)

    def has_room(self) -> bool:
        room = self._find_room()
        if room:
            self._ballast.take_on(free=room)
        return room > 0

    def _find_room(self) -> int:
        """Bytes free beyond the reserve; 0 when it is reached."""
        return max(0, find_free(self.path.parent) - self._reserve)

    def give_up_ballast(self) -> bool:
        return self._ballast.drop()

    def wipe(self, engine: Engine, *, thoroughly: bool) -> bool:
        """The log, and the copies that pages keep of rows which moved on to others."""
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            try:
                if thoroughly:
                    driver.execute("VACUUM")
                else:
                    driver.execute(f"PRAGMA busy_timeout = {_NO_HURRY_MS}")
                (busy, _, _) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                driver.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        return not busy

    def count_free_bytes(self) -> int:
        return find_free(self.path.parent)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def when_notified(self, wake: object) -> None:
        """Nobody else writes the file."""

    def note_attempt(self, attempt_id: int) -> None:
        self._mark.write(attempt_id)

    def steps_back(self, connection: Connection) -> bool:
        # What there is to see was seen when it was opened. Asked until nobody has to act on it any more.
        self._stepped_back = self._stepped_back and take_step(connection)
        return self._stepped_back
