"""What must never be, looked for: what the schema cannot forbid in one row. Cheap, however much was delivered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal_column, select

from app.identity import earliest_id
from app.lead import LeadState
from app.store.schema import IS_PENDING, IS_UNRESOLVED, attempts, leads, outbox, payloads

SLICE = 5000
"""Leads of all that were ever kept that one audit walks; the next goes on where it ended."""
_TOLD = 100
"""More of one kind are not counted."""
_RECENT = timedelta(minutes=10)
_CLOCKS_APART = timedelta(minutes=5)
_SETTLED_WITHIN = timedelta(hours=1)
"""After a create's deadline, when nobody is at work on it any more."""

_WAITS_FOR_PEOPLE = outbox.c.state.in_(
    literal_column(f"'{state}'") for state in (LeadState.HELD, LeadState.QUARANTINED)
)
_CREATE = attempts.c.kind == literal_column("'create'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far ahead a worker may write a time, by the operator's terms."""

    lease: timedelta
    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    violations: Mapping[str, Sequence[str]]
    """The leads of each invariant that is broken, at most a hundred; empty for one that holds."""
    walked_to: str
    """The lead that the next audit's walk begins after; empty for the first of all."""


def audit(connection: Connection, *, now: datetime, bounds: Bounds, walk_from: str = "") -> Audit:
    found = {name: _list(connection, find(now, bounds)) for name, find in _UNDELIVERED.items()}
    found["received_in_the_future"] = _find_future(connection, now=now)
    recent = _Part(after=earliest_id(now - _RECENT))
    walked = _find_slice(connection, walk_from)
    for name, find_among in _AMONG.items():
        parts = (_list(connection, find_among(part)) for part in (recent, walked))
        found[name] = list(dict.fromkeys(chain(*parts)))
    return Audit(violations=found, walked_to=walked.last or "")


def _list(connection: Connection, statement: Select[Any]) -> list[str]:
    return list(connection.execute(statement.limit(_TOLD)).scalars())


def _undelivered(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Each half is met by its own partial index."""
    halves = (select(outbox.c.lead_id).where(half, *conditions) for half in (IS_PENDING, _WAITS_FOR_PEOPLE))
    lead_id = next(halves).union_all(*halves).subquery().c.lead_id
    return select(lead_id)


def _taken_but_not_delivered(_now: datetime, _bounds: Bounds) -> Select[Any]:
    """Vitec gave an id, and the lead is not delivered: it would be sent again."""
    taken = attempts.c.outcome == literal_column("'done'")
    return _undelivered(select(attempts.c.id).where(_of_lead(), _CREATE, taken).exists())


def _payload_missing(_now: datetime, _bounds: Bounds) -> Select[Any]:
    """What is in force cannot be sent."""
    kept = select(payloads.c.version).where(
        payloads.c.lead_id == outbox.c.lead_id, payloads.c.version == outbox.c.payload_version
    )
    return _undelivered(outbox.c.payload_version.is_not(None), ~kept.exists())


def _fence_stepped_back(_now: datetime, _bounds: Bounds) -> Select[Any]:
    """An attempt by a claim later than the newest: a decision of the past would count."""
    return _undelivered(select(attempts.c.id).where(_of_lead(), attempts.c.fence > outbox.c.fence).exists())


def _leased_for_ever(now: datetime, bounds: Bounds) -> Select[Any]:
    return select(outbox.c.lead_id).where(IS_PENDING, outbox.c.leased_until > now + bounds.lease)


def _due_never(now: datetime, bounds: Bounds) -> Select[Any]:
    any_form = outbox.c.form >= ""  # or SQLite would rather read the table than the queue's index
    return select(outbox.c.lead_id).where(IS_PENDING, any_form, outbox.c.next_attempt_at > now + bounds.wait)


def _suspect_was_sent(_now: datetime, _bounds: Bounds) -> Select[Any]:
    """Quarantined, and Vitec was asked to make it."""
    quarantined = outbox.c.state == literal_column(f"'{LeadState.QUARANTINED}'")
    sent = select(attempts.c.id).where(_of_lead(), _CREATE)
    return select(outbox.c.lead_id).where(_WAITS_FOR_PEOPLE, quarantined, sent.exists())


def _delivered_and_unresolved(now: datetime, _bounds: Bounds) -> Select[Any]:
    """In Vitec, while another create of it has not come to an end long after its deadline."""
    delivered = select(outbox.c.lead_id).where(_of_lead(), outbox.c.state == LeadState.DELIVERED)
    overdue = attempts.c.deadline_at < now - _SETTLED_WITHIN
    return select(attempts.c.lead_id).where(IS_UNRESOLVED, overdue, delivered.exists())


def _of_lead() -> ColumnElement[bool]:
    return attempts.c.lead_id == outbox.c.lead_id


_UNDELIVERED: dict[str, Callable[[datetime, Bounds], Select[Any]]] = {
    "taken_but_not_delivered": _taken_but_not_delivered,
    "payload_missing": _payload_missing,
    "fence_stepped_back": _fence_stepped_back,
    "leased_for_ever": _leased_for_ever,
    "due_never": _due_never,
    "suspect_was_sent": _suspect_was_sent,
    "delivered_and_unresolved": _delivered_and_unresolved,
}


def _find_future(connection: Connection, *, now: datetime) -> list[str]:
    """The newest lead, when the clock that dated it ran ahead."""
    dated = select(leads.c.id, leads.c.received_at).order_by(leads.c.id.desc()).limit(1)
    newest = connection.execute(dated).one_or_none()
    return [newest.id] if newest is not None and newest.received_at > now + _CLOCKS_APART else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Some of all leads, by their ids: both ends are met by any index that begins with one."""

    after: str
    last: str | None = None

    def holds(self, lead_id: ColumnElement[str]) -> ColumnElement[bool]:
        return lead_id > self.after if self.last is None else and_(lead_id > self.after, lead_id <= self.last)


def _find_slice(connection: Connection, walk_from: str) -> _Part:
    """The next slice of all leads there are; the last of them has no end."""
    ids = select(leads.c.id).where(leads.c.id > walk_from).order_by(leads.c.id)
    return _Part(after=walk_from, last=connection.execute(ids.offset(SLICE - 1).limit(1)).scalar())


def _nowhere(part: _Part) -> Select[Any]:
    """Kept, and in no queue: it would never be delivered, and nobody told."""
    kept = select(leads.c.id).where(part.holds(leads.c.id))
    placed = select(outbox.c.lead_id).where(part.holds(outbox.c.lead_id))
    return select(kept.except_(placed).subquery().c.id)


def _share_a_vitec_lead(part: _Part) -> Select[Any]:
    """Two leads that arrived about the same time, and are said to be the same one in Vitec."""
    return (
        select(func.min(outbox.c.lead_id))
        .where(part.holds(outbox.c.lead_id), outbox.c.vitec_lead_id.is_not(None))
        .group_by(outbox.c.customer_id, outbox.c.vitec_lead_id)
        .having(func.count() > 1)
    )


_AMONG: dict[str, Callable[[_Part], Select[Any]]] = {
    "nowhere": _nowhere,
    "share_a_vitec_lead": _share_a_vitec_lead,
}
