"""What is there to be told about leads, and has not been told yet."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select

from app.identity import earliest_id
from app.lead import LeadState
from app.store.schema import IS_PENDING, IS_UNSETTLED, events, leads, notices, outbox

_IS_HELD = outbox.c.state == LeadState.HELD.value
OFFICE_KINDS = ("held", "late")
"""Notices by which an office gets a lead whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A lead, and since when it has been so."""

    lead_id: str
    form: str
    since: datetime


def find_untold_held(connection: Connection) -> list[Item]:
    """Held leads whose office has not been told of this holding."""
    told = exists().where(
        notices.c.lead_id == outbox.c.lead_id,
        notices.c.kind == "held",
        notices.c.since == outbox.c.state_at,
    )
    return _list(connection, _IS_HELD, ~told)


def find_untold_late(connection: Connection, *, before: datetime) -> list[Item]:
    """Leads that have waited for Vitec since before then, and that their office neither has nor is about to get.

    A mail that was dropped told nobody. One of this very wait is not written again: there was nothing to tell.
    """
    of_lead = notices.c.lead_id == outbox.c.lead_id
    told = exists().where(of_lead, notices.c.kind.in_(OFFICE_KINDS), notices.c.state != "dropped")
    dropped = exists().where(of_lead, notices.c.kind == "late", notices.c.since == outbox.c.state_at)
    return _list(connection, IS_PENDING, outbox.c.state_at <= before, ~told, ~dropped)


def find_untold_landed(connection: Connection) -> list[Item]:
    """Delivered leads that their office was sent whole."""
    return _list(connection, outbox.c.state == LeadState.DELIVERED, _was_sent(), ~_is_being_sent())


def find_closed(connection: Connection) -> list[Item]:
    """Leads that an office was told of, or was about to be, and that are settled otherwise: nothing follows."""
    unsent = and_(outbox.c.state == LeadState.DELIVERED, ~_was_sent(), ~_is_being_sent())
    over = outbox.c.state.in_((LeadState.DISCARDED, LeadState.QUARANTINED))
    unsettled = exists().where(notices.c.lead_id == outbox.c.lead_id, IS_UNSETTLED)
    return _list(connection, unsettled, over | unsent)


def _was_sent() -> ColumnElement[bool]:
    return exists().where(notices.c.lead_id == outbox.c.lead_id, IS_UNSETTLED, notices.c.state == "sent")


def _is_being_sent() -> ColumnElement[bool]:
    return exists().where(
        notices.c.lead_id == outbox.c.lead_id, IS_UNSETTLED, notices.c.leased_until.is_not(None)
    )


def find_unsettled(connection: Connection, *, told_before: datetime) -> list[Item]:
    """Leads that an office was first sent whole before then, and that still need somebody; since when it has
    them. The oldest first."""
    told = func.min(notices.c.sent_at)
    rows = connection.execute(
        select(outbox.c.lead_id, outbox.c.form, told.label("since"))
        .join_from(notices, outbox, outbox.c.lead_id == notices.c.lead_id)
        .where(IS_UNSETTLED, outbox.c.state.in_((LeadState.HELD, LeadState.PENDING)))
        .group_by(outbox.c.lead_id, outbox.c.form)
        .having(told <= told_before)
        .order_by(told, outbox.c.lead_id)
    )
    return [Item(lead_id=row.lead_id, form=row.form, since=row.since) for row in rows]


def _list(connection: Connection, *conditions: ColumnElement[bool]) -> list[Item]:
    rows = connection.execute(
        select(outbox.c.lead_id, outbox.c.form, outbox.c.state_at)
        .where(*conditions)
        .order_by(outbox.c.lead_id)
    )
    return [Item(lead_id=row.lead_id, form=row.form, since=row.state_at) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A lead whose visitor may want a receipt."""

    lead_id: str
    form: str
    state: LeadState
    email_key: str | None
    score: float
    """Of what spoke against it when it came."""


def find_unreceipted(connection: Connection, *, forms: Collection[str], since: datetime) -> list[Sender]:
    """The leads of those forms since then for which nobody has thought of a receipt yet."""
    noted = exists().where(notices.c.lead_id == leads.c.id, notices.c.kind == "receipt")
    rows = connection.execute(
        select(leads.c.id, leads.c.form, leads.c.email_key, outbox.c.state, events.c.detail)
        .join_from(leads, outbox, outbox.c.lead_id == leads.c.id)
        .outerjoin(events, and_(events.c.lead_id == leads.c.id, events.c.kind == "suspected"))
        .where(leads.c.id >= earliest_id(since), leads.c.form.in_(forms), ~noted)
        .order_by(leads.c.id)
    )
    return [
        Sender(
            lead_id=row.id,
            form=row.form,
            state=LeadState(row.state),
            email_key=row.email_key,
            # What is sealed with a key that is missing may have been anything.
            score=row.detail.get("score", inf) if row.detail else 0,
        )
        for row in rows
    ]


def has_receipt(connection: Connection, email_key: str, *, now: datetime) -> bool:
    """Whether that address has been promised a receipt within the hour."""
    found = select(
        exists().where(
            notices.c.kind == "receipt",
            notices.c.made_at > now - timedelta(hours=1),
            notices.c.state != "dropped",
            notices.c.lead_id == leads.c.id,
            leads.c.email_key == email_key,
        )
    )
    return bool(connection.execute(found).scalar_one())


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many leads wait for Vitec, and since when the oldest does."""

    count: int
    since: datetime


def find_waiting(connection: Connection, *, before: datetime) -> Waiting | None:
    """Those that have waited since before then."""
    row = connection.execute(
        select(func.count().label("number"), func.min(outbox.c.state_at).label("since")).where(
            IS_PENDING, outbox.c.state_at <= before
        )
    ).one()
    return Waiting(count=row.number, since=row.since) if row.since is not None else None


def list_held(connection: Connection, *, limit: int) -> tuple[int, list[str]]:
    """How many are held, and the references of the newest."""
    count = connection.execute(select(func.count()).where(_IS_HELD)).scalar_one()
    newest = connection.execute(
        select(leads.c.reference)
        .join_from(leads, outbox, outbox.c.lead_id == leads.c.id)
        .where(_IS_HELD)
        .order_by(outbox.c.state_at.desc())
        .limit(limit)
    ).scalars()
    return count, list(newest)
