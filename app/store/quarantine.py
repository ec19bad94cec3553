"""What waits in quarantine, and which of it the operator has been told of."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, update

from app.store.leads import read_status, select_status
from app.store.schema import IS_UNNAMED, outbox
from app.store.words import LeadStatus


def list_unnamed(connection: Connection, *, limit: int | None = None) -> list[LeadStatus]:
    """The leads in quarantine that no digest has named yet, the oldest first."""
    statement = select_status().where(IS_UNNAMED).order_by(outbox.c.lead_id).limit(limit)
    return [read_status(row) for row in connection.execute(statement)]


def mark_named(connection: Connection, lead_ids: Sequence[str], *, now: datetime) -> int:
    """A digest has named these; the first time counts. How many were new to it."""
    statement = update(outbox).where(IS_UNNAMED, outbox.c.lead_id.in_(lead_ids)).values(named_at=now)
    return connection.execute(statement).rowcount
