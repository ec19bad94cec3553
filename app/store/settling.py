"""What came of a step, recorded in one transaction: the facts always, the decision if the lease still holds."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from app.lead import Note
from app.store.gates import close_gate, open_gate
from app.store.history import add_event, add_notes
from app.store.outbox import finish_attempt, hold, keep_contact, mark_delivered, reschedule, wait_at_gate
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseGate:
    """Every lead behind this gate waits, this one too, and pays nothing for it."""

    key: GateKey
    status: int
    probe_at: datetime
    credential: str


Decision = Delivered | ContactFound | TryLater | Hold | CloseGate


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
        case ContactFound(contact_id=contact_id):
            assert end is not None
            keep_contact(connection, end.attempt_id, contact_id)
            return True
        case decision:
            return _decide(connection, claim, decision, now=now)


def _decide(
    connection: Connection, claim: Claim, decision: TryLater | Hold | CloseGate, *, now: datetime
) -> bool:
    match decision:
        case TryLater():
            return reschedule(connection, claim, next_attempt_at=decision.at, spend_try=decision.spend_try)
        case Hold():
            held = hold(connection, claim, reason=decision.reason, now=now)
            if held:
                add_event(connection, claim.lead_id, "held", now=now, reason=decision.reason)
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
            return wait_at_gate(connection, claim, decision.key, now=now)
