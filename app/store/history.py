"""A lead's whole history, written as it happens and read in one place."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from app.lead import Note
from app.store.schema import attempts, events, leads, outbox, payloads


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
    row = connection.execute(
        select(leads.c.received_at, leads.c.follows, outbox.c.fence)
        .join(outbox, outbox.c.lead_id == leads.c.id)
        .where(leads.c.id == lead_id)
    ).one()
    entries: list[dict[str, Any]] = [{"at": row.received_at, "kind": "received", "follows": row.follows}]
    for frozen in connection.execute(select(payloads).where(payloads.c.lead_id == lead_id)):
        entries.append({"at": frozen.frozen_at, "kind": "frozen", "version": frozen.version})
    for event in connection.execute(select(events).where(events.c.lead_id == lead_id).order_by(events.c.id)):
        entries.append({"at": event.at, "kind": event.kind, "actor": event.actor, **event.detail})
    for attempt in connection.execute(
        select(attempts).where(attempts.c.lead_id == lead_id).order_by(attempts.c.id)
    ):
        entries.append(
            {
                "at": attempt.started_at,
                "kind": f"attempt_{attempt.kind}",
                "outcome": attempt.outcome,
                "status": attempt.status,
                "finishedAt": attempt.finished_at,
                "vitecId": attempt.vitec_id,
                "detail": attempt.detail,
            }
        )
    entries.sort(key=lambda entry: entry["at"])
    return [{name: value for name, value in entry.items() if value is not None} for entry in entries]
