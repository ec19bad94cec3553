"""How far the store had come, told by something that a restored copy does not take back."""

import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select, text, update

from app.store.schema import attempts, meta

_TIMELINE = "timeline"
_STEPPED_BACK = "stepped_back"
# The server's identity and history: a promoted replica or a recovery to a moment begins a new timeline.
_WHERE_IN_HISTORY = text(
    "SELECT (SELECT system_identifier FROM pg_control_system())"
    " || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"
)


class MarkFile:
    """The newest attempt's number in a file beside SQLite's, written before the attempt's first byte is sent.

    It need not be synced: what a power cut takes of it makes it older, and an older mark only tells less.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".mark")

    def read(self) -> int:
        """0 where there is none, or none that can be read."""
        with suppress(OSError, ValueError):
            return int(self.path.read_text(encoding="ascii"))
        return 0

    def write(self, attempt_id: int) -> None:
        with suppress(OSError):  # a full disk must not keep a lead from its way
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(file, f"{attempt_id:020}".encode(), 0)
            finally:
                os.close(file)

    def is_ahead(self, connection: Connection) -> bool:
        """Whether attempts were made that this store does not know: it is a copy of an earlier time."""
        newest = connection.execute(select(func.max(attempts.c.id))).scalar() or 0
        return self.read() > newest


def note_step(connection: Connection, *, ahead: bool) -> bool:
    """Keeps the finding until somebody has acted on it: the next attempt overwrites the mark that told it.

    Whether there is one to act on, this one or an earlier.
    """
    known = connection.execute(select(meta.c.name).where(meta.c.name == _STEPPED_BACK)).first() is not None
    if ahead and not known:
        connection.execute(insert(meta).values(name=_STEPPED_BACK, value=""))
    return ahead or known


def take_step(connection: Connection) -> bool:
    """Whether somebody has yet to act on it; that is this transaction, and whoever follows when it is undone."""
    return connection.execute(delete(meta).where(meta.c.name == _STEPPED_BACK)).rowcount == 1


def has_new_timeline(connection: Connection) -> bool:
    """Whether PostgreSQL has been restored, or has failed over, since anybody last claimed here."""
    now = connection.execute(_WHERE_IN_HISTORY).scalar_one()
    known = connection.execute(select(meta.c.value).where(meta.c.name == _TIMELINE)).scalar()
    if known is None:
        connection.execute(insert(meta).values(name=_TIMELINE, value=now))
    elif known != now:
        connection.execute(update(meta).where(meta.c.name == _TIMELINE).values(value=now))
    return known not in {None, now}
