"""What waits in quarantine, and which of it the operator has been told of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from app.store.bulk import is_among
from app.store.schema import IS_UNNAMED, outbox


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A lead in quarantine, as a digest names it."""

    lead_id: str
    form: str
    reason: str


def list_unnamed(connection: Connection) -> list[Unnamed]:
    """The leads in quarantine that no digest has named yet, the oldest first."""
    rows = connection.execute(
        select(outbox.c.lead_id, outbox.c.form, outbox.c.reason).where(IS_UNNAMED).order_by(outbox.c.lead_id)
    )
    return [Unnamed(row.lead_id, row.form, row.reason or "") for row in rows]


def mark_named(connection: Connection, lead_ids: Sequence[str], *, now: datetime) -> int:
    """A digest has named these; the first time counts. How many were new to it."""
    these = is_among(connection, outbox.c.lead_id, lead_ids)
    return connection.execute(update(outbox).where(IS_UNNAMED, these).values(named_at=now)).rowcount
