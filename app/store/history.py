"""A lead's whole history, written as it happens and read in one place."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from app.lead import Note
from app.store.schema import attempts, events, leads, payloads


def add_event(
    connection: Connection,
    lead_id: str,
    kind: str,
    *,
    now: datetime,
    actor: str | None = None,
    **detail: Any,
) -> None:
    connection.execute(insert(events).values(lead_id=lead_id, at=now, kind=kind, detail=detail, actor=actor))


def add_notes(connection: Connection, lead_id: str, notes: Iterable[Note], *, now: datetime) -> None:
    """Each adaptation on the way to Vitec, so that nobody wonders where a word went."""
    rows = [
        {
            "lead_id": lead_id,
            "at": now,
            "kind": "adapted",
            "detail": {"code": note.code, "detail": note.detail},
        }
        for note in notes
    ]
    if rows:
        connection.execute(insert(events), rows)


def load_history(connection: Connection, lead_id: str) -> list[dict[str, Any]]:
    """What happened to a lead, in order: `{at, kind, …}`, times aware."""
    row = connection.execute(select(leads.c.received_at, leads.c.follows).where(leads.c.id == lead_id)).one()
    entries: list[dict[str, Any]] = [
        {"at": row.received_at, "kind": "received", "follows": row.follows},
        *_list_frozen(connection, lead_id),
        *_list_events(connection, lead_id),
        *_list_attempts(connection, lead_id),
    ]
    entries.sort(key=lambda entry: entry["at"])
    return [{name: value for name, value in entry.items() if value is not None} for entry in entries]


def _list_frozen(connection: Connection, lead_id: str) -> Iterator[dict[str, Any]]:
    frozen = select(payloads.c.version, payloads.c.frozen_at).where(payloads.c.lead_id == lead_id)
    statement = frozen.order_by(payloads.c.version)
    for row in connection.execute(statement):
        yield {"at": row.frozen_at, "kind": "frozen", "version": row.version}


def _list_events(connection: Connection, lead_id: str) -> Iterator[dict[str, Any]]:
    statement = select(events).where(events.c.lead_id == lead_id).order_by(events.c.id)
    for row in connection.execute(statement):
        yield {"at": row.at, "kind": row.kind, "actor": row.actor, **row.detail}


def _list_attempts(connection: Connection, lead_id: str) -> Iterator[dict[str, Any]]:
    statement = select(attempts).where(attempts.c.lead_id == lead_id).order_by(attempts.c.id)
    for row in connection.execute(statement):
        yield {
            "at": row.started_at,
            "kind": f"attempt_{row.kind}",
            "outcome": row.outcome,
            "status": row.status,
            "finishedAt": row.finished_at,
            "vitecId": row.vitec_id,
            "detail": row.detail,
        }
