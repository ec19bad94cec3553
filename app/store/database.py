"""What the store asks of the database that keeps it, whichever of the two it is."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine

from app.store.place import RESERVE, Place, find_place
from app.store.sqlite import SqliteDatabase
from app.store.vault import Vault


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

    def has_room(self) -> bool:
        """Whether new leads may be kept; without room, what was kept is still delivered."""

    def give_up_ballast(self) -> bool:
        """Makes room on a disk that is full, for what must be recorded. Whether there was any to make."""

    def note_attempt(self, attempt_id: int) -> None:
        """An attempt is on record, and its first byte about to be sent."""

    def steps_back(self, connection: Connection) -> bool:
        """Whether the store is a copy of an earlier time, or has failed over: told once, in its own transaction."""

    def wipe(self, engine: Engine, *, thoroughly: bool) -> bool:
        """Leaves nothing on this machine's disk of what was deleted. In no transaction of the writer's.

        Thoroughly: the whole file is written anew, which takes a second for each hundred megabytes or two.
        False when somebody was reading the old state all the while.
        """

    def count_free_bytes(self) -> int | None:
        """Room left on its disk; None where that is another machine's."""

    def now(self) -> datetime:
        """By the clock that all who use this database go by; known once it is open."""

    def when_notified(self, wake: Callable[[], None]) -> None:
        """Calls back, from any thread, when another process has accepted a lead. To be said before `open`."""


def find_database(place: Place | Path | str, *, reserve: int = RESERVE) -> Database:
    """A SQLite file by its path, PostgreSQL by its address."""
    found = find_place(place)
    vault = Vault(found.keys)
    if isinstance(found.at, Path):
        return SqliteDatabase(found.at, reserve=reserve, vault=vault)
    # Its driver is worth importing where it is used.
    from app.store.postgresql import PostgresqlDatabase  # noqa: PLC0415

    return PostgresqlDatabase(found.at, vault=vault)
