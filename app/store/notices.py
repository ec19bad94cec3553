"""What people are told, with an outbox of its own: written before it is sent, settled after, told once."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, func, insert, or_, select, update

from app.store.history import add_event
from app.store.schema import IS_DUE, notices, outbox
from app.store.turns import take_turns

_CLAIMED_AT_ONCE = 20

Detail = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    key: str
    """What is told: a second of the same key is none."""
    kind: str
    channel: str = "mail"
    lead_id: str | None = None
    since: datetime | None = None
    unsettled: bool = False
    """Whether the lead's end will be told too."""
    dropped: bool = False
    """Whether it is only noted that it is not told."""
    detail: Detail | None = None
    """Never personal data: that is read when it is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One that is being sent."""

    id: int
    key: str
    kind: str
    channel: str
    lead_id: str | None
    since: datetime | None
    made_at: datetime
    tries: int
    detail: Detail


def take_turn(connection: Connection) -> None:
    """Workers decide what is told, and who tells it, one after the other."""
    take_turns(connection, ["notices"])


def add_notice(connection: Connection, new: NewNotice, *, now: datetime) -> bool:
    """Whether it was not there yet. The caller has taken the turn."""
    if connection.execute(select(exists().where(notices.c.key == new.key))).scalar_one():
        return False
    connection.execute(
        insert(notices).values(
            key=new.key,
            kind=new.kind,
            channel=new.channel,
            lead_id=new.lead_id,
            since=new.since,
            made_at=now,
            due_at=now,
            state="dropped" if new.dropped else "due",
            unsettled=int(new.unsettled),
            detail=dict(new.detail or {}),
        )
    )
    return True


def find_recent(connection: Connection, kind: str, *, since: datetime) -> list[str]:
    """The keys of that kind's notices that were sent or made after then, or wait to be sent."""
    told_at = func.coalesce(notices.c.sent_at, notices.c.made_at)
    found = select(notices.c.key).where(notices.c.kind == kind, or_(IS_DUE, told_at > since))
    return list(connection.execute(found).scalars())


def is_any_due(connection: Connection, *, now: datetime) -> bool:
    """Whether there is anything to send now."""
    return bool(connection.execute(select(exists().where(*_due(now)))).scalar_one())


def claim_notices(connection: Connection, *, now: datetime, leased_until: datetime) -> list[Notice]:
    """The oldest due ones, for this worker alone until then."""
    take_turn(connection)
    ids = connection.execute(
        select(notices.c.id)
        .where(*_due(now))
        .order_by(notices.c.due_at, notices.c.id)
        .limit(_CLAIMED_AT_ONCE)
    ).scalars()
    rows = connection.execute(
        update(notices)
        .where(notices.c.id.in_(list(ids)))
        .values(leased_until=leased_until, tries=notices.c.tries + 1)
        .returning(notices)
    )
    claimed = [
        Notice(
            id=row.id,
            key=row.key,
            kind=row.kind,
            channel=row.channel,
            lead_id=row.lead_id,
            since=row.since,
            made_at=row.made_at,
            tries=row.tries,
            detail=row.detail,
        )
        for row in rows
    ]
    return sorted(claimed, key=lambda notice: notice.id)


def _due(now: datetime) -> tuple[Any, ...]:
    free = or_(notices.c.leased_until.is_(None), notices.c.leased_until <= now)
    return (IS_DUE, notices.c.due_at <= now, free)


def note_sent(connection: Connection, notice: Notice, *, to: str, now: datetime) -> None:
    """A fact: it was handed over. It stands in the lead's history, without an address; what was told is not kept,
    or it would outlive the leads that it is about."""
    _settle(connection, notice, state="sent", sent_at=now, failure=None, detail={})
    _tell_history(connection, notice, "told", now=now, to=to)


def postpone(connection: Connection, notice: Notice, *, due_at: datetime, failure: str) -> None:
    """It could not be handed over now. `failure` names no address."""
    _settle(connection, notice, due_at=due_at, failure=failure)


def give_back(connection: Connection, claimed: Iterable[Notice]) -> None:
    """Nothing was tried: they are due as before."""
    connection.execute(
        update(notices)
        .where(notices.c.id.in_([notice.id for notice in claimed]), IS_DUE)
        .values(leased_until=None, tries=notices.c.tries - 1)
    )


def drop(connection: Connection, notice: Notice, *, why: str, now: datetime, to: str | None = None) -> None:
    """It is not told: there is nothing to tell any more; or, where `to` names who should have been, it never got
    through, which stands in the lead's history."""
    _settle(connection, notice, state="dropped", failure=why, unsettled=0, detail={})
    if to is not None:
        _tell_history(connection, notice, "not_told", now=now, to=to, reason=why)


def _settle(connection: Connection, notice: Notice, **values: Any) -> None:
    connection.execute(
        update(notices).where(notices.c.id == notice.id, IS_DUE).values(leased_until=None, **values)
    )


def _tell_history(connection: Connection, notice: Notice, kind: str, *, now: datetime, **detail: str) -> None:
    about = [notice.lead_id] if notice.lead_id else notice.detail.get("leads", [])
    for lead_id in about:
        if isinstance(lead_id, str):
            add_event(connection, lead_id, kind, now=now, what=notice.kind, **detail)


def settle_leads_notices(connection: Connection, lead_id: str) -> None:
    """The lead needs nobody any more: no reminder follows."""
    connection.execute(
        update(notices).where(notices.c.lead_id == lead_id, notices.c.unsettled == 1).values(unsettled=0)
    )


def find_last(connection: Connection, kind: str) -> datetime | None:
    """When a notice of that kind was last made."""
    found: datetime | None = connection.execute(
        select(func.max(notices.c.made_at)).where(notices.c.kind == kind)
    ).scalar()
    return found


def list_unsent(
    connection: Connection, *, tries: int = 0, customers: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """What waits to be told after so many tries, for the operator: no address, no personal data.

    With `customers`, of their leads alone.
    """
    waiting = select(notices).where(IS_DUE, notices.c.tries >= tries).order_by(notices.c.id)
    if customers is not None:
        theirs = select(outbox.c.lead_id).where(outbox.c.customer_id.in_(customers))
        waiting = waiting.where(notices.c.lead_id.in_(theirs))
    rows = connection.execute(waiting)
    return [
        {
            "kind": row.kind,
            "channel": row.channel,
            "leadId": row.lead_id,
            "madeAt": row.made_at,
            "tries": row.tries,
            "nextTryAt": row.due_at,
            "failure": row.failure,
        }
        for row in rows
    ]
