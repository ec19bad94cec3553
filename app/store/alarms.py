"""What is wrong at the moment, and whether the operator has been told: one row for each thing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from app.store.notices import NewNotice, add_notice, find_last
from app.store.schema import alarms

Conditions = Mapping[str, Mapping[str, Any]]
"""What is wrong now, by subject, with what is told about it: never personal data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a kind of alarm is told."""

    patience: timedelta = timedelta()
    """What passes by itself within that time is not told."""
    window: timedelta = timedelta(minutes=15)
    """One message of the kind in that time, with all that has gathered."""
    again: timedelta | None = None
    """Told again after that time while it stands."""
    passing: bool = False
    """Something that happened, not something that stands: it has no end."""


def differ(connection: Connection, kind: str, current: Conditions) -> bool:
    """Whether what is known of that kind is something else."""
    rows = connection.execute(select(alarms.c.subject, alarms.c.ended_at).where(alarms.c.kind == kind))
    return {row.subject for row in rows if row.ended_at is None} != set(current)


def load_conditions(connection: Connection, kind: str) -> Conditions:
    """What stands."""
    rows = connection.execute(select(alarms).where(alarms.c.kind == kind, alarms.c.ended_at.is_(None)))
    return {row.subject: row.detail for row in rows}


def note_conditions(connection: Connection, kind: str, current: Conditions, *, now: datetime) -> None:
    """What stands is noted, and what no longer does is at its end; what nobody was told of is forgotten."""
    rows = connection.execute(select(alarms).where(alarms.c.kind == kind)).all()
    for row in rows:
        this = (alarms.c.kind == kind, alarms.c.subject == row.subject)
        if row.subject in current:
            detail = dict(current[row.subject])
            connection.execute(update(alarms).where(*this).values(ended_at=None, detail=detail))
        elif row.told_at is None:
            connection.execute(delete(alarms).where(*this))
        elif row.ended_at is None:
            connection.execute(update(alarms).where(*this).values(ended_at=now))
    known = {row.subject for row in rows}
    for subject in current.keys() - known:
        raise_alarm(connection, kind, subject, now=now, **current[subject])


def raise_alarm(connection: Connection, kind: str, subject: str, *, now: datetime, **detail: Any) -> None:
    """Notes one thing that is wrong, or has gone wrong; a second of the same is none."""
    found = select(alarms.c.subject).where(alarms.c.kind == kind, alarms.c.subject == subject)
    if connection.execute(found).first() is None:
        connection.execute(insert(alarms).values(kind=kind, subject=subject, raised_at=now, detail=detail))


def list_untold(connection: Connection, kind: str, manner: Manner, *, now: datetime) -> bool:
    """Whether there is anything of that kind to tell now."""
    rows = connection.execute(select(alarms).where(alarms.c.kind == kind)).all()
    if not any(_is_news(row, manner, now=now) for row in rows):
        return False
    last = find_last(connection, kind)
    return last is None or now - last >= manner.window


def _is_news(row: Any, manner: Manner, *, now: datetime) -> bool:
    if row.told_at is None:
        return bool(row.raised_at + manner.patience <= now)
    if row.ended_at is not None:
        return True
    return manner.again is not None and bool(row.told_at + manner.again <= now)


def tell_alarms(
    connection: Connection, kind: str, manner: Manner, *, channels: Sequence[str], now: datetime
) -> None:
    """One notice for each channel with all there is to tell of that kind. The caller has taken the turn."""
    if not list_untold(connection, kind, manner, now=now):
        return
    rows = connection.execute(
        select(alarms).where(alarms.c.kind == kind).order_by(alarms.c.raised_at, alarms.c.subject)
    ).all()
    ended = [row for row in rows if row.ended_at is not None]
    standing = [row for row in rows if row.ended_at is None and row.raised_at + manner.patience <= now]
    detail = {
        "raised": [_describe(row) for row in standing if row.told_at is None],
        "standing": [_describe(row) for row in standing if row.told_at is not None],
        "ended": [_describe(row) for row in ended],
    }
    for channel in channels:
        key = f"{kind}:{now.isoformat()}:{channel}"
        add_notice(connection, NewNotice(key=key, kind=kind, channel=channel, detail=detail), now=now)
    over = [row.subject for row in (rows if manner.passing else ended)]
    connection.execute(delete(alarms).where(alarms.c.kind == kind, alarms.c.subject.in_(over)))
    told = [row.subject for row in standing]
    connection.execute(
        update(alarms).where(alarms.c.kind == kind, alarms.c.subject.in_(told)).values(told_at=now)
    )


def _describe(row: Any) -> dict[str, Any]:
    end = {"until": row.ended_at.isoformat()} if row.ended_at else {}
    return {**row.detail, "subject": row.subject, "since": row.raised_at.isoformat(), **end}
