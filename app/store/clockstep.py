"""A clock that was set back: what waits for a moment must not wait for it a second time."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, insert, select, type_coerce, update

from app.log import get_logger
from app.store.schema import attempts, circuits, gates, leads, meta, notices, outbox

_log = get_logger("store")

NOTABLE = timedelta(seconds=5)
"""Less is a clock being corrected little by little."""

_AWAITED = (
    outbox.c.next_attempt_at,
    outbox.c.leased_until,
    gates.c.probe_at,
    circuits.c.until,
    notices.c.due_at,
    notices.c.leased_until,
)
_FOLLOWED = "clock_followed_at"


def follow_step(connection: Connection, *, back: timedelta, now: datetime) -> None:
    """Brings every awaited moment nearer by as much as the clock went back. Of several who saw it, one does so.

    A clock that went ahead needs nothing: what falls due early is only early, and so is a lease that runs out.
    """
    if not _is_first(connection, now=now, within=back):
        return
    microseconds = back // timedelta(microseconds=1)
    for moment in _AWAITED:
        connection.execute(
            update(moment.table)
            .where(moment > now)
            .values({moment: type_coerce(moment, BigInteger) - microseconds})
        )
    _log.warning("clock_set_back", seconds=back.total_seconds())


def _is_first(connection: Connection, *, now: datetime, within: timedelta) -> bool:
    value = {"value": str(int(now.timestamp()))}
    known = connection.execute(select(meta.c.value).where(meta.c.name == _FOLLOWED)).scalar()
    if known is None:
        connection.execute(insert(meta).values(name=_FOLLOWED, **value))
        return True
    if 0 <= now.timestamp() - int(known) < min(within, timedelta(minutes=1)).total_seconds():
        return False
    connection.execute(update(meta).where(meta.c.name == _FOLLOWED, meta.c.value == known).values(value))
    return True


def find_step(connection: Connection, *, now: datetime) -> timedelta:
    """How far the newest record lies ahead of now: the clock went back while nobody was looking."""
    attempt = connection.execute(
        select(attempts.c.started_at).order_by(attempts.c.id.desc()).limit(1)
    ).scalar()
    lead = connection.execute(select(leads.c.received_at).order_by(leads.c.id.desc()).limit(1)).scalar()
    newest = max(filter(None, (attempt, lead)), default=now)
    return max(newest - now, timedelta())
