"""Sessions of the admin pages that were ended before their time."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from app.store.audit import add_audit
from app.store.schema import ended_sessions


def end_session(
    connection: Connection, session_id: str, *, expires_at: datetime, now: datetime, actor: str
) -> None:
    """Whoever kept a copy of its cookie is let in no more. What has run out by itself is forgotten."""
    connection.execute(delete(ended_sessions).where(ended_sessions.c.expires_at <= now))
    if not is_ended(connection, session_id):
        connection.execute(insert(ended_sessions).values(id=session_id, expires_at=expires_at))
        add_audit(connection, "signed_out", actor=actor, now=now)


def is_ended(connection: Connection, session_id: str) -> bool:
    found = connection.execute(select(ended_sessions.c.id).where(ended_sessions.c.id == session_id))
    return found.first() is not None
