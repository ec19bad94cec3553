"""Reads a store that another process may be writing."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.errors import StoreUnavailable
from app.store.database import open_readers

T = TypeVar("T")


def read_beside(path: Path, job: Callable[[Connection], T]) -> T:
    """Raises StoreUnavailable."""
    engine = open_readers(path)
    try:
        with engine.connect() as connection:
            return job(connection)
    except DBAPIError as error:
        raise StoreUnavailable(f"{path}: cannot be read: {error.orig}") from None
    finally:
        engine.dispose()
