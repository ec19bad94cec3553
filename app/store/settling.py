"""What came of a step, recorded in one transaction: the facts always, the decision if the lease still holds."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, update

from app.lead import Account, Note
from app.store.gates import close_gate, open_gate
from app.store.history import add_event, add_notes
from app.store.outbox import (
    decide,
    finish_attempt,
    hold,
    keep_contact,
    mark_delivered,
    reschedule,
    suspect_duplicate,
    wait_with,
)
from app.store.reconciling import DENIED, FORGOTTEN, may_be_forgotten, note_denial, resolve_create
from app.store.schema import outbox
from app.store.words import Claim, GateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """What came of an attempt."""

    attempt_id: int
    outcome: str
    status: int | None = None
    detail: str | None = None
    """Vitec's own words, scrubbed."""
    vitec_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    vitec_lead_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFound:
    """Not an end: the lead goes on to its create. Comes with the attempt that found it."""

    contact_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TryLater:
    at: datetime
    spend_try: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    reason: str
    not_created: int | None = None
    """The attempt that is known not to have made the lead: a retry may begin another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseGate:
    """Every lead behind this gate waits, this one too, and pays nothing for it."""

    key: GateKey
    status: int
    probe_at: datetime
    credential: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refile:
    """It goes by another account than it was claimed under: first it waits as that one's leads do."""

    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """The lead was found in Vitec."""

    attempt_id: int | None = None
    """The create of unknown outcome that made it; None where no such one is on record."""
    vitec_lead_ids: tuple[str, ...]
    """Oldest first; more than one is an alarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAgain:
    """It was looked for in vain after the settle time: the first of two answers that count."""

    attempt_id: int | None = None
    """The create of unknown outcome; None where no such one is on record."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCreated:
    """A create of unknown outcome did not happen, or the form would rather have the lead twice."""

    attempt_id: int | None = None
    """None where no such create is on record."""
    why: str
    possible_duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveAnew:
    """Vitec does not know the contact any more: it is made or found once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FallBack:
    """Vitec does not know the receiver: the form's fallback gets the lead."""

    receiver: str


Decision = (
    Delivered
    | ContactFound
    | TryLater
    | Hold
    | CloseGate
    | Refile
    | Adopted
    | LookAgain
    | NotCreated
    | ResolveAnew
    | FallBack
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    decision: Decision
    attempt: AttemptEnd | None = None
    opens: GateKey | None = None
    """The gate that this answer shows to be open."""
    notes: tuple[Note, ...] = field(default=())


def settle(connection: Connection, claim: Claim, settlement: Settlement, *, now: datetime) -> bool:
    """Whether the decision took effect; false when another worker or an operator was first."""
    if (end := settlement.attempt) is not None:
        finish_attempt(
            connection,
            end.attempt_id,
            outcome=end.outcome,
            now=now,
            status=end.status,
            detail=end.detail,
            vitec_id=end.vitec_id,
        )
    if settlement.opens is not None and open_gate(connection, settlement.opens):
        add_event(connection, claim.lead_id, "gate_opened", now=now, group=settlement.opens.call_group)
    add_notes(connection, claim.lead_id, settlement.notes, now=now)
    match settlement.decision:
        case Delivered(vitec_lead_id=vitec_lead_id):
            mark_delivered(connection, claim.lead_id, vitec_lead_id=vitec_lead_id, now=now)
            return True
        case Adopted() as adopted:
            _adopt(connection, claim, adopted, now=now)
            return True
        case ContactFound(contact_id=contact_id):
            if end is None:
                return decide(connection, claim, contact_id=contact_id)
            keep_contact(connection, end.attempt_id, contact_id)
            return True
        case decision:
            return _decide(connection, claim, decision, now=now)


def _adopt(connection: Connection, claim: Claim, adopted: Adopted, *, now: datetime) -> None:
    """A fact: it is there."""
    oldest, *others = adopted.vitec_lead_ids
    if adopted.attempt_id is not None:
        resolve_create(connection, adopted.attempt_id, outcome="done", now=now, vitec_id=oldest)
    mark_delivered(connection, claim.lead_id, vitec_lead_id=oldest, now=now)
    add_event(connection, claim.lead_id, "reconciled", now=now, vitecId=oldest)
    for other in others:
        suspect_duplicate(connection, claim.lead_id, vitec_id=other, now=now)


def _decide(
    connection: Connection,
    claim: Claim,
    decision: TryLater | Hold | CloseGate | Refile | LookAgain | NotCreated | ResolveAnew | FallBack,
    *,
    now: datetime,
) -> bool:
    match decision:
        case TryLater():
            return reschedule(connection, claim, next_attempt_at=decision.at, spend_try=decision.spend_try)
        case Hold():
            held = hold(connection, claim, reason=decision.reason, now=now)
            if held:
                add_event(connection, claim.lead_id, "held", now=now, reason=decision.reason)
                if decision.not_created is not None:
                    resolve_create(connection, decision.not_created, outcome="not_created", now=now)
            return held
        case CloseGate():
            close_gate(
                connection,
                decision.key,
                claim,
                status=decision.status,
                probe_at=decision.probe_at,
                credential=decision.credential,
                now=now,
            )
            return wait_with(connection, claim, decision.key.account, now=now)
        case Refile():
            return wait_with(connection, claim, decision.account, now=now)
        case LookAgain():
            waiting = reschedule(connection, claim, next_attempt_at=decision.at, spend_try=False)
            if waiting and decision.attempt_id is not None:
                note_denial(connection, decision.attempt_id)
            elif waiting:
                _change(connection, claim.lead_id, reconcile_first=DENIED)
            return waiting
        case _:
            return _start_over(connection, claim, decision, now=now)


def _start_over(
    connection: Connection, claim: Claim, decision: NotCreated | ResolveAnew | FallBack, *, now: datetime
) -> bool:
    """The lead goes its way again, at once, and its history says why."""
    changed: dict[str, int | None]
    match decision:
        case NotCreated():
            # With a warning in its message it is another payload.
            changed = (
                {"possible_duplicate": 1, "payload_version": None} if decision.possible_duplicate else {}
            )
            if decision.attempt_id is None:
                changed["reconcile_first"] = 0
            kind, detail = "not_created", {"reason": decision.why}
        case ResolveAnew():
            changed = {"resolved_anew": 1, "contact_id": None}
            changed |= _look_there_first(connection, claim)
            kind, detail = "contact_resolved_anew", {}
        case FallBack():
            changed = {"fallen_back": 1, "payload_version": None}
            changed |= _look_there_first(connection, claim)
            kind, detail = "fallback_receiver", {"receiver": decision.receiver}
    if not reschedule(connection, claim, next_attempt_at=now, spend_try=False):
        return False
    if changed:
        _change(connection, claim.lead_id, **changed)
    if isinstance(decision, NotCreated) and decision.attempt_id is not None:
        resolve_create(connection, decision.attempt_id, outcome="not_created", now=now)
    add_event(connection, claim.lead_id, kind, now=now, **detail)
    return True


def _look_there_first(connection: Connection, claim: Claim) -> dict[str, int | None]:
    """At another contact there may be a lead that was looked for at the former one, or forgotten.

    A first look in vain at the former one counts no more.
    """
    concluded = not claim.possible_duplicate and may_be_forgotten(connection, claim.lead_id)
    return {"reconcile_first": FORGOTTEN} if claim.may_be_forgotten or concluded else {}


def _change(connection: Connection, lead_id: str, **values: int | None) -> None:
    connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(**values))
