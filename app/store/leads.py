"""Leads as they are read back: one, its place, or a list for the operator."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from app.errors import LeadNotFound
from app.identity import read_reference
from app.lead import Enquiry, Lead, LeadState
from app.store.schema import IS_PENDING, leads, outbox
from app.store.words import LeadStatus

_ENQUIRY = TypeAdapter(Enquiry)
_LEAD = TypeAdapter(Lead)
_VERSION = 1

_STATUS = (
    leads.c.id,
    leads.c.reference,
    leads.c.form,
    leads.c.received_at,
    outbox.c.state,
    outbox.c.reason,
    outbox.c.delivered_at,
    outbox.c.vitec_lead_id,
    outbox.c.purged_at,
)


def write_body(enquiry: Enquiry) -> str:
    """An enquiry as it is kept: JSON with a version, what is empty left out."""
    content = _ENQUIRY.dump_json(enquiry, exclude_defaults=True).decode()
    return f'{{"version":{_VERSION},"enquiry":{content}}}'


def load_lead(connection: Connection, lead_id: str) -> Lead:
    """Raises LeadNotFound; ValueError for a body that this version cannot read."""
    row = connection.execute(select(leads).where(leads.c.id == lead_id)).one_or_none()
    if row is None:
        raise LeadNotFound(f"there is no lead {lead_id}")
    if not row.body:
        raise LeadNotFound(f"of lead {lead_id} nothing but a receipt is left")
    return _read_lead(row)


def _read_lead(row: Row[Any]) -> Lead:
    try:
        body = json.loads(row.body)
        if body["version"] == _VERSION:
            return _LEAD.validate_python(body["enquiry"] | _identify(row))
    except (ValueError, KeyError, TypeError):
        pass  # its text would hold what a visitor typed
    raise ValueError(f"lead {row.id} cannot be read by this version")


def _identify(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "reference": row.reference,
        "form": row.form,
        "received_at": row.received_at,
        "follows": row.follows,
    }


def find_status(connection: Connection, lead_id: str) -> LeadStatus | None:
    row = connection.execute(select_status().where(leads.c.id == lead_id)).one_or_none()
    return None if row is None else read_status(row)


def find_lead_id(connection: Connection, name: str) -> str:
    """The id of the lead an operator names by id or reference. Raises LeadNotFound."""
    found = connection.execute(
        select(leads.c.id).where(
            or_(leads.c.id == name.strip().lower(), leads.c.reference == (read_reference(name) or ""))
        )
    ).scalar()
    if found is None:
        raise LeadNotFound(f"there is no lead {name}")
    return str(found)


def list_statuses(
    connection: Connection,
    *,
    states: Sequence[LeadState] = (),
    form: str | None = None,
    limit: int | None = None,
) -> list[LeadStatus]:
    """The newest first; all of them unless filtered."""
    statement = select_status().order_by(leads.c.id.desc())
    if states:
        statement = statement.where(outbox.c.state.in_(states))
    if form is not None:
        statement = statement.where(leads.c.form == form)
    if limit is not None:
        statement = statement.limit(limit)
    return [read_status(row) for row in connection.execute(statement)]


def find_vitec_ids(connection: Connection, lead_id: str) -> tuple[str | None, str | None]:
    """The ids that Vitec gave the contact and the lead, as far as they are known."""
    row = connection.execute(
        select(outbox.c.contact_id, outbox.c.vitec_lead_id).where(outbox.c.lead_id == lead_id)
    ).one()
    return row.contact_id, row.vitec_lead_id


def find_oldest_undelivered(connection: Connection) -> datetime | None:
    """When the oldest lead that waits to be delivered was received."""
    # Of the bare id SQLite would seek the least by walking through all that was ever delivered.
    lead_id = outbox.c.lead_id.concat("")
    oldest = select(func.min(lead_id)).where(IS_PENDING).scalar_subquery()
    found: datetime | None = connection.execute(
        select(leads.c.received_at).where(leads.c.id == oldest)
    ).scalar()
    return found


def list_forms(connection: Connection, among: ColumnElement[bool]) -> list[str]:
    """The forms with leads in a part of the outbox that has an index by form: one step of it for each."""
    first = select(func.min(outbox.c.form).label("form")).where(among)
    forms = first.cte("forms", recursive=True)
    later = select(func.min(outbox.c.form)).where(among, outbox.c.form > forms.c.form).scalar_subquery()
    forms = forms.union_all(select(later).where(forms.c.form.is_not(None)))
    return list(connection.execute(select(forms.c.form).where(forms.c.form.is_not(None))).scalars())


def select_status() -> Select[Any]:
    return select(*_STATUS).join_from(leads, outbox, outbox.c.lead_id == leads.c.id)


def read_status(row: Row[Any]) -> LeadStatus:
    """Of a row that `select_status` found."""
    return LeadStatus(
        lead_id=row.id,
        reference=row.reference,
        form=row.form,
        received_at=row.received_at,
        state=LeadState(row.state),
        reason=row.reason,
        delivered_at=row.delivered_at,
        vitec_lead_id=row.vitec_lead_id,
        purged_at=row.purged_at,
    )
