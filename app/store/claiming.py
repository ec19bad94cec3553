"""Who is next: the due leads, fairly by form, with open gates, sound destinations and nobody in each other's way."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
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
from app.store.leads import list_forms
from app.store.operator import mark_restored
from app.store.schema import IS_PENDING, IS_UNRESOLVED, attempts, gates, outbox
from app.store.turns import take_turns
from app.store.words import Claim

_log = get_logger("store")

_READ = CallGroup.READ.value
_NOT_KNOWN = ("open", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of the due leads a worker may take."""

    after_form: str | None = None
    """The form served last: the others come first."""
    shut: frozenset[str] = frozenset()
    """Logins whose destination is not called at all for now."""
    allowances: Mapping[frozenset[str], int] = field(default_factory=dict)
    """Logins of destinations that are being tried, and how many of their leads may be under way."""
    per_customer: int | None = None
    """How many leads of one customer may be under way."""
    suspects: bool | None = None
    """Only those whose claim ended in a crash, which are worked on alone; or only the others; None for all."""
    lead_id: str | None = None
    """This lead and no other."""


_ANY = Selection()


def claim_in_order(
    connection: Connection,
    *,
    steps_back: Callable[[Connection], bool],
    settle: timedelta,
    now: datetime,
    leased_until: datetime,
    selection: Selection = _ANY,
) -> Claim | None:
    """The next lead; none from a store that has stepped back in time until each is marked to be looked for first."""
    if steps_back(connection):
        count = mark_restored(connection, first_look_at=now + settle, now=now)
        _log.error("store_stepped_back", leads=count)
        return None
    return claim_next(connection, now=now, leased_until=leased_until, selection=selection)


def claim_next(
    connection: Connection, *, now: datetime, leased_until: datetime, selection: Selection = _ANY
) -> Claim | None:
    """Takes the due lead whose turn it is."""
    # What another worker is about to lease cannot be seen: claims are made one after the other.
    take_turns(connection, ["claim"])
    due = _due(connection, selection, now=now)
    lead_id = _find(connection, due, selection)
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
    begin_probe(connection, login=row.login, customer_id=row.customer_id, now=now, leased_until=leased_until)
    return claim


def find_suspects(connection: Connection, *, now: datetime) -> bool:
    """Whether a lead is due that must be worked on alone."""
    crashed = exists().where(
        IS_PENDING, outbox.c.crashes > literal_column("0"), outbox.c.next_attempt_at <= now, _is_free(now)
    )
    expired = exists().where(IS_PENDING, outbox.c.leased_until <= now)
    return bool(connection.execute(select(or_(crashed, expired))).scalar_one())


def _is_suspect() -> ColumnElement[bool]:
    # An expired lease is a crash not yet counted.
    return or_(outbox.c.crashes > 0, outbox.c.leased_until.is_not(None))


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= now)


def _due(connection: Connection, selection: Selection, *, now: datetime) -> Select[Any]:
    other = outbox.alias("other")
    conditions: list[ColumnElement[bool]] = [
        IS_PENDING,
        outbox.c.next_attempt_at <= now,
        _is_free(now),
        # A closed gate lets nobody through until its probe is due; then the probe's taker moves it on.
        # Looked up once a claim, not once a lead: a backlog of fifty thousand may wait behind one.
        tuple_(outbox.c.login, outbox.c.customer_id).not_in(
            select(gates.c.login, gates.c.customer_id).where(
                gates.c.call_group != _READ, gates.c.probe_at > now
            )
        ),
        # Two leads of one person at once would race into two contacts.
        ~exists().where(
            other.c.leased_until > now,
            other.c.lead_id != outbox.c.lead_id,
            _beside_index(other.c.customer_id) == outbox.c.customer_id,
            or_(other.c.email_key == outbox.c.email_key, other.c.phone_key == outbox.c.phone_key),
        ),
    ]
    if selection.suspects is not None:
        conditions.append(_is_suspect() if selection.suspects else ~_is_suspect())
    if selection.lead_id is not None:
        conditions.append(outbox.c.lead_id == selection.lead_id)
    if shut := _find_shut(connection, selection, now=now):
        conditions.append(outbox.c.login.not_in(shut))
    if selection.per_customer is not None:
        under_way = outbox.alias("under_way")
        count = (
            select(func.count())
            .where(
                under_way.c.leased_until > now,
                _beside_index(under_way.c.customer_id) == outbox.c.customer_id,
            )
            .scalar_subquery()
        )
        conditions.append(count < selection.per_customer)
    # A row that an operator is deciding on is passed over.
    return select(outbox.c.lead_id).where(*conditions).limit(1).with_for_update(skip_locked=True, of=outbox)


def _beside_index(column: ColumnElement[str]) -> ColumnElement[str]:
    """As an expression, or a planner may walk through all of a customer's leads instead of the few that are leased."""
    return func.coalesce(column, "")


def _find_shut(connection: Connection, selection: Selection, *, now: datetime) -> frozenset[str]:
    shut = set(selection.shut)
    for logins, allowance in selection.allowances.items():
        under_way = select(func.count()).where(outbox.c.leased_until > now, outbox.c.login.in_(logins))
        if connection.execute(under_way).scalar_one() >= allowance:
            shut |= logins
    return frozenset(shut)


def _find(connection: Connection, due: Select[Any], selection: Selection) -> str | None:
    if selection.suspects:
        # The poison lead is the one that crashes again: its neighbours go before it.
        suspect: str | None = connection.execute(
            due.order_by(outbox.c.crashes, outbox.c.next_attempt_at, outbox.c.lead_id)
        ).scalar()
        return suspect
    if 1 in selection.allowances.values():
        # A destination that comes back is asked first for what it may have taken.
        unresolved = exists().where(attempts.c.lead_id == outbox.c.lead_id, IS_UNRESOLVED)
        found: str | None = connection.execute(
            due.order_by(case((unresolved, 0), else_=1), outbox.c.next_attempt_at)
        ).scalar()
        return found
    for form in _rotate(list_forms(connection, IS_PENDING), after=selection.after_form):
        ordered = due.where(outbox.c.form == form).order_by(outbox.c.next_attempt_at, outbox.c.lead_id)
        if (lead_id := connection.execute(ordered).scalar()) is not None:
            return str(lead_id)
    return None


def _rotate(forms: Sequence[str], *, after: str | None) -> Iterable[str]:
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
        fence=row.fence,
        leased_until=leased_until,
        tries=row.tries,
        crashes=row.crashes,
        payload_version=row.payload_version,
        contact_id=row.contact_id,
        has_open_create=last.get("create") in _NOT_KNOWN,
        contact_unknown=last.get("contact") in _NOT_KNOWN,
        may_not_read=read_gate is not None and read_gate > now,
        reconcile_first=row.reconcile_first > 0,
        may_be_forgotten=row.reconcile_first > 1,
        resolved_anew=bool(row.resolved_anew),
        fallen_back=bool(row.fallen_back),
        possible_duplicate=bool(row.possible_duplicate),
    )
