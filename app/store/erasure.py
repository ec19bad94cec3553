"""Erasure on request (GDPR article 17): a lead goes but for its receipt, and what is left to do by hand is told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, or_, select

from app.errors import LeadNotFound, OperatorError
from app.identity import write_reference
from app.lead import LeadState
from app.store.audit import add_audit
from app.store.inbox import find_place
from app.store.leads import find_lead_id
from app.store.operator import IN_VITEC
from app.store.outbox import has_unresolved_create, list_customers
from app.store.receipts import leave_receipt
from app.store.reconciling import find_canary, keep_canary
from app.store.schema import attempts, leads, outbox, read_paths

ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class InVitec:
    """What one customer has, or may have, of a lead that is erased here."""

    customer_id: str
    contact_ids: tuple[str, ...] = ()
    vitec_lead_id: str | None = None
    may_have_more: bool = False
    """Something was sent whose outcome is not known, or the office says that it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What a person must see to of a lead that is erased here."""

    lead_id: str
    reference: str
    form: str
    in_vitec: tuple[InVitec, ...]
    """By customer: a fallback, a retry or a correction may have made another contact, and with another one."""
    was_undelivered: bool
    """It had not arrived, and will not."""


def find_people(
    connection: Connection, *, email_key: str | None = None, phone_key: str | None = None
) -> list[str]:
    """The ids of the leads of whoever has that e-mail address or phone number, the oldest first."""
    keys = [leads.c.email_key == email_key] * (email_key is not None)
    keys += [leads.c.phone_key == phone_key] * (phone_key is not None)
    return list(connection.execute(select(leads.c.id).where(or_(*keys)).order_by(leads.c.id)).scalars())


def find_kin(connection: Connection, lead_ids: Collection[str]) -> list[str]:
    """The references of other leads with the same e-mail or phone as one of these: perhaps the same person."""
    keys = connection.execute(
        select(leads.c.email_key, leads.c.phone_key).where(leads.c.id.in_(lead_ids))
    ).all()
    emails = {row.email_key for row in keys if row.email_key}
    phones = {row.phone_key for row in keys if row.phone_key}
    found = connection.execute(
        select(leads.c.reference)
        .where(or_(leads.c.email_key.in_(emails), leads.c.phone_key.in_(phones)), leads.c.id.not_in(lead_ids))
        .order_by(leads.c.id)
    )
    return list(found.scalars())


def erase_lead(connection: Connection, lead_id: str, *, now: datetime, actor: str) -> Remains:
    """Raises LeadNotFound, or OperatorError while it is in flight."""
    row = _load(connection, lead_id)
    _refuse_in_flight(connection, row, now=now)
    remains = Remains(
        lead_id=lead_id,
        reference=row.reference,
        form=row.form,
        in_vitec=_list_in_vitec(connection, row),
        was_undelivered=row.state not in {LeadState.DELIVERED, LeadState.DISCARDED},
    )
    _replace_canary(connection, lead_id, contact_id=row.contact_id)
    leave_receipt(connection, lead_id, why=ERASED, now=now, actor=actor)
    add_audit(connection, ERASED, actor=actor, now=now, lead_id=lead_id, customer_id=row.customer_id)
    return remains


def _list_in_vitec(connection: Connection, row: Row[Any]) -> tuple[InVitec, ...]:
    customers = list_customers(connection, row.lead_id)
    filed = customers.get(row.payload_version, row.customer_id)
    contacts: dict[str, dict[str, None]] = {}
    # Its ids there are not known: who says so need not tell them.
    uncertain = {filed} if row.state == LeadState.DISCARDED and row.reason == IN_VITEC else set()
    calls = connection.execute(
        select(attempts.c.kind, attempts.c.outcome, attempts.c.vitec_id, attempts.c.payload_version)
        .where(attempts.c.lead_id == row.lead_id)
        .order_by(attempts.c.id)
    )
    for call in calls:
        customer_id = customers.get(call.payload_version, row.customer_id)
        if call.kind == "contact" and call.vitec_id is not None:
            contacts.setdefault(customer_id, {})[call.vitec_id] = None
        arrived = row.vitec_lead_id is not None and customer_id == filed
        if not arrived and call.outcome in {"open", "unknown"}:
            uncertain.add(customer_id)
    if row.contact_id is not None:  # one that was found by searching is no attempt's
        contacts.setdefault(filed, {})[row.contact_id] = None
    named = {*contacts, *uncertain, *([filed] if row.vitec_lead_id else [])}
    return tuple(
        InVitec(
            customer_id=one,
            contact_ids=tuple(contacts.get(one, ())),
            vitec_lead_id=row.vitec_lead_id if one == filed else None,
            may_have_more=one in uncertain,
        )
        for one in sorted(named)
    )


def erase_for(
    connection: Connection, name: str, *, customers: Collection[str] | None, now: datetime, actor: str
) -> Remains:
    """By id or reference, for somebody who sees these customers' leads alone. Raises what `erase_lead` does."""
    lead_id = find_place(connection, find_lead_id(connection, name), customers=customers).lead_id
    return erase_lead(connection, lead_id, now=now, actor=actor)


def _load(connection: Connection, lead_id: str) -> Row[Any]:
    columns: Sequence[ColumnElement[Any]] = (
        leads.c.reference,
        outbox.c.lead_id,
        outbox.c.form,
        outbox.c.state,
        outbox.c.reason,
        outbox.c.leased_until,
        outbox.c.customer_id,
        outbox.c.contact_id,
        outbox.c.vitec_lead_id,
        outbox.c.payload_version,
    )
    row = connection.execute(
        select(*columns)
        .join_from(outbox, leads, leads.c.id == outbox.c.lead_id)
        .where(outbox.c.lead_id == lead_id)
        .with_for_update(of=outbox)
    ).one_or_none()
    if row is None:
        raise LeadNotFound(f"there is no lead {lead_id}")
    return row


def _refuse_in_flight(connection: Connection, row: Row[Any], *, now: datetime) -> None:
    name = write_reference(row.reference)
    if row.leased_until is not None and row.leased_until > now:
        raise OperatorError(
            f"{name} is being delivered at this moment; try again in a minute", code="at_work"
        )
    if row.state in {LeadState.PENDING, LeadState.HELD} and has_unresolved_create(connection, row.lead_id):
        raise OperatorError(
            f"{name} may exist in Vitec, and is looked for there: wait until it is delivered; or look for "
            f"{name} in Vitec yourself, discard it here (leadgate leads discard {name} --reason …), and erase it then",
            code="looked_for",
        )


def _replace_canary(connection: Connection, lead_id: str, *, contact_id: str | None) -> None:
    """What is looked for to prove the read path must be there: the person's contact will soon be gone in Vitec."""
    for path in connection.execute(select(read_paths).where(read_paths.c.lead_id == lead_id)).all():
        is_path = [column == getattr(path, column.name) for column in read_paths.primary_key]
        other = find_canary(connection, path.login, path.customer_id, other_than=contact_id)
        if other is None:
            connection.execute(delete(read_paths).where(*is_path))
        else:
            keep_canary(connection, path.base_url, path.login, path.customer_id, path=other)
