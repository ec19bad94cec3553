"""Leads to put into a store, and the steps that bring one on its way."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import Connection, select

from app.forms.model import CallGroup, ContactType
from app.identity import IdentitySource
from app.lead import Account, Contact, Enquiry
from app.store.acceptance import accept_all
from app.store.claiming import claim_next
from app.store.leads import write_body
from app.store.outbox import freeze_payload, start_attempt
from app.store.schema import outbox
from app.store.words import Acceptance, Claim, GateKey, NewLead, Payload

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
LEASE = timedelta(seconds=105)
SECOND = timedelta(seconds=1)

GATE = GateKey(base_url="https://vitec.test", login="default", customer_id="M1", call_group=CallGroup.CREATE)
ACCOUNT = Account(login="default", customer_id="M1")
PAYLOAD = Payload(
    version=0, contact_type=ContactType.PERSON, contact=b'{"customerId":"M1"}', lead='{"message":"Hej"}'
)

_numbers = count()
_identities = IdentitySource()


def new_lead(**changes: Any) -> NewLead:
    """A lead unlike any other, unless the changes make it so."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "form": "kontakt",
        "received_at": NOW,
        "body": write_body(Enquiry(language="sv", contact=Contact(first_name="Anna"), message="Hej")),
        "fingerprint": f"f{number}",
        "email_key": f"e{number}",
        "phone_key": None,
        "body_fingerprint": f"b{number}",
        "customer_id": "M1",
        "login": "default",
    }
    return NewLead(**values | changes)


def keep(connection: Connection, **changes: Any) -> str:
    """The id of a lead that has just been accepted."""
    (kept,) = accept_all(connection, [new_lead(**changes)], _identities)
    assert isinstance(kept, Acceptance)
    return kept.lead_id


def claim(connection: Connection, *, now: datetime = NOW) -> Claim | None:
    return claim_next(connection, now=now, leased_until=now + LEASE)


def must_claim(connection: Connection, *, now: datetime = NOW) -> Claim:
    claimed = claim(connection, now=now)
    assert claimed is not None
    return claimed


def begin(connection: Connection, claimed: Claim, kind: str = "create", *, now: datetime = NOW) -> int:
    """An attempt under way, its payload frozen."""
    row = row_of(connection, claimed.lead_id)
    if claimed.payload_version is None and row.payload_version is None:
        account = Account(login=row.login, customer_id=row.customer_id)
        freeze_payload(connection, claimed, PAYLOAD, account=account, notes=(), now=now)
    version = row_of(connection, claimed.lead_id).payload_version
    return start_attempt(
        connection, claimed, kind=kind, payload_version=version, now=now, deadline_at=now + 30 * SECOND
    )


def row_of(connection: Connection, lead_id: str) -> Any:
    return connection.execute(select(outbox).where(outbox.c.lead_id == lead_id)).one()
