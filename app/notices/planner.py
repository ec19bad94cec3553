"""Decides what is to be told, to whom: looks at what is so, and at what has been told."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from app.errors import KeyMissing, LeadNotFound
from app.forms.live import LiveForms
from app.forms.model import Form
from app.lead import LeadState
from app.notices.digest import DIGEST, write_detail
from app.notices.office import OfficeDesk
from app.notices.operator import MANNERS
from app.store.alarms import Conditions, differ, list_untold, note_conditions, tell_alarms
from app.store.circuits import load_circuits
from app.store.gates import list_gates
from app.store.leads import load_lead
from app.store.news import (
    Item,
    Sender,
    find_closed,
    find_unreceipted,
    find_unsettled,
    find_untold_held,
    find_untold_landed,
    find_untold_late,
    find_waiting,
    has_receipt,
    list_held,
)
from app.store.notices import (
    NewNotice,
    add_notice,
    find_last,
    find_recent,
    list_unsent,
    settle_leads_notices,
    take_turn,
)
from app.store.quarantine import list_unnamed
from app.store.store import Transaction

LATE_AFTER = timedelta(minutes=60)
WAITING_AFTER = timedelta(minutes=15)
WAITING_LONG_AFTER = timedelta(hours=4)
REMIND_EVERY = timedelta(days=1)
UNSENT_AFTER = 3
"""Tries."""

_RECEIPTS_FOR = timedelta(hours=1)
"""A lead of that age gets no receipt any more: it would puzzle more than it tells."""
_NAMED = 20
_DIGEST_EVERY = timedelta(days=1)

_RAISED_ELSEWHERE = ("duplicate", "invariant", "receiver_left")
"""Alarms that are noted where they are found."""
_NOTHING: Conditions = {}
_REMINDED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """How people can be told."""

    mail: bool
    operator: tuple[str, ...]
    """`mail`, `webhook`, both or none."""


@dataclass(slots=True, kw_only=True)
class Plan:
    new: list[NewNotice] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    """Leads of which nothing more is told."""


@dataclass(slots=True, kw_only=True)
class Planner:
    forms: LiveForms
    office: OfficeDesk
    channels: Channels

    def is_needed(
        self, connection: Transaction, *, thorough: bool, outside: Mapping[str, Conditions], now: datetime
    ) -> bool:
        """Whether `carry_out` would write anything: an idle service lets its disk sleep."""
        plan = self._make(connection, thorough=thorough, now=now)
        if plan.new or plan.closed:
            return True
        kinds = self._find_conditions(connection, outside, now=now) if thorough else {}
        return any(
            (kind not in _RAISED_ELSEWHERE and differ(connection, kind, current))
            or list_untold(connection, kind, MANNERS[kind], now=now)
            for kind, current in kinds.items()
        )

    def carry_out(
        self, connection: Transaction, *, thorough: bool, outside: Mapping[str, Conditions], now: datetime
    ) -> None:
        """Writes what is to be told. `outside`: what is wrong beyond the store, such as a full disk.

        `thorough`: with all that need not be told at once.
        """
        take_turn(connection)
        plan = self._make(connection, thorough=thorough, now=now)
        for new in plan.new:
            add_notice(connection, new, now=now)
        for lead_id in plan.closed:
            settle_leads_notices(connection, lead_id)
        kinds = self._find_conditions(connection, outside, now=now) if thorough else {}
        for kind, current in kinds.items():
            if kind not in _RAISED_ELSEWHERE:
                note_conditions(connection, kind, current, now=now)
            tell_alarms(connection, kind, MANNERS[kind], channels=self.channels.operator, now=now)

    def _make(self, connection: Transaction, *, thorough: bool, now: datetime) -> Plan:
        plan = Plan()
        if thorough:
            plan.new += self._plan_digest(connection, now=now)
        if not self.channels.mail:
            return plan
        plan.new += [_tell_office("held", item) for item in find_untold_held(connection)]
        landed = find_untold_landed(connection)
        plan.new += [
            NewNotice(key=f"landed:{item.lead_id}", kind="landed", lead_id=item.lead_id) for item in landed
        ]
        plan.closed += [item.lead_id for item in (*landed, *find_closed(connection))]
        plan.new += self._plan_receipts(connection, now=now)
        if thorough:
            late = find_untold_late(connection, before=now - LATE_AFTER)
            plan.new += [_tell_office("late", item) for item in late]
            plan.new += self._plan_reminders(connection, now=now)
        return plan

    def _plan_digest(self, connection: Transaction, *, now: datetime) -> list[NewNotice]:
        """Once a day, when there is something in quarantine that no digest has named."""
        last = find_last(connection, DIGEST)
        if not self.channels.operator or (last is not None and now - last < _DIGEST_EVERY):
            return []
        found = list_unnamed(connection)
        detail = write_detail(found) if found else {}
        return [
            NewNotice(
                key=f"{DIGEST}:{now.isoformat()}:{channel}", kind=DIGEST, channel=channel, detail=detail
            )
            for channel in self.channels.operator
            if found
        ]

    def _plan_receipts(self, connection: Transaction, *, now: datetime) -> list[NewNotice]:
        """One an address and hour, none for a suspect; who gets none is noted too, and not thought of again."""
        forms = {form.name: form for form in self.forms.current.forms.values() if form.receipt}
        if not forms:
            return []
        planned: list[NewNotice] = []
        promised: set[str] = set()
        for sender in find_unreceipted(connection, forms=forms, since=now - _RECEIPTS_FOR):
            key = sender.email_key
            suspect = _is_suspect(sender, forms[sender.form])
            none = suspect or key is None or key in promised or has_receipt(connection, key, now=now)
            if key is not None and not none:
                promised.add(key)
            planned.append(
                NewNotice(
                    key=f"receipt:{sender.lead_id}", kind="receipt", lead_id=sender.lead_id, dropped=none
                )
            )
        return planned

    def _plan_reminders(self, connection: Transaction, *, now: datetime) -> list[NewNotice]:
        """One an office and day, with all that it has been told of and nobody has settled."""
        if not find_unsettled(connection, told_before=now - REMIND_EVERY):
            return []
        by_office: dict[str, list[Item]] = {}
        for item in find_unsettled(connection, told_before=now - timedelta(hours=1)):
            by_office.setdefault(self._find_office(connection, item), []).append(item)
        recent = find_recent(connection, "reminder", since=now - REMIND_EVERY)
        return list(_remind(by_office, recent=recent, now=now))

    def _find_office(self, connection: Transaction, item: Item) -> str:
        try:
            receiver = load_lead(connection, item.lead_id).receiver
        except (ValueError, LeadNotFound, KeyMissing):
            receiver = None
        return self.office.find_address(item.form, receiver) or ""

    def _find_conditions(
        self, connection: Transaction, outside: Mapping[str, Conditions], *, now: datetime
    ) -> dict[str, Conditions]:
        if not self.channels.operator:
            return {}
        held, references = list_held(connection, limit=_NAMED)
        return {
            "leads_held": {"": {"count": held, "references": references}} if held else {},
            "waiting": _find_waiting(connection, before=now - WAITING_AFTER),
            "waiting_long": _find_waiting(connection, before=now - WAITING_LONG_AFTER),
            "gate_closed": _find_gates(connection),
            "circuit_open": {
                one.base_url: {} for one in load_circuits(connection).values() if one.state != "closed"
            },
            "unsent": _find_unsent(connection),
            **dict.fromkeys(_RAISED_ELSEWHERE, _NOTHING),
            **outside,
        }


def _is_suspect(sender: Sender, form: Form) -> bool:
    """Whoever worked to be let in is one all the same: the address may be anybody's."""
    if sender.state in {LeadState.QUARANTINED, LeadState.DISCARDED}:
        return True
    return sender.score > 0 and sender.score >= min(form.spam.challenge_at, form.spam.quarantine_at)


def _tell_office(kind: str, item: Item) -> NewNotice:
    moment = int(item.since.timestamp() * 1_000_000)
    return NewNotice(
        key=f"{kind}:{item.lead_id}:{moment}",
        kind=kind,
        lead_id=item.lead_id,
        since=item.since,
        unsettled=True,
    )


def _remind(
    by_office: Mapping[str, list[Item]], *, recent: Iterable[str], now: datetime
) -> Iterator[NewNotice]:
    reminded = {key.split(":")[1] for key in recent}
    for address, items in by_office.items():
        office = sha256(address.encode()).hexdigest()[:16]
        if address and office not in reminded and now - items[0].since >= REMIND_EVERY:
            yield NewNotice(
                key=f"reminder:{office}:{now.isoformat()}",
                kind="reminder",
                detail={"leads": [item.lead_id for item in items[:_REMINDED]]},
            )


def _find_waiting(connection: Transaction, *, before: datetime) -> Conditions:
    waiting = find_waiting(connection, before=before)
    if waiting is None:
        return {}
    return {"": {"count": waiting.count, "oldest": waiting.since.strftime("%Y-%m-%d %H:%M UTC")}}


def _find_gates(connection: Transaction) -> Conditions:
    found: dict[str, dict[str, Any]] = {}
    for gate in list_gates(connection):
        key = gate.key
        found[f"{key.base_url} {key.login} {key.customer_id} {key.call_group}"] = {
            "login": key.login,
            "customer": key.customer_id,
            "group": str(key.call_group),
            "status": gate.status,
        }
    return found


def _find_unsent(connection: Transaction) -> Conditions:
    rows = list_unsent(connection, tries=UNSENT_AFTER)
    return {
        channel: {
            "count": len(told),
            "failure": next((row["failure"] for row in reversed(told) if row["failure"]), "unknown"),
        }
        for channel, told in _by_channel(rows).items()
    }


def _by_channel(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row["channel"], []).append(row)
    return grouped
