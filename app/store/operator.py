"""What a person decides about a lead. Each function is one transaction's part, and leaves an event and a trail."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, literal, not_, select, update

from app.errors import KeyMissing, LeadNotFound, OperatorError
from app.lead import Account, Lead, LeadState
from app.store.audit import add_audit
from app.store.history import add_event
from app.store.inbox import find_place
from app.store.leads import find_lead_id, load_lead
from app.store.outbox import forget_words, has_unresolved_create
from app.store.reconciling import FORGOTTEN, SENT_AGAIN, load_open_create, resolve_create
from app.store.schema import EPOCH, Instant, leads, outbox
from app.store.words import Edit

Locate = Callable[[Lead], Account | None]
"""Where a lead goes by the forms file in force; None where that cannot be told."""


def _nowhere(_: Lead) -> None:
    return None


Decide = Callable[..., object]
"""One of the decisions below, with what it needs beside the lead, the moment and the person."""


def decide_on(
    connection: Connection,
    name: str,
    decide: Decide,
    *,
    customers: Collection[str] | None,
    now: datetime,
    actor: str,
) -> str:
    """A decision by somebody who sees these customers' leads alone. The lead's id.

    Raises LeadNotFound, also for a lead of another customer, or OperatorError.
    """
    lead_id = find_place(connection, find_lead_id(connection, name), customers=customers).lead_id
    decide(connection, lead_id, now=now, actor=actor)
    return lead_id


def retry_lead(
    connection: Connection, lead_id: str, *, locate: Locate = _nowhere, now: datetime, actor: str
) -> None:
    """A held lead becomes pending. One that may exist in Vitec is looked for there before it is sent again."""
    row = _require(connection, lead_id, now=now, states={LeadState.HELD, LeadState.PENDING}, verb="retried")
    connection.execute(
        update(outbox)
        .where(outbox.c.lead_id == lead_id)
        .values(
            state=LeadState.PENDING,
            state_at=now if row.state == LeadState.HELD else outbox.c.state_at,
            reason=None,
            next_attempt_at=_not_before_first_look(now),
            tries=0,
            crashes=0,
            leased_until=None,
            fence=outbox.c.fence + 1,  # whoever held it before has no say any more
            reconcile_first=case((_MAY_BE_FORGOTTEN, FORGOTTEN), else_=SENT_AGAIN),
            **_forget_payload(connection, lead_id, locate, customer_id=row.customer_id),
        )
    )
    _record(connection, lead_id, "retried", row, now=now, actor=actor)


_MAY_BE_FORGOTTEN = outbox.c.reconcile_first > SENT_AGAIN


def _not_before_first_look(now: datetime) -> ColumnElement[datetime]:
    """At once; but a create that a restored store has forgotten must have come to its end, whoever is in a hurry."""
    put_off = and_(_MAY_BE_FORGOTTEN, outbox.c.next_attempt_at > now)
    return case((put_off, outbox.c.next_attempt_at), else_=literal(now, Instant))


def _forget_payload(
    connection: Connection, lead_id: str, locate: Locate, *, customer_id: str
) -> dict[str, int | str | None]:
    """What was refused may be mapped anew, unless a create of the old payload may have reached Vitec.

    It gets one look all the same: a person decided, and people err about what has arrived.
    """
    if has_unresolved_create(connection, lead_id):
        return {}
    filed = _file_anew(connection, lead_id, locate)
    forgotten = {"payload_version": None, "resolved_anew": 0, "fallen_back": 0, **filed}
    moves = filed.get("customer_id", customer_id) != customer_id
    return forgotten | {"contact_id": None} if moves else forgotten


def _file_anew(connection: Connection, lead_id: str, locate: Locate) -> dict[str, str]:
    """Whose leads it waits among now: a customer that was mistyped may refuse us for ever."""
    try:
        account = locate(load_lead(connection, lead_id))
    except (ValueError, KeyMissing):  # it stays where it is: delivery has more to say of it
        return {}
    return {} if account is None else {"login": account.login, "customer_id": account.customer_id}


def edit_lead(
    connection: Connection,
    lead_id: str,
    *,
    edit: Edit,
    locate: Locate = _nowhere,
    now: datetime,
    actor: str,
) -> None:
    """A held lead gets other words, and is on its way again. The former ones are nowhere any more.

    An address that was mistyped may be a stranger's, who would be found by it neither to export nor to erase it.

    Not while a create may have reached Vitec: what is looked for there must be what was sent.
    """
    row = _require(connection, lead_id, now=now, states={LeadState.HELD}, verb="corrected")
    if row.state_at != edit.held_since:
        raise OperatorError(
            f"lead {lead_id} has been sent meanwhile, and held again: look at it anew", code="held_anew"
        )
    if has_unresolved_create(connection, lead_id):
        raise OperatorError(
            f"lead {lead_id} may be in Vitec as it is: retry it, which looks for it there, before it is corrected",
            code="may_be_there",
        )
    if edit.fields:
        keys = {"email_key": edit.email_key, "phone_key": edit.phone_key}
        connection.execute(update(leads).where(leads.c.id == lead_id).values(body=edit.body, **keys))
        connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(keys))
        forget_words(connection, lead_id)
        _record(connection, lead_id, "edited", row, now=now, actor=actor, fields=list(edit.fields))
    retry_lead(connection, lead_id, locate=locate, now=now, actor=actor)


def release_lead(
    connection: Connection,
    lead_id: str,
    *,
    testing: Collection[str] = (),
    locate: Locate = _nowhere,
    now: datetime,
    actor: str,
) -> None:
    """A quarantined lead is to be delivered after all: it becomes pending. Not while its form is `testing`."""
    form = connection.execute(select(outbox.c.form).where(outbox.c.lead_id == lead_id)).scalar()
    if form in testing:
        raise OperatorError(
            f"form {form} is in test mode: nothing of it is sent; make it live, reload, and try again",
            code="testing",
            form=str(form),
        )
    row = _require(connection, lead_id, now=now, states={LeadState.QUARANTINED}, verb="released")
    connection.execute(
        update(outbox)
        .where(outbox.c.lead_id == lead_id)
        .values(
            state=LeadState.PENDING,
            state_at=now,
            reason=None,
            next_attempt_at=_not_before_first_look(now),
            tries=0,
            **_file_anew(connection, lead_id, locate),
        )
    )
    _record(connection, lead_id, "released", row, now=now, actor=actor)


def discard_lead(connection: Connection, lead_id: str, *, reason: str, now: datetime, actor: str) -> None:
    """A lead that shall not be delivered, for a reason."""
    if not reason.strip():
        raise OperatorError("say why it is discarded: --reason", code="no_reason")
    states = {LeadState.HELD, LeadState.PENDING, LeadState.QUARANTINED}
    row = _require(connection, lead_id, now=now, states=states, verb="discarded")
    connection.execute(
        update(outbox)
        .where(outbox.c.lead_id == lead_id)
        .values(state=LeadState.DISCARDED, state_at=now, reason=reason.strip(), leased_until=None)
    )
    _record(connection, lead_id, "discarded", row, now=now, actor=actor, reason=reason.strip())


def _record(
    connection: Connection,
    lead_id: str,
    kind: str,
    row: Row[Any, Any, Any, Any],
    *,
    now: datetime,
    actor: str,
    **detail: Any,
) -> None:
    """The details, which may name somebody, go with the lead; the trail outlives it."""
    add_event(connection, lead_id, kind, now=now, actor=actor, **detail)
    add_audit(connection, kind, actor=actor, now=now, lead_id=lead_id, customer_id=row.customer_id)


IN_VITEC = "it is in Vitec, says the office"


def confirm_in_vitec(connection: Connection, lead_id: str, *, now: datetime, actor: str) -> None:
    """Somebody has seen the lead in Vitec, or typed it in: it is not sent again, and not looked for either.

    Its id there is not known, so that it is discarded rather than delivered.
    """
    discard_lead(connection, lead_id, reason=IN_VITEC, now=now, actor=actor)
    if (create := load_open_create(connection, lead_id)) is not None:
        resolve_create(connection, create.attempt_id, outcome="done", now=now, detail=IN_VITEC)


def _require(
    connection: Connection, lead_id: str, *, now: datetime, states: set[LeadState], verb: str
) -> Row[Any, Any, Any, Any]:
    row = connection.execute(
        select(outbox.c.state, outbox.c.state_at, outbox.c.leased_until, outbox.c.customer_id)
        .where(outbox.c.lead_id == lead_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise LeadNotFound(f"there is no lead {lead_id}")
    if row.state not in states:
        raise OperatorError(
            f"lead {lead_id} is {row.state} and cannot be {verb}", code="other_state", state=row.state
        )
    if row.leased_until is not None and row.leased_until > now:
        raise OperatorError(
            f"lead {lead_id} is being delivered at this moment; try again in a minute", code="at_work"
        )
    return row


def mark_restored(
    connection: Connection, *, first_look_at: datetime, now: datetime, actor: str | None = None
) -> int:
    """After a restored backup: what is not delivered here may be so in Vitec, and is looked for before it is sent.

    Nothing is asked before `first_look_at`, when a create of the time before the restore must have come to an
    end. Said again before then, it puts nothing off. How many leads it marked.
    """
    undelivered = outbox.c.state.not_in((LeadState.DELIVERED, LeadState.DISCARDED))
    waits_already = and_(
        outbox.c.reconcile_first == FORGOTTEN,
        func.coalesce(outbox.c.next_attempt_at, literal(EPOCH, Instant)) > now,
    )
    marked = connection.execute(
        update(outbox)
        .where(undelivered, not_(waits_already))
        .values(
            reconcile_first=FORGOTTEN,
            next_attempt_at=first_look_at,
            leased_until=None,
            fence=outbox.c.fence + 1,
        )
        .returning(outbox.c.lead_id)
    ).scalars()
    lead_ids = list(marked)
    for lead_id in lead_ids:
        add_event(connection, lead_id, "restored", now=now, actor=actor)
    if actor is not None:  # otherwise the store noticed it by itself
        add_audit(connection, "restored", actor=actor, now=now, detail=f"{len(lead_ids)} leads")
    return len(lead_ids)
