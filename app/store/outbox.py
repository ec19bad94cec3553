"""A lead's way from the outbox to Vitec: claimed, attempted, settled. Each function is one transaction's part.

Facts (what Vitec said) are recorded whoever reports them. Decisions need the claim's fence to be the newest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.errors import StoreError
from app.forms.model import ContactType
from app.lead import LeadState, Note
from app.store.history import add_notes
from app.store.schema import EPOCH, attempts, gates, outbox, payloads
from app.store.words import Claim, Payload


class LeaseLost(StoreError):
    """Another worker has claimed the lead since, or an operator has decided on it."""


class CreateUnresolved(StoreError):
    """An earlier create of this lead is not known to have failed: the database refuses another."""


def claim_next(connection: Connection, *, now: datetime, leased_until: datetime) -> Claim | None:
    """The due lead that has waited longest, if its gate is open and nobody works for the same person."""
    other = outbox.alias("other")
    same_person = or_(other.c.email_key == outbox.c.email_key, other.c.phone_key == outbox.c.phone_key)
    due = (
        select(outbox.c.lead_id)
        .where(
            outbox.c.state == LeadState.PENDING,
            outbox.c.next_attempt_at <= now,
            or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= now),
            # A closed gate lets nobody through until its probe is due; then the probe's taker moves it on.
            ~exists().where(
                gates.c.login == outbox.c.login,
                gates.c.customer_id == outbox.c.customer_id,
                gates.c.call_group != "read",
                gates.c.probe_at > now,
            ),
            # Two leads of one person at once would race into two contacts.
            ~exists().where(
                other.c.leased_until > now,
                other.c.lead_id != outbox.c.lead_id,
                other.c.customer_id == outbox.c.customer_id,
                same_person,
            ),
        )
        .order_by(outbox.c.next_attempt_at)
        .limit(1)
    )
    lead_id = connection.execute(due).scalar()
    if lead_id is None:
        return None
    row = connection.execute(
        update(outbox)
        .where(outbox.c.lead_id == lead_id)
        .values(
            fence=outbox.c.fence + 1,
            leased_until=leased_until,
            crashes=outbox.c.crashes + case((outbox.c.leased_until.is_not(None), 1), else_=0),
        )
        .returning(outbox)
    ).one()
    # Whoever comes through a gate whose probe is due is the probe: others wait for what it finds.
    connection.execute(
        update(gates)
        .where(gates.c.login == row.login, gates.c.customer_id == row.customer_id)
        .values(probe_at=leased_until)
    )
    unresolved = connection.execute(
        select(exists().where(attempts.c.lead_id == lead_id, *_UNRESOLVED))
    ).scalar_one()
    return Claim(
        lead_id=lead_id,
        form=row.form,
        fence=row.fence,
        leased_until=leased_until,
        tries=row.tries,
        payload_version=row.payload_version,
        contact_id=row.contact_id,
        has_open_create=bool(unresolved),
    )


_UNRESOLVED = (attempts.c.kind == "create", attempts.c.outcome.in_(("open", "unknown")))


def clear_leases(connection: Connection) -> None:
    """For whoever holds the SQLite file's lock: the process that held these leases is dead."""
    connection.execute(update(outbox).where(outbox.c.leased_until.is_not(None)).values(leased_until=EPOCH))


def freeze_payload(
    connection: Connection, claim: Claim, payload: Payload, *, notes: Iterable[Note], now: datetime
) -> Payload:
    """Keeps what will be sent, as the next version, and what had to be adapted. Raises LeaseLost."""
    add_notes(connection, claim.lead_id, notes, now=now)
    versions = select(func.coalesce(func.max(payloads.c.version), 0)).where(
        payloads.c.lead_id == claim.lead_id
    )
    frozen = replace(payload, version=connection.execute(versions).scalar_one() + 1)
    if not decide(connection, claim, payload_version=frozen.version):
        raise LeaseLost(claim.lead_id)
    connection.execute(
        insert(payloads).values(
            lead_id=claim.lead_id,
            version=frozen.version,
            frozen_at=now,
            contact_type=frozen.contact_type,
            contact=frozen.contact.decode(),
            lead=frozen.lead,
        )
    )
    return frozen


def load_payload(connection: Connection, lead_id: str, *, version: int) -> Payload:
    row = connection.execute(
        select(payloads).where(payloads.c.lead_id == lead_id, payloads.c.version == version)
    ).one()
    return Payload(
        version=row.version,
        contact_type=ContactType(row.contact_type),
        contact=row.contact.encode(),
        lead=row.lead,
    )


def start_attempt(
    connection: Connection,
    claim: Claim,
    *,
    kind: str,
    payload_version: int,
    now: datetime,
    deadline_at: datetime,
    snapshot: Sequence[str] | None = None,
) -> int:
    """Writes the intent, before the first byte is sent. Raises LeaseLost or CreateUnresolved."""
    _require_fence(connection, claim)
    try:
        with connection.begin_nested():
            number: int = connection.execute(
                insert(attempts)
                .values(
                    lead_id=claim.lead_id,
                    kind=kind,
                    fence=claim.fence,
                    payload_version=payload_version,
                    started_at=now,
                    deadline_at=deadline_at,
                    outcome="open",
                    snapshot=None if snapshot is None else list(snapshot),
                )
                .returning(attempts.c.id)
            ).scalar_one()
    except IntegrityError:
        raise CreateUnresolved(claim.lead_id) from None
    return number


def finish_attempt(
    connection: Connection,
    attempt_id: int,
    *,
    outcome: str,
    now: datetime,
    status: int | None = None,
    detail: str | None = None,
    vitec_id: str | None = None,
) -> None:
    """A fact: recorded once, whoever reports it."""
    connection.execute(
        update(attempts)
        .where(attempts.c.id == attempt_id, attempts.c.outcome == "open")
        .values(outcome=outcome, finished_at=now, status=status, detail=detail, vitec_id=vitec_id)
    )


def keep_contact(connection: Connection, claim: Claim, contact_id: str) -> None:
    """A fact: Vitec knows this person by that id."""
    connection.execute(update(outbox).where(outbox.c.lead_id == claim.lead_id).values(contact_id=contact_id))


def mark_delivered(connection: Connection, lead_id: str, *, vitec_lead_id: str, now: datetime) -> None:
    """A fact: the lead is in Vitec, whatever anybody decided meanwhile."""
    connection.execute(
        update(outbox)
        .where(outbox.c.lead_id == lead_id, outbox.c.state != LeadState.DELIVERED)
        .values(
            state=LeadState.DELIVERED,
            state_at=now,
            reason=None,
            vitec_lead_id=vitec_lead_id,
            delivered_at=now,
            leased_until=None,
            crashes=0,
        )
    )


def reschedule(
    connection: Connection, claim: Claim, *, next_attempt_at: datetime, spend_try: bool = True
) -> bool:
    """A decision: try again then. Outages and closed gates spend no try. False when the lease was lost."""
    return decide(
        connection,
        claim,
        next_attempt_at=next_attempt_at,
        tries=outbox.c.tries + int(spend_try),
        leased_until=None,
        crashes=0,
    )


def hold(connection: Connection, claim: Claim, *, reason: str, now: datetime) -> bool:
    """A decision: this needs a human. False when the lease was lost."""
    return decide(
        connection, claim, state=LeadState.HELD, state_at=now, reason=reason, leased_until=None, crashes=0
    )


def decide(connection: Connection, claim: Claim, **values: object) -> bool:
    """Changes the row if this claim is still the newest."""
    return connection.execute(update(outbox).where(*_newest(claim)).values(**values)).rowcount == 1


def _newest(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return (
        outbox.c.lead_id == claim.lead_id,
        outbox.c.fence == claim.fence,
        outbox.c.state == LeadState.PENDING,
    )


def _require_fence(connection: Connection, claim: Claim) -> None:
    if connection.execute(select(outbox.c.lead_id).where(*_newest(claim))).first() is None:
        raise LeaseLost(claim.lead_id)
