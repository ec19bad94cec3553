"""The outbox's queues, one for each form, login and customer, and which of them may be served now."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import CTE, Connection, ScalarSelect, Select, func, select

from app.forms.model import CallGroup
from app.lead import Account
from app.store.gates import list_gates, open_gate
from app.store.schema import IS_PENDING, IS_UNRESOLVED, attempts, gates, is_pending, outbox
from app.store.words import GateKey


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
    looks_first: frozenset[str] = frozenset()
    """Logins of a destination that comes back: of their leads, one that it may have taken goes first."""
    suspects: bool | None = None
    """Only those whose claim ended in a crash, which are worked on alone; or only the others; None for all."""
    lead_id: str | None = None
    """This lead and no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Pending leads that one closed gate, or one destination's bad hour, keeps back together."""

    form: str
    login: str
    customer_id: str
    due_at: datetime
    """When the first of them is to be tried."""
    gated: bool = False
    """Only what is looked for at a known contact may go: for that a login needs no more than to read."""

    @property
    def name(self) -> tuple[str, str, str]:
        return self.form, self.login, self.customer_id


def find_open_queues(connection: Connection, selection: Selection, *, now: datetime) -> list[Queue]:
    """Those with a lead that is due and may go. A lead is looked at only once its queue is known to be open.

    So fifty thousand that wait behind a closed gate cost no more than one.
    """
    due = [queue for queue in _list_queues(connection) if queue.due_at <= now]
    if not due:
        return []
    closed = _list_closed(connection, now=now)
    sought = _list_sought(connection, now=now) if closed else frozenset()
    busy = _count_busy(connection, now=now) if selection.allowances or selection.per_customer else Counter()
    shut = selection.shut | _find_exhausted(busy, selection.allowances)
    return [
        replace(queue, gated=gated)
        for queue in due
        if queue.login not in shut
        and (not (gated := (queue.login, queue.customer_id) in closed) or queue.name in sought)
        and not _is_full(queue.customer_id, busy, selection.per_customer)
    ]


def list_deserted_gates(connection: Connection, *, accounts: Collection[Account]) -> list[GateKey]:
    """Closed gates of none of these accounts, behind which no lead waits: nobody will come and find them open."""
    waiting = {Account(login=one.login, customer_id=one.customer_id) for one in _list_queues(connection)}
    return [
        gate.key
        for gate in list_gates(connection)
        if gate.key.account not in accounts and gate.key.account not in waiting
    ]


def forget_deserted_gates(connection: Connection, *, accounts: Collection[Account]) -> list[GateKey]:
    """Those that were there."""
    deserted = list_deserted_gates(connection, accounts=accounts)
    for key in deserted:
        open_gate(connection, key)
    return deserted


def _list_queues(connection: Connection) -> list[Queue]:
    return [
        Queue(form=one.form, login=one.login, customer_id=one.customer_id, due_at=one.next_attempt_at)
        for one in connection.execute(_select_heads())
    ]


@cache
def _select_heads() -> Select[Any]:
    """The first lead of each queue: one step of the index for each, however long it is."""
    row = outbox.c.form, outbox.c.login, outbox.c.customer_id, outbox.c.next_attempt_at
    first = select(*row).where(IS_PENDING).order_by(*row, outbox.c.lead_id).limit(1)
    heads = select(first.subquery()).cte("heads", recursive=True)
    beyond = (_find_beyond(heads, name) for name in ("customer_id", "login", "form"))
    head = func.coalesce(*beyond)
    return select(heads.union_all(select(*row).join_from(heads, outbox, outbox.c.lead_id == head)))


def _find_beyond(heads: CTE, name: str) -> ScalarSelect[str]:
    """The first lead of the next queue that differs in this column, and in none before it."""
    later = outbox.alias(f"later_{name}")
    key = ["form", "login", "customer_id"]
    place = key.index(name)
    return (
        select(later.c.lead_id)
        .where(
            is_pending(later),
            *(later.c[same] == heads.c[same] for same in key[:place]),
            later.c[name] > heads.c[name],
        )
        # What is equal to the head's is named all the same: as a whole it is the index's order.
        .order_by(*(later.c[one] for one in (*key, "next_attempt_at", "lead_id")))
        .limit(1)
        .scalar_subquery()
    )


def _list_closed(connection: Connection, *, now: datetime) -> frozenset[tuple[str, str]]:
    """A closed gate lets nobody through until its probe is due; then the probe's taker moves it on."""
    closed = select(gates.c.login, gates.c.customer_id).where(
        gates.c.call_group != CallGroup.READ.value, gates.c.probe_at > now
    )
    return frozenset((row.login, row.customer_id) for row in connection.execute(closed))


def _list_sought(connection: Connection, *, now: datetime) -> frozenset[tuple[str, str, str]]:
    """The queues of due leads that only read: one step of a small index for each create of unknown outcome."""
    found = connection.execute(
        select(outbox.c.form, outbox.c.login, outbox.c.customer_id)
        .where(
            outbox.c.lead_id.in_(select(attempts.c.lead_id).where(IS_UNRESOLVED)),
            outbox.c.contact_id.is_not(None),
            IS_PENDING,
            outbox.c.next_attempt_at <= now,
        )
        .distinct()
    )
    return frozenset((row.form, row.login, row.customer_id) for row in found)


def _count_busy(connection: Connection, *, now: datetime) -> Counter[tuple[str, str]]:
    """Leads under way by login and customer."""
    counted = select(outbox.c.login, outbox.c.customer_id, func.count().label("leads"))
    grouped = counted.where(outbox.c.leased_until > now).group_by(outbox.c.login, outbox.c.customer_id)
    return Counter({(row.login, row.customer_id): row.leads for row in connection.execute(grouped)})


def _find_exhausted(
    busy: Mapping[tuple[str, str], int], allowances: Mapping[frozenset[str], int]
) -> frozenset[str]:
    """The logins whose destination has as many leads under way as it is trusted with."""
    return frozenset(
        login
        for logins, allowance in allowances.items()
        if sum(count for (login, _), count in busy.items() if login in logins) >= allowance
        for login in logins
    )


def _is_full(customer_id: str, busy: Mapping[tuple[str, str], int], limit: int | None) -> bool:
    under_way = sum(count for (_, one), count in busy.items() if one == customer_id)
    return limit is not None and under_way >= limit
