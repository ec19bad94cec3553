"""Reads: from this process's own connections, or from a store that another process may be writing."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import StoreUnavailable
from app.store.database import find_database
from app.store.failures import describe
from app.store.place import Place

T = TypeVar("T")


def read_from(engine: Engine, job: Callable[[Connection], T]) -> T:
    """What the job returns; it sees one moment of the database. Raises StoreUnavailable."""
    try:
        with engine.connect() as connection:
            return job(connection)
    except (DBAPIError, PoolTimeout) as error:
        raise StoreUnavailable(describe(error)) from None


def read_beside(place: Place | Path | str, job: Callable[[Connection], T]) -> T:
    """Raises StoreUnavailable."""
    database = find_database(place)
    engine = database.open_readers()
    try:
        return read_from(engine, job)
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{database.name}: cannot be read: {error}") from None
    finally:
        engine.dispose()
