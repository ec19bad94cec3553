"""A lead's whole story, as JSON has it: the lead itself, where it is, and its history."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from app.errors import KeyMissing, LeadNotFound
from app.identity import write_reference
from app.lead import Lead
from app.store.history import load_history
from app.store.leads import find_status, load_lead
from app.store.words import LeadStatus

Story = dict[str, Any]


def describe_status(status: LeadStatus) -> Story:
    return {
        "id": status.lead_id,
        "reference": write_reference(status.reference),
        "status": status.state.value,
        "form": status.form,
        "receivedAt": write_moment(status.received_at),
    }


def tell_story(connection: Connection, lead_id: str) -> Story:
    """Raises LeadNotFound."""
    status = find_status(connection, lead_id)
    if status is None:
        raise LeadNotFound(f"there is no lead {lead_id}")
    history = load_history(connection, lead_id)
    story = {
        **describe_status(status),
        "reason": status.reason,
        "deliveredAt": status.delivered_at,
        "vitecLeadId": status.vitec_lead_id,
        "purgedAt": status.purged_at,
        "lead": {} if status.purged_at else _find_content(connection, lead_id),
        "spam": _find_suspicion(history),
        "history": history,
    }
    readable: Story = json.loads(json.dumps(story, default=write_value))
    return readable


def _find_suspicion(history: Sequence[Story]) -> Story | None:
    """What spoke against the lead when it came, whether it was let in or not."""
    kinds = {"quarantined", "suspected"}
    found = next((entry for entry in history if entry["kind"] in kinds and "score" in entry), None)
    return {"score": found["score"], "reasons": found["reasons"]} if found else None


def _find_content(connection: Connection, lead_id: str) -> Story:
    """Where it cannot be decrypted, or this version cannot read it, the rest can be read all the same."""
    try:
        return _open_lead(load_lead(connection, lead_id))
    except (KeyMissing, ValueError) as error:
        return {"unreadable": str(error)}


def _open_lead(lead: Lead) -> Story:
    """What was sent in, by the names it was sent under."""
    told = {"id", "reference", "form", "received_at"}
    opened: Story = rename_keys({name: value for name, value in asdict(lead).items() if name not in told})
    return opened | {"follows": write_reference(lead.follows) if lead.follows else None}


def rename_keys(value: Any) -> Any:
    """Names as programs know them: `assigned_to_id` is `assignedToId`."""
    if isinstance(value, dict):
        return {
            re.sub(r"_(.)", lambda found: found[1].upper(), name): rename_keys(one)
            for name, one in value.items()
        }
    return [rename_keys(one) for one in value] if isinstance(value, list | tuple) else value


def write_value(value: object) -> str:
    return write_moment(value) if isinstance(value, datetime) else str(value)


def write_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
