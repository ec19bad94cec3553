"""One database, many processes: what must be true of PostgreSQL before a lead is entrusted to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, func, make_url, select
from sqlalchemy.pool import NullPool

from app.errors import StoreError
from app.store.clock import Clock
from app.store.highwater import has_new_timeline
from app.store.listener import Listener
from app.store.migrate import upgrade
from app.store.sealed import entrust
from app.store.turns import number_of
from app.store.vault import Vault

_READERS = 4

# Whatever hangs, hangs for seconds. A frozen writer loses its transaction before others lose their patience
# with its locks, so that it costs them a wait and no visitor a lead.
_WRITER_BOUNDS = {
    "statement_timeout": "5s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "2s",
}
_READER_BOUNDS = {
    "statement_timeout": "30s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "30s",
    "default_transaction_read_only": "on",
}
# A migration may take its time over its own work, not in front of others' doors: who writes would queue behind it.
_MIGRATION_BOUNDS = {"lock_timeout": "10s", "idle_in_transaction_session_timeout": "1min"}
_MIGRATION_TURN_BOUNDS = {"lock_timeout": "10min"}

_CONNECTION: dict[str, Any] = {
    "application_name": "leadgate",
    "connect_timeout": 2,
    # A server that has vanished is noticed within ten seconds, whichever side was to speak.
    "tcp_user_timeout": 5000,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}

_REQUIRED = {
    # Anything less acknowledges a lead that a power cut takes back.
    "synchronous_commit": ("on", "remote_apply"),
    "fsync": ("on",),
    "server_encoding": ("UTF8",),
}
_SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"


def open_writer(url: URL, vault: Vault | None = None) -> Engine:
    """One connection, replaced when it is found dead. Raises StoreError when a promise's precondition fails."""
    engine = _open(url, _WRITER_BOUNDS, pool_size=1, max_overflow=0)
    entrust(engine, vault)

    @event.listens_for(engine, "connect")
    def verify(connection: Any, _record: object) -> None:
        try:
            _verify(connection)
        except StoreError as error:
            connection.close()
            raise StoreError(f"{name_of(url)}: {error}") from None

    return engine


def open_readers(url: URL, vault: Vault | None = None) -> Engine:
    """A few connections that cannot write; each transaction sees one moment of the database."""
    engine = _open(
        url,
        _READER_BOUNDS,
        isolation_level="REPEATABLE READ",
        pool_size=_READERS,
        max_overflow=0,
        pool_timeout=2,
    )
    entrust(engine, vault)
    return engine


def _open(
    url: URL, bounds: dict[str, str], *, isolation_level: Any = "READ COMMITTED", **pool: Any
) -> Engine:
    options = " ".join(f"-c {name}={value}" for name, value in bounds.items())
    engine = create_engine(
        url,
        connect_args=_CONNECTION | {"options": options},
        isolation_level=isolation_level,
        pool_pre_ping=True,  # a server that was restarted is found before a lead meets its absence
        hide_parameters=True,  # they hold what visitors typed
        **pool,
    )
    event.listen(engine, "handle_error", _hide_values)
    return engine


def _verify(connection: Any) -> None:
    found = dict(connection.execute(_SETTINGS, [list(_REQUIRED)]).fetchall())
    connection.rollback()
    for name, allowed in _REQUIRED.items():
        if found[name] not in allowed:
            raise StoreError(f"PostgreSQL has {name}={found[name]} where it must be {allowed[0]}")


def _hide_values(context: ExceptionContext) -> None:
    """The server's details repeat the row that it refused; its first sentence only quotes what it cannot read."""
    error = context.original_exception
    if not isinstance(error, psycopg.Error) or error.diag.message_primary is None:
        return
    said = type(error).__name__ if isinstance(error, psycopg.DataError) else error.diag.message_primary
    error.args = (said,)
    if context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (f"({type(error).__name__}) {said}",)


def name_of(url: URL) -> str:
    """Where it is, without who may enter."""
    return URL.create("postgresql", host=url.host, port=url.port, database=url.database).render_as_string()


class PostgresqlDatabase:
    """A database that any number of machines serve and deliver from."""

    kind = "postgresql"
    patience: float | None = 2.5

    def __init__(self, address: str, *, clock: Clock | None = None, vault: Vault | None = None) -> None:
        self._vault = vault
        self.url = make_url(address).set(drivername="postgresql+psycopg")
        self.name = name_of(self.url)
        self._clock = clock or Clock()
        self._wake: Callable[[], None] = lambda: None

    def open(self, held: ExitStack) -> Engine:
        self._upgrade()
        engine = open_writer(self.url, self._vault)
        held.callback(engine.dispose)
        with engine.connect() as connection:
            self._set_clock(connection)
        ears = _open(self.url, _WRITER_BOUNDS, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        listener = Listener(ears, hear=self._wake, check=self._set_clock)
        held.callback(listener.close)
        return engine

    def open_readers(self) -> Engine:
        return open_readers(self.url, self._vault)

    def has_room(self) -> bool:
        """Its own disk is its operator's care: it says so itself when it is full."""
        return True

    def count_free_bytes(self) -> None:
        return None

    def give_up_ballast(self) -> bool:
        return False

    def note_attempt(self, attempt_id: int) -> None:
        """The server itself tells when it has stepped back."""

    def steps_back(self, connection: Connection) -> bool:
        return has_new_timeline(connection)

    def wipe(self, engine: Engine, *, thoroughly: bool) -> bool:
        """Its own vacuum overwrites what was deleted, in its own time."""
        del engine, thoroughly
        return True

    def now(self) -> datetime:
        return self._clock.now()

    def when_notified(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def _set_clock(self, connection: Connection) -> None:
        def ask() -> datetime:
            moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
            return moment

        self._clock.set(ask)

    def _upgrade(self) -> None:
        with self._migrating() as connection:
            upgrade(connection)

    @contextmanager
    def _migrating(self) -> Iterator[Connection]:
        """Of several that start at once one migrates; the others wait, and find it done."""
        turn = _open(self.url, _MIGRATION_TURN_BOUNDS, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        engine = _open(self.url, _MIGRATION_BOUNDS, poolclass=NullPool)
        with turn.connect() as waiting, engine.connect() as connection:
            waiting.execute(select(func.pg_advisory_lock(number_of("migrate"))))
            yield connection
