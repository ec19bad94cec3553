"""Who is next: the due leads, fairly by form, with open gates, sound destinations and nobody in each other's way."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from app.forms.model import CallGroup
from app.log import get_logger
from app.store.gates import begin_probe
from app.store.operator import mark_restored
from app.store.queues import Queue, Selection, find_open_queues
from app.store.reconciling import DENIED, FORGOTTEN
from app.store.schema import IS_PENDING, IS_UNRESOLVED, Instant, attempts, gates, outbox
from app.store.turns import take_turns
from app.store.words import Claim

_log = get_logger("store")

_READ = CallGroup.READ.value
_NOT_KNOWN = ("open", "unknown")


_ANY = Selection()


def claim_in_order(
    connection: Connection,
    *,
    steps_back: Callable[[Connection], bool],
    settle: timedelta,
    now: datetime,
    leased_until: datetime,
    selection: Selection = _ANY,
    alone: bool = True,
) -> Claim | None:
    """The next lead; none from a store that has stepped back in time until each is marked to be looked for first.

    A suspect of crashes goes before all others, and to nobody who is not `alone`.
    """
    if steps_back(connection):
        count = mark_restored(connection, first_look_at=now + settle, now=now)
        _log.error("store_stepped_back", leads=count)
        return None
    take = partial(claim_next, connection, now=now, leased_until=leased_until)
    if find_suspects(connection, now=now):
        suspects = replace(selection, suspects=True)
        if not alone and _find_due(connection, suspects, now=now) is not None:
            return None
        if alone and (claim := take(selection=suspects)) is not None:
            return claim
        # Those that there are may not go, and hold up nobody.
    return take(selection=replace(selection, suspects=False))


def claim_next(
    connection: Connection, *, now: datetime, leased_until: datetime, selection: Selection = _ANY
) -> Claim | None:
    """Takes the due lead whose turn it is."""
    # What another worker is about to lease cannot be seen: claims are made one after the other.
    take_turns(connection, ["claim"])
    lead_id = _find_due(connection, selection, now=now)
    if lead_id is None:
        return None
    row = connection.execute(
        update(outbox)
        .where(outbox.c.lead_id == lead_id)
        .values(
            fence=outbox.c.fence + 1,
            leased_until=leased_until,
            # A lease that ran out had a holder that never came to an end.
            crashes=outbox.c.crashes + case((outbox.c.leased_until.is_not(None), 1), else_=0),
        )
        .returning(outbox)
    ).one()
    claim = _read_claim(connection, row, now=now, leased_until=leased_until)
    begin_probe(
        connection,
        login=row.login,
        customer_id=row.customer_id,
        groups=_list_groups(claim),
        now=now,
        leased_until=leased_until,
    )
    return claim


def _list_groups(claim: Claim) -> list[CallGroup]:
    """The calls that its turn may make."""
    if not claim.has_open_create:
        return list(CallGroup)
    return [CallGroup.READ] if claim.contact_id else [CallGroup.READ, CallGroup.CONTACT]


def find_suspects(connection: Connection, *, now: datetime) -> bool:
    """Whether a lead is due that must be worked on alone."""
    return bool(connection.execute(_select_suspects(), {"now": now}).scalar_one())


# Statements of every claim are made once: to put one together costs more than to run it.
_NOW = bindparam("now", type_=Instant)


@cache
def _select_suspects() -> Select[Any]:
    crashed = exists().where(
        IS_PENDING, outbox.c.crashes > literal_column("0"), outbox.c.next_attempt_at <= _NOW, _is_free()
    )
    expired = exists().where(IS_PENDING, outbox.c.leased_until <= _NOW)
    return select(or_(crashed, expired))


def _is_suspect() -> ColumnElement[bool]:
    # An expired lease is a crash not yet counted.
    return or_(outbox.c.crashes > 0, outbox.c.leased_until.is_not(None))


def _list_suspects() -> CompoundSelect[Any]:
    """By their own small indexes, however many others wait."""
    crashed = select(outbox.c.lead_id).where(IS_PENDING, outbox.c.crashes > literal_column("0"))
    return crashed.union(select(outbox.c.lead_id).where(outbox.c.leased_until.is_not(None)))


def _is_free() -> ColumnElement[bool]:
    return or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= _NOW)


@cache
def _select_due(*, suspects: bool | None) -> Select[Any]:
    other = outbox.alias("other")
    conditions: list[ColumnElement[bool]] = [
        IS_PENDING,
        outbox.c.next_attempt_at <= _NOW,
        _is_free(),
        # Two leads of one person at once would race into two contacts.
        ~exists().where(
            other.c.leased_until > _NOW,
            other.c.lead_id != outbox.c.lead_id,
            # As an expression, or a planner may walk through all of a customer's leads instead of the few leased.
            func.coalesce(other.c.customer_id, "") == outbox.c.customer_id,
            or_(other.c.email_key == outbox.c.email_key, other.c.phone_key == outbox.c.phone_key),
        ),
    ]
    if suspects is not None:
        conditions.append(outbox.c.lead_id.in_(_list_suspects()) if suspects else ~_is_suspect())
    # A row that an operator is deciding on is passed over.
    return select(outbox.c.lead_id).where(*conditions).limit(1).with_for_update(skip_locked=True, of=outbox)


def _is_unresolved() -> ColumnElement[bool]:
    return outbox.c.lead_id.in_(select(attempts.c.lead_id).where(IS_UNRESOLVED))


def _only_reads() -> ColumnElement[bool]:
    """It is looked for, and known where: a contact that must be found first is asked for by another gate."""
    return and_(_is_unresolved(), outbox.c.contact_id.is_not(None))


@cache
def _select_next(*, suspects: bool | None, gated: bool) -> Select[Any]:
    """Of one queue."""
    columns = (outbox.c.form, outbox.c.login, outbox.c.customer_id)
    due = _select_due(suspects=suspects)
    if gated:
        # As expressions, or a planner may walk through all that wait instead of the few that are looked for.
        named = (func.coalesce(column, "") == bindparam(column.name) for column in columns)
        due = due.where(_only_reads(), *named)
    else:
        due = due.where(*(column == bindparam(column.name) for column in columns))
    return due.add_columns(outbox.c.next_attempt_at).order_by(outbox.c.next_attempt_at, outbox.c.lead_id)


def _find_due(connection: Connection, selection: Selection, *, now: datetime) -> str | None:
    open_queues = find_open_queues(connection, selection, now=now)
    if not open_queues:
        return None
    anywhere = _select_due(suspects=selection.suspects).where(_is_in(open_queues))
    if selection.lead_id is not None:
        return _first(connection, anywhere.where(outbox.c.lead_id == selection.lead_id), now=now)
    if selection.suspects:
        # The poison lead is the one that crashes again: its neighbours go before it.
        return _first(connection, anywhere.order_by(outbox.c.crashes, outbox.c.next_attempt_at), now=now)
    if selection.looks_first:
        tried = _select_due(suspects=selection.suspects).where(
            _is_unresolved(), _is_in([one for one in open_queues if one.login in selection.looks_first])
        )
        # The one that has failed the least often.
        lead_id = _first(connection, tried.order_by(outbox.c.tries, outbox.c.next_attempt_at), now=now)
        if lead_id is not None:
            return lead_id
    for form in _rotate(sorted({queue.form for queue in open_queues}), after=selection.after_form):
        queues = (queue for queue in open_queues if queue.form == form)
        heads = (_first_of(connection, queue, selection, now=now) for queue in queues)
        found = min(filter(None, heads), default=None)
        if found is not None:
            return found[1]
    return None


def _is_in(queues: Sequence[Queue]) -> ColumnElement[bool]:
    name = tuple_(outbox.c.form, outbox.c.login, outbox.c.customer_id)
    free = name.in_([queue.name for queue in queues if not queue.gated])
    gated = [queue.name for queue in queues if queue.gated]
    return or_(free, and_(_only_reads(), name.in_(gated))) if gated else free


def _first(connection: Connection, due: Select[Any], *, now: datetime) -> str | None:
    found: str | None = connection.execute(due, {"now": now}).scalar()
    return found


def _first_of(
    connection: Connection, queue: Queue, selection: Selection, *, now: datetime
) -> tuple[datetime, str] | None:
    """Since when its first lead that may go is due, and its id."""
    form, login, customer_id = queue.name
    row = connection.execute(
        _select_next(suspects=selection.suspects, gated=queue.gated),
        {"now": now, "form": form, "login": login, "customer_id": customer_id},
    ).first()
    return None if row is None else (row.next_attempt_at, row.lead_id)


def _rotate(forms: Sequence[str], *, after: str | None) -> Sequence[str]:
    """Those after the one served last before it."""
    later = [form for form in forms if after is not None and form > after]
    return [*later, *(form for form in forms if form not in later)]


def _read_claim(connection: Connection, row: Row[Any], *, now: datetime, leased_until: datetime) -> Claim:
    calls = connection.execute(
        select(attempts.c.kind, attempts.c.outcome)
        .where(attempts.c.lead_id == row.lead_id)
        .order_by(attempts.c.id)
    )
    last = {call.kind: call.outcome for call in calls}
    read_gate = connection.execute(
        select(gates.c.probe_at).where(
            gates.c.login == row.login,
            gates.c.customer_id == row.customer_id,
            gates.c.call_group == _READ,
        )
    ).scalar()
    return Claim(
        lead_id=row.lead_id,
        form=row.form,
        login=row.login,
        customer_id=row.customer_id,
        fence=row.fence,
        leased_until=leased_until,
        pending_since=row.state_at,
        tries=row.tries,
        crashes=row.crashes,
        payload_version=row.payload_version,
        contact_id=row.contact_id,
        has_open_create=last.get("create") in _NOT_KNOWN,
        may_not_read=read_gate is not None and read_gate > now,
        reconcile_first=row.reconcile_first > 0,
        may_be_forgotten=row.reconcile_first >= FORGOTTEN,
        was_denied=row.reconcile_first == DENIED,
        resolved_anew=bool(row.resolved_anew),
        fallen_back=bool(row.fallen_back),
        possible_duplicate=bool(row.possible_duplicate),
    )
