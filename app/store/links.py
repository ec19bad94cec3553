"""Links in mail that have been used: each works once."""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from app.store.schema import spent_links


def is_spent(connection: Connection, digest: str) -> bool:
    return (
        connection.execute(select(spent_links.c.digest).where(spent_links.c.digest == digest)).first()
        is not None
    )


def spend(connection: Connection, digest: str, *, lead_id: str, now: datetime) -> bool:
    """Whether it was good until now. Two at once: the primary key lets one through, and the other finds it."""
    if is_spent(connection, digest):
        return False
    connection.execute(insert(spent_links).values(digest=digest, lead_id=lead_id, spent_at=now))
    return True
