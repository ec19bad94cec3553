"""What an exception from the database says, and whether one statement or all of the database is the trouble."""

import sqlite3

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
)

_OF_ONE_STATEMENT = (IntegrityError, DataError, ProgrammingError, InterfaceError, NotSupportedError)

_CONFLICTS = ("40001", "40P01")  # serialization_failure, deadlock_detected


def is_broken(error: Exception) -> bool:
    """Whether the disk, the file or the connection failed: no savepoint mends that."""
    return isinstance(error, DBAPIError) and (
        error.connection_invalidated or not isinstance(error, _OF_ONE_STATEMENT)
    )


def is_conflict(error: Exception) -> bool:
    """Whether PostgreSQL undid the transaction in favour of another, and would take it now."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _CONFLICTS


def is_full(error: Exception) -> bool:
    """Whether SQLite found no room on the disk: it says so, or that writing failed."""
    codes = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return isinstance(error, DBAPIError) and any(
        getattr(one, "sqlite_errorcode", 0) & 0xFF in codes for one in (error.orig, _find_origin(error))
    )


def _find_origin(error: Exception) -> BaseException | None:
    first = _find_first_break(error)
    return first.orig if isinstance(first, DBAPIError) else None


def describe(error: Exception) -> str:
    """The driver's own words for a database error, which hold no values; a bare name for any other."""
    first = _find_first_break(error) or error
    return str(first.orig) if isinstance(first, DBAPIError) else type(first).__name__


def _find_first_break(error: BaseException | None) -> Exception | None:
    """On a full disk SQLite drops its savepoints: what is raised last complains of that, not of the disk."""
    found = None
    while error is not None:
        if isinstance(error, Exception) and is_broken(error):
            found = error
        error = error.__context__
    return found
