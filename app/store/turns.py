"""What processes on one PostgreSQL do one after the other. SQLite has a single writer, and needs none of it."""

from collections.abc import Iterable
from hashlib import blake2b

from sqlalchemy import Connection, text

CHANNEL = "leadgate"

_LOCK = text("SELECT pg_advisory_xact_lock(number) FROM unnest(CAST(:numbers AS bigint[])) AS number")
_NOTIFY = text(f"NOTIFY {CHANNEL}")


def take_turns(connection: Connection, names: Iterable[str]) -> None:
    """Waits for each name until the transaction of whoever has it ends, and has them until its own does.

    Statements after this one see what the others wrote.
    """
    if _is_shared(connection) and (numbers := sorted({number_of(name) for name in names})):
        connection.execute(
            _LOCK, {"numbers": numbers}
        )  # in one order everywhere, or two would wait for each other


def announce(connection: Connection) -> None:
    """Tells every process, when this transaction commits, that something is due."""
    if _is_shared(connection):
        connection.execute(_NOTIFY)


def number_of(name: str) -> int:
    """PostgreSQL knows its advisory locks by numbers of 64 bits."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def _is_shared(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"
