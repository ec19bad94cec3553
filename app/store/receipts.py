"""What is left of a lead whose time is over: its receipt, without anything of the person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, delete, insert, literal_column, null, select, update

from app.forms.model import Retention
from app.lead import LeadState
from app.store.history import add_event
from app.store.leads import list_forms
from app.store.schema import IS_KEPT, attempts, events, leads, meta, outbox, payloads
from app.store.turns import take_turns

PURGED = "purged"


@dataclass(frozen=True, slots=True)
class Expired:
    """Leads of one state that have been kept long enough."""

    state: LeadState
    lead_ids: tuple[str, ...]


def leave_receipt(
    connection: Connection, lead_id: str, *, why: str, now: datetime, actor: str | None
) -> None:
    """Ids, reference, form, times, outcome, Vitec's lead id, and who decided what; the rest is overwritten.

    A lead that nobody delivered counts as discarded from now on. Idempotency keys stand where they are.
    """
    nobody: dict[str, Any] = {"email_key": None, "phone_key": None}
    connection.execute(
        update(leads).where(leads.c.id == lead_id).values(body="", fingerprint="", follows=None, **nobody)
    )
    delivered = outbox.c.state == LeadState.DELIVERED
    receipt = {"purged_at": now, "contact_id": None, "payload_version": None, "leased_until": None, **nobody}
    connection.execute(
        update(outbox).where(outbox.c.lead_id == lead_id, delivered).values(reason=None, **receipt)
    )
    connection.execute(
        update(outbox)
        .where(outbox.c.lead_id == lead_id, ~delivered)
        .values(state=LeadState.DISCARDED, reason=why, **receipt)
    )
    connection.execute(delete(payloads).where(payloads.c.lead_id == lead_id))
    # The rows stay: the newest attempt's number tells how far the store has come, and none may be given twice.
    made = case((attempts.c.kind == "create", attempts.c.vitec_id), else_=null())
    connection.execute(
        update(attempts)
        .where(attempts.c.lead_id == lead_id)
        .values(detail=None, snapshot=null(), vitec_id=made)
    )
    connection.execute(delete(events).where(events.c.lead_id == lead_id, events.c.actor.is_(None)))
    connection.execute(update(events).where(events.c.lead_id == lead_id).values(detail={}))
    add_event(connection, lead_id, why, now=now, actor=actor)


def find_expired(
    connection: Connection, retention: Mapping[str, Retention], *, now: datetime, limit: int
) -> list[Expired]:
    """At most `limit` leads of each form and state. A form without rules of its own has the usual ones."""
    found = []
    for form in list_forms(connection, IS_KEPT):
        terms = retention.get(form, Retention())
        for state, since, age in (
            (LeadState.DELIVERED, outbox.c.state_at, terms.delivered),
            (LeadState.DISCARDED, outbox.c.state_at, terms.discarded),
            # Nobody's suspicion goes unseen: its time begins when a digest has named it.
            (LeadState.QUARANTINED, outbox.c.named_at, terms.quarantined),
        ):
            lead_ids = _find(connection, form, state, since <= now - age, limit)
            if lead_ids:
                found.append(Expired(state, lead_ids))
    return found


def _find(
    connection: Connection, form: str, state: LeadState, is_old: ColumnElement[bool], limit: int
) -> tuple[str, ...]:
    statement = (
        select(outbox.c.lead_id)
        .where(IS_KEPT, outbox.c.form == form, outbox.c.state == literal_column(f"'{state}'"), is_old)
        .limit(limit)
    )
    return tuple(connection.execute(statement).scalars())


def purge_expired(connection: Connection, expired: Expired, *, now: datetime) -> int:
    """How many of them are still what they were when they were found, and have gone."""
    still = connection.execute(
        select(outbox.c.lead_id)
        .where(
            outbox.c.lead_id.in_(expired.lead_ids),
            outbox.c.state == expired.state,
            outbox.c.purged_at.is_(None),
        )
        .with_for_update()
    ).scalars()
    lead_ids = list(still)
    for lead_id in lead_ids:
        leave_receipt(connection, lead_id, why=PURGED, now=now, actor=None)
    return len(lead_ids)


def is_purge_due(connection: Connection, *, now: datetime, every: timedelta) -> bool:
    last = connection.execute(select(meta.c.value).where(meta.c.name == _LAST)).scalar()
    return last is None or not _read_moment(last) <= now < _read_moment(last) + every


def take_purge(connection: Connection, *, now: datetime, every: timedelta) -> bool:
    """Whether this process is the one that purges now: of all that share the store one does."""
    take_turns(connection, ["purge"])
    if not is_purge_due(connection, now=now, every=every):
        return False
    moment = {"value": now.isoformat()}
    known = connection.execute(update(meta).where(meta.c.name == _LAST).values(moment))
    if known.rowcount == 0:
        connection.execute(insert(meta).values(name=_LAST, **moment))
    return True


_LAST = "purge_begun_at"


def _read_moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
