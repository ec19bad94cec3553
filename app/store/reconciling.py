"""Creates whose outcome is not known, and how far looking for them in Vitec has come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from app.lead import LeadState
from app.store.schema import EPOCH, IS_UNRESOLVED, Instant, attempts, events, leads, meta, outbox, read_paths

TICK = timedelta(seconds=1)
# What `reconcile_first` says of a lead that is looked for before anything is sent.
SENT_AGAIN = 1
"""By an operator, all its creates being known to have failed: one look."""
FORGOTTEN = 2
"""A create may not be on record: its absence must be proven."""
DENIED = 3
"""So it must, and the first look has been in vain."""
MAX_UNKNOWN_CREATES = 5
"""The first included; then a human decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCreate:
    """A create that may have reached Vitec."""

    attempt_id: int
    started_at: datetime
    deadline_at: datetime
    snapshot: frozenset[str] | None
    """The contact's lead ids before it; None when they could not be read."""
    observed: timedelta
    """Running time seen since it began, in ticks: no clock jump or sleep shortens it."""
    denied_at: timedelta | None
    """The observed time at which a first look after the settle time had been in vain."""
    number: int
    """Which of the lead's creates of unknown outcome this is since an operator last sent it, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPath:
    """Whether looking finds what is there, shown on a lead that we delivered."""

    contact_id: str
    vitec_lead_id: str
    lead_id: str
    reference: str
    proven_at: datetime | None
    checked_at: datetime | None


# A discarded lead's stays unknown, for whoever erases it, and is looked for no more.
_IS_LOOKED_FOR = exists().where(
    outbox.c.lead_id == attempts.c.lead_id,
    outbox.c.state.in_(literal_column(f"'{state}'") for state in (LeadState.PENDING, LeadState.HELD)),
)
IS_SOUGHT = and_(IS_UNRESOLVED, _IS_LOOKED_FOR)
"""Of an attempt: a create whose outcome is not known, and matters still."""


def has_unresolved(connection: Connection) -> bool:
    """Whether any create's outcome is not known whose lead may still be sent."""
    return bool(connection.execute(select(exists().where(IS_SOUGHT))).scalar_one())


def may_be_forgotten(connection: Connection, lead_id: str) -> bool:
    """Whether a create of the lead may not be on record, or was only concluded not to have happened."""
    restored = exists().where(events.c.lead_id == lead_id, events.c.kind == "restored")
    concluded = exists().where(attempts.c.lead_id == lead_id, attempts.c.outcome == "not_created")
    return bool(connection.execute(select(or_(restored, concluded))).scalar_one())


def load_open_create(connection: Connection, lead_id: str) -> OpenCreate | None:
    row = connection.execute(
        select(attempts).where(attempts.c.lead_id == lead_id, IS_UNRESOLVED)
    ).one_or_none()
    if row is None:
        return None
    retried_at = select(func.coalesce(func.max(events.c.at), literal(EPOCH, Instant))).where(
        events.c.lead_id == lead_id, events.c.kind == "retried"
    )
    earlier = select(func.count()).where(
        attempts.c.lead_id == lead_id,
        attempts.c.kind == "create",
        attempts.c.outcome == "not_created",
        attempts.c.started_at > retried_at.scalar_subquery(),
    )
    return OpenCreate(
        attempt_id=row.id,
        started_at=row.started_at,
        deadline_at=row.deadline_at,
        snapshot=None if row.snapshot is None else frozenset(row.snapshot),
        observed=timedelta(microseconds=row.settle_seen_us),
        denied_at=None if row.negative_seen_us is None else timedelta(microseconds=row.negative_seen_us),
        number=connection.execute(earlier).scalar_one() + 1,
    )


def find_owned(connection: Connection, vitec_lead_ids: Iterable[str], *, lead_id: str) -> frozenset[str]:
    """Those of Vitec's ids that are another lead's."""
    rows = connection.execute(
        select(outbox.c.vitec_lead_id).where(
            outbox.c.vitec_lead_id.in_(list(vitec_lead_ids)), outbox.c.lead_id != lead_id
        )
    )
    return frozenset(row.vitec_lead_id for row in rows)


def note_denial(connection: Connection, attempt_id: int) -> None:
    """The first look in vain that counts; the second must be asked at least one tick after its answer."""
    connection.execute(
        update(attempts)
        .where(attempts.c.id == attempt_id, attempts.c.negative_seen_us.is_(None))
        .values(negative_seen_us=attempts.c.settle_seen_us)
    )


def resolve_create(
    connection: Connection,
    attempt_id: int,
    *,
    outcome: str,
    now: datetime,
    vitec_id: str | None = None,
    detail: str | None = None,
) -> None:
    """Closes an unknown create: `done` with Vitec's id, or `not_created`."""
    connection.execute(
        update(attempts)
        .where(attempts.c.id == attempt_id, attempts.c.outcome.in_(("open", "unknown")))
        .values(
            outcome=outcome,
            finished_at=func.coalesce(attempts.c.finished_at, literal(now, Instant)),
            vitec_id=vitec_id,
            detail=detail,
        )
    )


def tick(connection: Connection, *, now: datetime) -> bool:
    """Credits one second of observed time to every create that is sought; at most once a second among all workers.

    A clock that jumped ahead credits one second, one that jumped back none: time is only ever lost.
    """
    moment = str(int(now.timestamp() * 1000))
    last = connection.execute(select(meta.c.value).where(meta.c.name == "ticked_at")).scalar()
    if last is None:
        connection.execute(insert(meta).values(name="ticked_at", value=moment))
        return False
    elapsed = int(moment) - int(last)
    if 0 <= elapsed < TICK / timedelta(milliseconds=1):
        return False
    taken = connection.execute(
        update(meta).where(meta.c.name == "ticked_at", meta.c.value == last).values(value=moment)
    )
    if taken.rowcount == 0 or elapsed < 0:
        return False
    connection.execute(
        update(attempts)
        .where(IS_SOUGHT)
        .values(settle_seen_us=attempts.c.settle_seen_us + int(TICK / timedelta(microseconds=1)))
    )
    return True


def load_read_path(connection: Connection, base_url: str, login: str, customer_id: str) -> ReadPath | None:
    row = connection.execute(select(read_paths).where(*_is(base_url, login, customer_id))).one_or_none()
    if row is None:
        return None
    return ReadPath(
        contact_id=row.contact_id,
        vitec_lead_id=row.vitec_lead_id,
        lead_id=row.lead_id,
        reference=row.reference,
        proven_at=row.proven_at,
        checked_at=row.checked_at,
    )


def find_canary(
    connection: Connection, login: str, customer_id: str, *, other_than: str | None
) -> ReadPath | None:
    """The newest delivered lead of an account, to be looked for from now on; of any contact but that one."""
    row = connection.execute(
        select(outbox.c.lead_id, outbox.c.contact_id, outbox.c.vitec_lead_id, leads.c.reference)
        .join_from(outbox, leads, leads.c.id == outbox.c.lead_id)
        .where(
            outbox.c.state == LeadState.DELIVERED,
            outbox.c.login == login,
            outbox.c.customer_id == customer_id,
            outbox.c.contact_id.is_not(None),
            outbox.c.contact_id != other_than,
        )
        .order_by(outbox.c.lead_id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else ReadPath(**row._mapping, proven_at=None, checked_at=None)  # noqa: SLF001 - SQLAlchemy's public name


def keep_canary(
    connection: Connection, base_url: str, login: str, customer_id: str, *, path: ReadPath
) -> None:
    """The lead to look for next time, and what the last look at one showed."""
    values = {
        "contact_id": path.contact_id,
        "vitec_lead_id": path.vitec_lead_id,
        "lead_id": path.lead_id,
        "reference": path.reference,
        "proven_at": path.proven_at,
        "checked_at": path.checked_at,
    }
    known = connection.execute(update(read_paths).where(*_is(base_url, login, customer_id)).values(values))
    if known.rowcount == 0:
        connection.execute(
            insert(read_paths).values(base_url=base_url, login=login, customer_id=customer_id, **values)
        )


def _is(base_url: str, login: str, customer_id: str) -> Sequence[ColumnElement[bool]]:
    return (
        read_paths.c.base_url == base_url,
        read_paths.c.login == login,
        read_paths.c.customer_id == customer_id,
    )
