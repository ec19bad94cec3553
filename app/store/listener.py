"""Hears within milliseconds that another process has accepted a lead. Whoever misses it still has the poll."""

import threading
from collections.abc import Callable

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.errors import StoreError
from app.log import get_logger
from app.store.turns import CHANNEL

_log = get_logger("store")

_LISTEN_FOR = 0.25
"""Seconds at a time, so that closing is noticed."""
_CHECK_EVERY = 20
_PAUSE = 1.0


class Listener:
    """A thread with a connection of its own, made anew when it breaks."""

    def __init__(
        self, engine: Engine, *, hear: Callable[[], None], check: Callable[[Connection], None]
    ) -> None:
        """`hear` is called from the thread for each notice, `check` every few seconds with its connection."""
        self._engine = engine
        self._hear = hear
        self._check = check
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="leadgate-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(_PAUSE)  # on a server that hangs it is left behind

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                with self._engine.connect() as connection:
                    self._listen(connection)
            except (SQLAlchemyError, psycopg.Error, StoreError) as error:
                _log.warning("listener_lost", cause=type(error).__name__)
                self._closing.wait(_PAUSE)

    def _listen(self, connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        driver.execute(f"LISTEN {CHANNEL}")
        self._hear()  # what was said before anybody listened
        while not self._closing.is_set():
            self._check(connection)
            for _ in range(_CHECK_EVERY):
                for _notice in driver.notifies(timeout=_LISTEN_FOR, stop_after=1):
                    self._hear()
                if self._closing.is_set():
                    return
