"""A lead's way from the outbox to Vitec: claimed, attempted, settled. Each function is one transaction's part.

Facts (what Vitec said) are recorded whoever reports them. Decisions need the claim's fence to be the newest.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from app.errors import KeyMissing, StoreError
from app.forms.model import ContactType
from app.lead import Account, LeadState, Note
from app.store.alarms import raise_alarm
from app.store.history import add_event, add_notes
from app.store.schema import EPOCH, IS_UNRESOLVED, attempts, leads, notices, outbox, payloads
from app.store.words import Claim, Payload


class LeaseLost(StoreError):
    """Another worker has claimed the lead since, or an operator has decided on it."""


class CreateUnresolved(StoreError):
    """An earlier create of this lead is not known to have failed: the database refuses another."""


def has_unresolved_create(connection: Connection, lead_id: str) -> bool:
    """Whether a create of this lead may have reached Vitec without its outcome being known."""
    found = connection.execute(select(exists().where(attempts.c.lead_id == lead_id, IS_UNRESOLVED)))
    return bool(found.scalar_one())


def clear_leases(connection: Connection) -> None:
    """For whoever holds the SQLite file's lock: the process that held these leases is dead."""
    connection.execute(update(outbox).where(outbox.c.leased_until.is_not(None)).values(leased_until=EPOCH))
    connection.execute(update(notices).where(notices.c.leased_until.is_not(None)).values(leased_until=None))


def freeze_payload(
    connection: Connection,
    claim: Claim,
    payload: Payload,
    *,
    account: Account,
    notes: Iterable[Note],
    now: datetime,
) -> tuple[Payload, str | None]:
    """Keeps what will be sent, as the next version, and what had to be adapted; with its contact, if that is known.

    Raises LeaseLost.

    The lead is filed from now on under the account that the payload is for: who sees it, who exports it, whose
    gate it meets. The one foreseen when it came in may be another, by a fallback or a new forms file. Its contact
    stands while it is the same person at the same customer: Vitec might make another of who cannot be matched.
    """
    add_notes(connection, claim.lead_id, notes, now=now)
    versions = select(func.coalesce(func.max(payloads.c.version), 0)).where(
        payloads.c.lead_id == claim.lead_id
    )
    newest = connection.execute(versions).scalar_one()
    frozen = replace(payload, version=newest + 1)
    contact_id = claim.contact_id if _is_same_person(connection, claim.lead_id, newest, frozen) else None
    filed = {"login": account.login, "customer_id": account.customer_id}
    if not decide(connection, claim, payload_version=frozen.version, contact_id=contact_id, **filed):
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
    return frozen, contact_id


def _is_same_person(connection: Connection, lead_id: str, version: int, payload: Payload) -> bool:
    """Whether that earlier version was for the same contact."""
    if version == 0:
        return False
    with suppress(KeyMissing):
        earlier = load_payload(connection, lead_id, version=version)
        return (earlier.contact_type, earlier.contact) == (payload.contact_type, payload.contact)
    return False


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


def list_customers(connection: Connection, lead_id: str) -> dict[int, str]:
    """By payload version, to whom it was addressed; without those that cannot be opened, or read by this version."""
    found = {}
    of_lead = payloads.c.lead_id == lead_id
    for version in connection.execute(select(payloads.c.version).where(of_lead)).scalars().all():
        with suppress(KeyMissing, ValueError, KeyError, TypeError):
            payload = load_payload(connection, lead_id, version=version)
            found[version] = str(json.loads(payload.contact)["customerId"])
    return found


def may_have_contact(connection: Connection, lead_id: str, *, customer_id: str) -> bool:
    """Whether a call has made the lead's contact at this customer, or may have."""
    versions = [one for one, at in list_customers(connection, lead_id).items() if at == customer_id]
    made = select(attempts.c.id).where(
        attempts.c.lead_id == lead_id,
        attempts.c.kind == "contact",
        attempts.c.outcome.in_(("open", "unknown", "done")),
        attempts.c.payload_version.in_(versions),
    )
    return bool(connection.execute(select(made.exists())).scalar_one())


def forget_words(connection: Connection, lead_id: str) -> None:
    """Of what was sent of a lead until now, keeps only to which customer: its words have been corrected.

    The versions stand: what is frozen next is another, and a late answer about one of them is taken for it.
    """
    customers = list_customers(connection, lead_id)
    of_lead = update(payloads).where(payloads.c.lead_id == lead_id)
    connection.execute(of_lead.values(contact="{}", lead="{}"))  # those too whose key is missing
    for version, customer_id in customers.items():
        known = json.dumps({"customerId": customer_id})
        connection.execute(of_lead.where(payloads.c.version == version).values(contact=known))


def start_attempt(
    connection: Connection,
    claim: Claim,
    *,
    kind: str,
    payload_version: int,
    now: datetime,
    deadline_at: datetime,
    leased_until: datetime | None = None,
    snapshot: Sequence[str] | None = None,
) -> int:
    """Writes the intent, before the first byte is sent. Raises LeaseLost or CreateUnresolved.

    `leased_until`: the lease begins anew with it; None leaves it as it is.
    """
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
    if kind == "create":  # from here on its own record says what to look for
        decide(connection, claim, reconcile_first=0)
    if leased_until is not None:
        renew_lease(connection, claim, leased_until=leased_until)
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
    """A fact: recorded once, whoever reports it. That Vitec took it outweighs what was only concluded."""
    earlier = ("open", "unknown", "not_created") if outcome == "done" else ("open",)
    with suppress(IntegrityError), connection.begin_nested():  # a later create stands: see mark_delivered
        connection.execute(
            update(attempts)
            .where(attempts.c.id == attempt_id, attempts.c.outcome.in_(earlier))
            .values(outcome=outcome, finished_at=now, status=status, detail=detail, vitec_id=vitec_id)
        )


def keep_contact(connection: Connection, attempt_id: int, contact_id: str) -> None:
    """A fact: Vitec knows by that id the person whom this attempt's payload describes."""
    sent = select(attempts.c.lead_id, attempts.c.payload_version).where(attempts.c.id == attempt_id)
    connection.execute(
        update(outbox)
        .where(tuple_(outbox.c.lead_id, outbox.c.payload_version).in_(sent))
        .values(contact_id=contact_id)
    )


def suspect_duplicate(connection: Connection, lead_id: str, *, vitec_id: str, now: datetime) -> None:
    """Vitec has it under another id as well: a human had better look."""
    add_event(connection, lead_id, "duplicate_suspected", now=now, vitecId=vitec_id)
    reference = connection.execute(select(leads.c.reference).where(leads.c.id == lead_id)).scalar_one()
    raise_alarm(
        connection, "duplicate", f"{lead_id} {vitec_id}", now=now, reference=reference, vitec_id=vitec_id
    )


def mark_delivered(connection: Connection, lead_id: str, *, vitec_lead_id: str, now: datetime) -> None:
    """A fact: the lead is in Vitec, whatever anybody decided meanwhile. A second id stands in its history."""
    delivered = connection.execute(
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
    if delivered.rowcount == 1:
        return
    known = connection.execute(select(outbox.c.vitec_lead_id).where(outbox.c.lead_id == lead_id)).scalar_one()
    if known != vitec_lead_id:
        suspect_duplicate(connection, lead_id, vitec_id=vitec_lead_id, now=now)


def renew_lease(connection: Connection, claim: Claim, *, leased_until: datetime) -> None:
    """A turn that goes on is not taken for one whose process has died. Raises LeaseLost."""
    if not decide(connection, claim, leased_until=leased_until):
        raise LeaseLost(claim.lead_id)


def give_back(connection: Connection, claim: Claim, *, not_before: datetime) -> None:
    """Ends a turn that was cut off: no crash, and no proof that there would have been none.

    `not_before`: for what is sent again; a create that may have been taken is looked for at once.
    """
    looks = has_unresolved_create(connection, claim.lead_id)
    later = {} if looks else {"next_attempt_at": not_before}
    decide(connection, claim, leased_until=None, **later)


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


def wait_with(connection: Connection, claim: Claim, account: Account, *, now: datetime) -> bool:
    """A decision: wait as this account's leads do, which need not be the one foreseen when the lead came in.

    False when the lease was lost.
    """
    return decide(
        connection,
        claim,
        next_attempt_at=now,
        leased_until=None,
        crashes=0,
        login=account.login,
        customer_id=account.customer_id,
    )


def hold(connection: Connection, claim: Claim, *, reason: str, now: datetime) -> bool:
    """A decision: this needs a human. False when the lease was lost."""
    return decide(
        connection, claim, state=LeadState.HELD, state_at=now, reason=reason, leased_until=None, crashes=0
    )


def decide(connection: Connection, claim: Claim, **values: object) -> bool:
    """Changes the row if this claim is still the newest, and has not ended yet."""
    return connection.execute(update(outbox).where(*_newest(claim)).values(**values)).rowcount == 1


def _newest(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return (
        outbox.c.lead_id == claim.lead_id,
        outbox.c.fence == claim.fence,
        outbox.c.state == LeadState.PENDING,
        outbox.c.leased_until.is_not(None),
    )


def _require_fence(connection: Connection, claim: Claim) -> None:
    # Locked: whoever claims it next sees what this transaction writes, or this one sees the claim.
    if connection.execute(select(outbox.c.lead_id).where(*_newest(claim)).with_for_update()).first() is None:
        raise LeaseLost(claim.lead_id)
