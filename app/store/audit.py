"""The audit trail: who did what, to which lead, and when. Appended to, and nothing else: see its triggers."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, or_, select

from app.store.schema import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    number: int
    at: datetime
    actor: str
    """`web:` and a name for a user of the admin pages; the operating system's user for a command."""
    action: str
    lead_id: str | None
    customer_id: str | None
    detail: str | None


def add_audit(
    connection: Connection,
    action: str,
    *,
    actor: str,
    now: datetime,
    lead_id: str | None = None,
    customer_id: str | None = None,
    detail: str | None = None,
) -> None:
    """In the transaction of what was done. Never personal data: the trail outlives every lead."""
    connection.execute(
        insert(audit).values(
            at=now, actor=actor[:80], action=action, lead_id=lead_id, customer_id=customer_id, detail=detail
        )
    )


def list_audit(
    connection: Connection,
    *,
    customers: Collection[str] | None = None,
    actor: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[Entry]:
    """The newest first. With `customers`, what was done to their leads, and what `actor` did."""
    statement = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if customers is not None:
        statement = statement.where(or_(audit.c.customer_id.in_(customers), audit.c.actor == actor))
    if before is not None:
        statement = statement.where(audit.c.id < before)
    return [
        Entry(
            number=row.id,
            at=row.at,
            actor=row.actor,
            action=row.action,
            lead_id=row.lead_id,
            customer_id=row.customer_id,
            detail=row.detail,
        )
        for row in connection.execute(statement)
    ]
