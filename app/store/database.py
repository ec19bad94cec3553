"""What the store asks of the database that keeps it, whichever of the two it is."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine

from app.store.place import RESERVE
from app.store.sqlite import SqliteDatabase


class Database(Protocol):
    kind: str
    """`sqlite` or `postgresql`."""
    name: str
    """As the operator knows it, without a password."""
    patience: float | None
    """Seconds after which a lead that is not kept yet is refused; None where waiting ends by itself."""

    def open(self, held: ExitStack) -> Engine:
        """What writes: verified, and its schema up to date. What must be let go of again is put on the stack.

        Raises StoreError, StoreOccupied, OSError or DBAPIError.
        """

    def open_readers(self) -> Engine: ...

    def has_room(self) -> bool: ...

    def count_free_bytes(self) -> int | None:
        """Room left on its disk; None where that is another machine's."""

    def now(self) -> datetime:
        """By the clock that all who use this database go by; known once it is open."""

    def when_notified(self, wake: Callable[[], None]) -> None:
        """Calls back, from any thread, when another process has accepted a lead. To be said before `open`."""


def find_database(place: Path | str, *, reserve: int = RESERVE) -> Database:
    """A SQLite file by its path, PostgreSQL by its address."""
    if isinstance(place, Path):
        return SqliteDatabase(place, reserve=reserve)
    # Its driver is worth importing where it is used.
    from app.store.postgresql import PostgresqlDatabase  # noqa: PLC0415

    return PostgresqlDatabase(place)
